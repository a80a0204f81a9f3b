import type { Sliced } from '@gantrymq/remoting'
import type { BrokerGroup } from './broker-group.ts'
import type { QueueSettings } from './queue-settings.ts'
import { type PendingEnds, Topic } from './topic.ts'

export interface TopicDeletion {
  /** Broker names whose queues of the topic were deleted. */
  readonly brokerNames: readonly string[]
  /** No broker has the topic any more. */
  readonly gone: boolean
}

/**
 * The result of REGISTER_TOPIC_IN_NAMESRV (217). `illegal-broker`: a broker name is unknown, and nothing was stored.
 */
export type TopicRegistration =
  | { readonly result: 'new' | 'exists' | 'empty' }
  | { readonly result: 'illegal-broker'; readonly brokerName: string }

/**
 * The topics that have queues on any broker. A topic without queues is dropped. A topic whose groups have all ended is
 * still here, and not live, until `dropEnded` gets to it.
 */
export class TopicDirectory {
  readonly #topics = new Map<string, Topic>()
  /**
   * The topics of each group, so that the cost of a departure depends only on the topics that leave. A topic removed from
   * a group stays in its list until about half of the list is such topics, and may occur there twice.
   */
  readonly #byGroup = new Map<BrokerGroup, Topic[]>()
  readonly #ends: PendingEnds = { count: 0 }
  #lastEnd = 0

  /** By name. */
  get all(): ReadonlyMap<string, Topic> {
    return this.#topics
  }

  /** A topic that a group with brokers has. */
  find(name: string): Topic | undefined {
    const topic = this.#topics.get(name)
    return topic?.isLive ? topic : undefined
  }

  /**
   * Sets the queues of a topic on a group, and adds the topic if it is unknown.
   * @param perm Replaces the permission of `settings`.
   */
  setQueues(name: string, group: BrokerGroup, settings: QueueSettings, perm = settings.perm): void {
    const topic = this.#topics.get(name) ?? new Topic(name, this.#ends)
    if (topic.isEmpty) this.#topics.set(name, topic)
    if (topic.setQueues(group, settings, perm)) this.#addToGroup(topic, group)
  }

  #addToGroup(topic: Topic, group: BrokerGroup): void {
    const topics = this.#byGroup.get(group)
    if (topics === undefined) this.#byGroup.set(group, [topic])
    else if (topics.length < 2 * group.topicCount + 16) topics.push(topic)
    else this.#byGroup.set(group, [...this.#currentOf(group), topic])
  }

  #currentOf(group: BrokerGroup): Set<Topic> {
    return new Set(this.of(group).filter(topic => topic.queuesOf(group) !== undefined))
  }

  /** The topics that have queues on a group, and some that had; a topic may occur twice. */
  of(group: BrokerGroup): readonly Topic[] {
    return this.#byGroup.get(group) ?? []
  }

  /** Removes a topic from a group. @returns Whether no group has it any more; undefined if this one did not have it. */
  remove(topic: Topic, group: BrokerGroup): { readonly gone: boolean } | undefined {
    if (!topic.delete(group)) return undefined
    const gone = !topic.isLive
    if (gone) {
      topic.deleteEnded()
      this.#drop(topic)
    }
    return { gone }
  }

  /** Hides a group whose last broker has left. `dropEnded` must follow. */
  end(group: BrokerGroup): void {
    group.endedAs = ++this.#lastEnd
    this.#ends.count++
  }

  /**
   * Removes all topics of a group that has ended; and from these topics all other groups that have ended, so that
   * hundreds of groups that end together cost little more than one.
   * @param onGone Called for each topic that no group has any more, with the last group that had it.
   * @param size How many topics are visited in one slice. Each may have hundreds of groups.
   */
  *dropEnded(group: BrokerGroup, onGone: (topic: string, last: BrokerGroup) => void, size: number): Sliced<void> {
    let visited = 0
    for (const topic of this.of(group)) {
      if (group.topicCount === 0) break
      if (visited === size) {
        yield
        visited = 0
      }
      visited++
      const last = topic.isLive ? undefined : topic.lastEnded
      topic.deleteEnded()
      if (last === undefined) continue
      this.#drop(topic)
      onGone(topic.name, last)
    }
    this.#byGroup.delete(group)
    this.#ends.count--
  }

  #drop(topic: Topic): void {
    this.#topics.delete(topic.name)
  }
}
