import type { Health } from '@gantrymq/daemon'
import type { TopicRoute } from '@gantrymq/protocol'
import type { Sliced } from '@gantrymq/remoting'
import type { BrokerView } from './registry/broker-changes.ts'
import type { Departures } from './registry/departures.ts'

export interface ClusterView {
  readonly cluster: string
  readonly brokerNames: Iterable<string>
}

/** Does work in slices, at once or in later turns of the event loop; see TurnBudget. */
export type SliceRunner = <T>(work: Sliced<T>) => T | Promise<T>

/**
 * What the HTTP pages and the metrics read from a name server. Every method is synchronous and cheap; the iterables are
 * read in slices, and may be the tables' own iterators: JavaScript's Map allows changes during iteration.
 */
export interface NameServerStatus extends Health {
  clusters(): Iterable<ClusterView>
  brokerCount(): number
  brokers(): Iterable<BrokerView>
  /** It may include topics of brokers that have just left. */
  topicCount(): number
  topics(): Iterable<string>
  /** Names of the brokers (groups of a master and its slaves) with queues of a topic; empty for an unknown one. */
  brokersOfTopic(topic: string): Iterable<string>
  /** How many `brokersOfTopic` are. */
  brokerCountOfTopic(topic: string): number
  /** The route as clients get it, with its order configuration. */
  route(topic: string): TopicRoute | undefined
  /** The stored order configuration of a topic, whether clients get it or not. */
  orderConfig(topic: string): string | undefined
  /** Whether an operator has made the topics of a broker name read-only here. */
  isWiped(brokerName: string): boolean
  /** The IP addresses of the machine that the name server runs on. */
  ownAddresses(): ReadonlySet<string>
  /** The brokers that left recently. */
  readonly departures: Departures
  /** Entries of each namespace of the KV configuration. */
  kvConfigs(): Iterable<readonly [namespace: string, entries: number]>
  /** Open connections of brokers and of all other peers. */
  connections(): { readonly broker: number; readonly client: number }
  /** Bytes of unfinished frames and requests in progress, and of replies that peers have not read; see maxFrameMemory. */
  frameMemory(): { readonly requests: number; readonly replies: number }
}
