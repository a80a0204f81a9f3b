import { networkInterfaces } from 'node:os'
import { type Readiness, VERSION } from '@gantrymq/daemon'
import type { TopicRoute } from '@gantrymq/protocol'
import type { Clock, FrameMemory } from '@gantrymq/remoting'
import type { BrokerView } from './registry/broker-changes.ts'
import type { Departures } from './registry/departures.ts'
import { ORDER_TOPICS } from './kv/kv-config.ts'
import type { KvStore } from './kv/kv-store.ts'
import { brokerNamesOf, brokerNamesOfTopic, liveBrokers } from './registry/route-queries.ts'
import type { RouteTable } from './registry/route-table.ts'
import type { ClusterView, NameServerStatus } from './status.ts'

export interface StatusSources {
  readonly routes: RouteTable
  readonly kv: KvStore
  readonly departures: Departures
  readonly clock: Clock
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly readiness: () => Readiness
  /** Adds what routes have besides brokers and queues. */
  readonly complete: (route: TopicRoute, topic: string) => TopicRoute
  readonly peers: () => Iterable<number>
  readonly memory: () => Pick<FrameMemory, 'used' | 'unread'>
}

/** The status of a running server, read from its parts at each call. */
export function serverStatus(sources: StatusSources): NameServerStatus {
  const { routes, kv, departures, clock, startedAt, readiness, complete, peers, memory } = sources
  return {
    version: VERSION,
    startedAt,
    readiness,
    counts: () => ({ brokers: routes.brokers.size, topics: routes.topics.size }),
    *clusters(): Generator<ClusterView, void, void> {
      for (const cluster of routes.brokers.clusters.keys()) {
        yield { cluster, brokerNames: brokerNamesOf(routes, cluster) }
      }
    },
    brokerCount: () => routes.brokers.size,
    *brokers(): Generator<BrokerView, void, void> {
      // The table uses elapsed time; readers of the status expect milliseconds since the epoch.
      const zero = clock.now() - clock.elapsed()
      for (const { registeredAt, lastUpdate, ...broker } of liveBrokers(routes)) {
        yield { ...broker, registeredAt: zero + registeredAt, lastUpdate: zero + lastUpdate }
      }
    },
    topicCount: () => routes.topics.size,
    *topics() {
      for (const topic of routes.topics.values()) if (topic.isLive) yield topic.name
    },
    brokersOfTopic: topic => brokerNamesOfTopic(routes, topic),
    brokerCountOfTopic: topic => routes.topics.get(topic)?.groups.length ?? 0,
    route(topic): TopicRoute | undefined {
      const route = routes.routeOf(topic)
      return route && complete(route, topic)
    },
    orderConfig: topic => kv.current.get(ORDER_TOPICS, topic),
    isWiped: brokerName => routes.brokers.groups.get(brokerName)?.isWiped === true,
    ownAddresses: () =>
      new Set(Object.values(networkInterfaces()).flatMap(each => (each ?? []).map(({ address }) => address))),
    departures,
    *kvConfigs() {
      for (const [name, entries] of kv.current.namespaces()) yield [name, entries.size] as const
    },
    connections() {
      let broker = 0
      let client = 0
      for (const peer of peers()) {
        if (routes.brokers.isPeer(peer)) broker++
        else client++
      }
      return { broker, client }
    },
    frameMemory: () => ({ requests: memory().used, replies: memory().unread }),
  }
}
