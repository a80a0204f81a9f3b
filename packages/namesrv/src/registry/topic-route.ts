import {
  type BrokerData,
  MASTER_ID,
  type QueueData,
  type TopicQueueMappingInfo,
  type TopicRoute,
} from '@gantrymq/protocol'
import { isWriteable } from '@gantrymq/protocol'
import { type BrokerGroup, sortedById } from './broker-group.ts'
import type { QueueSettings, SharedQueues } from './queue-settings.ts'
import type { Topic } from './topic.ts'

/** 5.x brokers query this topic to learn the members of their group, and must see them as they are. */
const SYNC_BROKER_MEMBER_PREFIX = 'rmq_sys_SYNC_BROKER_MEMBER_'

/** Whether the route of this topic never shows an acting master. */
export function isSyncTopic(name: string): boolean {
  return name.startsWith(SYNC_BROKER_MEMBER_PREFIX)
}

/**
 * Joins a topic's queues and brokers, both sorted by broker name, so that every name server gives the same answer.
 * @param supportActingMaster Whether the slave with the lowest id is shown as the master of a group that has none.
 */
export function routeOfTopic(topic: Topic, supportActingMaster: boolean): TopicRoute {
  const acting = supportActingMaster && !isSyncTopic(topic.name)
  const queueDatas: QueueData[] = []
  const brokerDatas: BrokerData[] = []
  const filterServerTable = new Map<string, readonly string[]>()
  const { groups, queues, mappings } = topic
  const topicQueueMappingByBroker = new Map<string, TopicQueueMappingInfo>()
  for (const [index, group] of groups.entries()) {
    const { queueData } = queues[index] as SharedQueues
    queueDatas.push(queueData)
    brokerDatas.push(acting && needsActingMaster(group, queueData) ? withActingMaster(group.row) : group.row)
    const mapping = mappings.get(group)
    if (mapping !== undefined) topicQueueMappingByBroker.set(group.name, mapping)
    for (const { addr, filterServers } of group.brokers) {
      if (filterServers.length > 0) filterServerTable.set(addr, filterServers)
    }
  }
  return {
    queueDatas,
    brokerDatas,
    filterServerTable,
    ...(topicQueueMappingByBroker.size > 0 && { topicQueueMappingByBroker }),
  }
}

/** As in Apache 5.x, a group whose queues are still writable gets no acting master. */
function needsActingMaster(group: BrokerGroup, queues: QueueSettings): boolean {
  return group.enableActingMaster && !group.row.brokerAddrs.has(MASTER_ID) && !isWriteable(queues.perm)
}

/** Shows the broker with the lowest id under the master's id instead of its own. */
function withActingMaster(row: BrokerData): BrokerData {
  const [lowest, ...others] = row.brokerAddrs
  if (!lowest) return row
  return { ...row, brokerAddrs: sortedById([[MASTER_ID, lowest[1]], ...others]) }
}
