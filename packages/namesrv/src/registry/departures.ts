import type { BrokerView, GoneTopic, Removal, RemovalReason } from './broker-changes.ts'

/** A broker that is no longer registered. */
export interface Departure {
  readonly broker: BrokerView
  readonly reason: RemovalReason
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** A topic that was deleted while its brokers stayed. */
export interface DeletedTopic {
  /** `registration`: a broker registered without the topic, with deleteTopicWithBrokerRegistration. */
  readonly by: 'request' | 'registration'
  /** The brokers that had it. */
  readonly brokerNames: readonly string[]
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface DeparturesOptions {
  /** How many brokers are remembered; the oldest are forgotten. Default 200. */
  readonly brokers?: number
  /** How many topics are remembered; the oldest are forgotten. Default 20,000. */
  readonly topics?: number
  /** Finds a topic that no broker has any more and that has not been noted yet. Default: there is none. */
  readonly goneTopic?: (topic: string) => GoneTopic | undefined
}

/** Remembers the last brokers that left, and why topics are gone that no broker has any more, to explain missing routes. */
export class Departures {
  readonly #brokers: Departure[] = []
  readonly #topics = new Map<string, Departure | DeletedTopic>()
  readonly #byView = new WeakMap<BrokerView, Departure>()
  readonly #brokerLimit: number
  readonly #topicLimit: number
  readonly #goneTopic: (topic: string) => GoneTopic | undefined

  constructor(options: DeparturesOptions = {}) {
    this.#brokerLimit = options.brokers ?? 200
    this.#topicLimit = options.topics ?? 20_000
    this.#goneTopic = options.goneTopic ?? (() => undefined)
  }

  note({ brokers, reason }: Pick<Removal, 'brokers' | 'reason'>, now: number): void {
    for (const broker of brokers) {
      const departure = { broker, reason, at: now }
      this.#brokers.push(departure)
      this.#byView.set(broker, departure)
    }
    this.#brokers.splice(0, Math.max(0, this.#brokers.length - this.#brokerLimit))
  }

  /** Notes a topic that no broker has any more, as the last one left. Its departure has been noted. */
  noteTopic({ topic, broker }: Pick<GoneTopic, 'topic' | 'broker'>): void {
    const departure = this.#byView.get(broker)
    if (departure !== undefined) this.#noteTopic(topic, departure)
  }

  /** Notes a topic that no broker has any more, because it was deleted. */
  noteDeletion(topic: string, deletion: DeletedTopic): void {
    this.#noteTopic(topic, deletion)
  }

  #noteTopic(topic: string, loss: Departure | DeletedTopic): void {
    // Deleted first, so that the Map's order is that of the losses.
    this.#topics.delete(topic)
    this.#topics.set(topic, loss)
    if (this.#topics.size <= this.#topicLimit) return
    for (const oldest of this.#topics.keys()) {
      this.#topics.delete(oldest)
      break
    }
  }

  /** The departure that removed a topic; undefined if it is not known. The topic may have come back since. */
  ofTopic(topic: string): Departure | undefined {
    const loss = this.#lossOf(topic)
    return loss !== undefined && 'broker' in loss ? loss : undefined
  }

  /** The deletion that removed a topic; undefined if it is not known. The topic may have come back since. */
  deletionOf(topic: string): DeletedTopic | undefined {
    const loss = this.#lossOf(topic)
    return loss !== undefined && 'by' in loss ? loss : undefined
  }

  #lossOf(topic: string): Departure | DeletedTopic | undefined {
    const gone = this.#goneTopic(topic)
    if (gone !== undefined) this.noteTopic(gone)
    return this.#topics.get(topic)
  }

  /** Oldest first. */
  brokers(): readonly Departure[] {
    return this.#brokers
  }
}
