import type { Logger } from '@gantrymq/remoting'
import type { BrokerView, Removal, RemovalReason } from './registry/broker-changes.ts'
import type { Departures } from './registry/departures.ts'
import type { NameServerMetrics } from './metrics/name-server-metrics.ts'
import { addressFault } from './diagnosis/broker-address.ts'
import type {
  AppliedTopics,
  BegunRegistration,
  CompletedRegistration,
  RegistrationHead,
} from './registry/registration.ts'
import type { TopicDeletion } from './registry/topic-directory.ts'

/** Topics that get a log line each; Apache writes one for every topic, which means thousands for a large broker. */
const LINES = 100

/**
 * Records what happens to the registry: log lines with Apache's wording, which operators search for, and counts.
 * Source of the wording: RouteInfoManager, 5.5.0.
 */
export class RegistryLog {
  readonly #log: Logger
  readonly #metrics: NameServerMetrics
  readonly #departures: Departures

  constructor(log: Logger, metrics: NameServerMetrics, departures: Departures) {
    this.#log = log
    this.#metrics = metrics
    this.#departures = departures
  }

  registered(head: RegistrationHead, { result, replaced }: Pick<BegunRegistration, 'result' | 'replaced'>): void {
    const { clusterName: cluster, brokerName, brokerId, brokerAddr, haServerAddr } = head
    this.#metrics.registered(cluster, result)
    if (result === 'new') {
      const broker = { cluster, brokerName, brokerId: shown(brokerId), brokerAddr, haServerAddr }
      this.#log.info(broker, 'new broker registered')
      const fault = addressFault(brokerAddr, head.host)
      if (fault?.certain) {
        const why = `the address ${fault.why}; set brokerIP1 in broker.conf`
        this.#log.warn({ cluster, brokerName, brokerAddr, why }, 'clients cannot reach this broker')
      }
    }
    for (const before of replaced?.brokers ?? []) {
      const change = { cluster, brokerName, brokerId: shown(brokerId), from: before.brokerAddr, to: brokerAddr }
      this.#log.info(change, 'broker address change')
    }
  }

  topicsApplied(brokerName: string, { added, changed }: AppliedTopics): void {
    this.#each(added, topic => this.#log.info({ brokerName, topic }, 'new topic registered'))
    this.#each(changed, ({ topic, before, after }) => {
      this.#log.info({ brokerName, topic, old: before, new: after }, 'topic changed')
    })
  }

  completed(brokerName: string, { deleted }: CompletedRegistration, now: number): void {
    for (const { topic, gone } of deleted) {
      if (gone) this.#departures.noteDeletion(topic, { by: 'registration', brokerNames: [brokerName], at: now })
    }
    this.#each(deleted, ({ topic, gone }) => {
      this.#log.info({ brokerName, topic, gone }, "deleteTopic, remove one broker's topic")
    })
  }

  topicDeleted(topic: string, { brokerNames, gone }: TopicDeletion, now: number): void {
    for (const brokerName of brokerNames)
      this.#log.info({ topic, brokerName }, "deleteTopic, remove one broker's topic")
    if (!gone) return
    this.#log.info({ topic }, 'deleteTopic, remove the topic all queue')
    this.#departures.noteDeletion(topic, { by: 'request', brokerNames, at: now })
  }

  ignored(head: RegistrationHead, holderAddr: string): void {
    const { clusterName: cluster, brokerName, brokerId, brokerAddr } = head
    this.#metrics.registered(cluster, 'rejected')
    this.#log.warn(
      { cluster, brokerName, brokerId: shown(brokerId), brokerAddr, holderAddr },
      'Registering Broker conflicts with the existed one, just ignore.',
    )
  }

  rejected(cluster: string, peer: string, reason: string): void {
    this.#metrics.registered(cluster, 'rejected')
    this.#log.warn({ cluster, peer, reason }, 'register broker failed')
  }

  removed(removal: Removal, now: number): void {
    const { reason, brokers, brokerNames, clusters } = removal
    if (brokers.length === 0) return
    this.#departures.note(removal, now)
    for (const broker of brokers) this.#left(broker, reason)
    for (const brokerName of brokerNames) {
      this.#log.info({ brokerName }, 'unregisterBroker, remove name from brokerAddrTable OK')
    }
    for (const cluster of clusters) {
      this.#log.info({ cluster }, 'unregisterBroker, remove cluster from clusterAddrTable')
    }
  }

  /** Topics that no broker has any more, as the last one has left. */
  topicsGone(topics: readonly string[]): void {
    this.#each(topics, topic => this.#log.info({ topic }, 'remove the topic all queue'))
  }

  #left(view: BrokerView, reason: RemovalReason): void {
    const { cluster, brokerName, brokerId, brokerAddr, timeout } = view
    this.#metrics.unregistered(cluster, reason)
    const broker = { cluster, brokerName, brokerId: shown(brokerId), brokerAddr, reason }
    if (reason === 'timeout') this.#log.warn({ ...broker, timeoutMs: timeout }, 'The broker channel expired')
    else if (reason === 'request') this.#log.info(broker, 'unregisterBroker, remove from brokerLiveTable OK')
    else if (reason !== 'replaced') this.#log.info(broker, "the broker's channel destroyed, clean it's data structure")
  }

  #each<T>(items: readonly T[], write: (item: T) => void): void {
    for (const item of items.slice(0, LINES)) write(item)
    if (items.length > LINES) this.#log.info({ more: items.length - LINES }, 'and more of the same')
  }
}

/** JSON has no bigint. */
function shown(id: number | bigint): number | string {
  return typeof id === 'bigint' ? String(id) : id
}
