import type { Readiness } from '@gantrymq/daemon'
import type { TopicRoute } from '@gantrymq/protocol'
import type { Long } from '@gantrymq/remoting'
import type { BrokerView } from '../src/registry/broker-changes.ts'
import { Departures } from '../src/registry/departures.ts'
import type { NameServerStatus } from '../src/status.ts'

/** For tests: a name server's status made of plain data. */
export interface FixtureData {
  readonly brokers?: readonly BrokerView[]
  /** Topic to the brokers that have it. */
  readonly topics?: Readonly<Record<string, readonly string[]>>
  readonly routes?: Readonly<Record<string, TopicRoute>>
  readonly orderConfigs?: Readonly<Record<string, string>>
  readonly wiped?: readonly string[]
  readonly readiness?: () => Readiness
  readonly departures?: Departures
}

export const STARTED_AT = 1_699_999_990_000

export function statusOf(data: FixtureData = {}): NameServerStatus {
  const brokers = data.brokers ?? []
  const topics = new Map(Object.entries(data.topics ?? {}))
  const routes = new Map(Object.entries(data.routes ?? {}))
  return {
    version: '0.1.0',
    startedAt: STARTED_AT,
    readiness: data.readiness ?? (() => ({ ready: true })),
    counts: () => ({ brokers: brokers.length, topics: topics.size }),
    clusters: () =>
      Array.from(
        Map.groupBy(brokers, broker => broker.cluster),
        ([cluster, members]) => ({
          cluster,
          brokerNames: new Set(members.map(broker => broker.brokerName)),
        }),
      ),
    brokerCount: () => brokers.length,
    brokers: () => brokers,
    topicCount: () => topics.size,
    topics: () => topics.keys(),
    brokersOfTopic: topic => topics.get(topic) ?? [],
    brokerCountOfTopic: topic => topics.get(topic)?.length ?? 0,
    route: topic => routes.get(topic),
    orderConfig: topic => data.orderConfigs?.[topic],
    isWiped: brokerName => data.wiped?.includes(brokerName) === true,
    ownAddresses: () => new Set(['10.0.0.1']),
    departures: data.departures ?? new Departures(),
    kvConfigs: () => [['ORDER_TOPIC_CONFIG', 2]],
    connections: () => ({ broker: 1, client: 2 }),
    frameMemory: () => ({ requests: 4096, replies: 0 }),
  }
}

/** A broker last heard of five seconds after the start. */
export function broker(brokerName: string, brokerId: Long = 0, given: Partial<BrokerView> = {}): BrokerView {
  return {
    cluster: 'DefaultCluster',
    brokerName,
    brokerId,
    brokerAddr: `10.0.0.${Number(brokerId) + 1}:10911`,
    peer: 1,
    registeredAt: STARTED_AT + 1000,
    lastUpdate: STARTED_AT + 5000,
    timeout: 120_000,
    topicCount: 1,
    ...given,
  }
}

/** A route over these brokers, four queues each. */
export function routeOver(brokers: readonly BrokerView[], perm = 6): TopicRoute {
  const groups = [...Map.groupBy(brokers, each => each.brokerName)]
  return {
    queueDatas: groups.map(([brokerName]) => ({
      brokerName,
      readQueueNums: 4,
      writeQueueNums: 4,
      perm,
      topicSysFlag: 0,
    })),
    brokerDatas: groups.map(([brokerName, members]) => ({
      cluster: 'DefaultCluster',
      brokerName,
      brokerAddrs: new Map(members.map(({ brokerId, brokerAddr }) => [brokerId, brokerAddr])),
      enableActingMaster: false,
    })),
    filterServerTable: new Map(),
  }
}
