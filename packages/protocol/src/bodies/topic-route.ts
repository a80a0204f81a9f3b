import type { Long } from '@gantrymq/remoting'

/** The queues of a topic on one broker group: Apache's QueueData. */
export interface QueueData {
  readonly brokerName: string
  readonly readQueueNums: number
  readonly writeQueueNums: number
  readonly perm: number
  readonly topicSysFlag: number
}

/** A master and its slaves: Apache's BrokerData. */
export interface BrokerData {
  readonly cluster: string
  readonly brokerName: string
  /** Broker id to `ip:port`; the master has id 0. */
  readonly brokerAddrs: ReadonlyMap<Long, string>
  /** 5.x. */
  readonly enableActingMaster: boolean
  /** 5.x. */
  readonly zoneName?: string
}

/** The part of a static topic that one broker group serves: Apache's TopicQueueMappingInfo (5.x). */
export interface TopicQueueMappingInfo {
  readonly topic: string
  readonly scope: string
  readonly totalQueues: number
  /** Name of the broker group. */
  readonly bname: string
  readonly epoch: Long
  readonly dirty: boolean
  /** Logical to physical queue id. */
  readonly currIdMap: ReadonlyMap<number, number>
}

/** Where the queues of a topic are: Apache's TopicRouteData. */
export interface TopicRoute {
  /** `broker:queues;broker:queues`, only where the name server has order messages enabled. */
  readonly orderTopicConf?: string
  readonly queueDatas: readonly QueueData[]
  readonly brokerDatas: readonly BrokerData[]
  /** Broker address to filter servers; empty with every broker of today. */
  readonly filterServerTable: ReadonlyMap<string, readonly string[]>
  readonly topicQueueMappingByBroker?: ReadonlyMap<string, TopicQueueMappingInfo>
}
