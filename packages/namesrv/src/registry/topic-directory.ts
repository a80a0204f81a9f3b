import type { BrokerGroup } from './broker-group.ts'
import { type QueueSettings, QueueSettingsPool } from './queue-settings.ts'
import { Topic } from './topic.ts'

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

/** The topics that have queues on any broker. A topic without queues is dropped. */
export class TopicDirectory {
  readonly #topics = new Map<string, Topic>()
  /**
   * The topics of each group, so that the cost of a departure depends only on the topics that leave. A topic removed from
   * a group stays in its list until about half of the list is such topics, and may occur there twice.
   */
  readonly #byGroup = new Map<BrokerGroup, Topic[]>()
  readonly #queuePool = new QueueSettingsPool()

  /** By name. */
  get all(): ReadonlyMap<string, Topic> {
    return this.#topics
  }

  find(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  /**
   * Sets the queues of a topic on a group, and adds the topic if it is unknown. @returns The record that was stored.
   */
  setQueues(name: string, group: BrokerGroup, settings: QueueSettings, perm = settings.perm): QueueSettings {
    const queues = this.#queuePool.of(settings, perm)
    const topic = this.#topics.get(name) ?? new Topic(name)
    if (topic.size === 0) this.#topics.set(name, topic)
    if (topic.setQueues(group, queues)) this.#addToGroup(topic, group)
    return queues
  }

  #addToGroup(topic: Topic, group: BrokerGroup): void {
    const topics = this.#byGroup.get(group)
    if (topics === undefined) this.#byGroup.set(group, [topic])
    else if (topics.length < 2 * group.topicCount + 16) topics.push(topic)
    else this.#byGroup.set(group, [...this.of(group), topic])
  }

  /** The topics that have queues on a group, each one once. */
  of(group: BrokerGroup): Set<Topic> {
    return new Set(this.#byGroup.get(group)?.filter(topic => topic.queuesOf(group) !== undefined))
  }

  /** Removes a topic from a group. @returns Whether no group has it any more; undefined if this one did not have it. */
  remove(topic: Topic, group: BrokerGroup): { readonly gone: boolean } | undefined {
    return topic.delete(group) ? { gone: this.#dropIfEmpty(topic) } : undefined
  }

  /** Removes all topics from groups that have no broker any more. */
  endGroups(ended: readonly BrokerGroup[]): { topics: string[]; topicEntries: number } {
    const topics: string[] = []
    const topicEntries = ended.reduce((sum, { topicCount }) => sum + topicCount, 0)
    const [only] = ended.length === 1 ? ended : []
    const leaving = new Set<Topic>()
    for (const group of ended) {
      for (const topic of this.#byGroup.get(group) ?? []) leaving.add(topic)
      this.#byGroup.delete(group)
    }
    for (const topic of leaving) {
      const had = only ? topic.delete(only) : topic.deleteWhere(group => group.brokers.length === 0) > 0
      if (had && this.#dropIfEmpty(topic)) topics.push(topic.name)
    }
    return { topics, topicEntries }
  }

  /** Changes the permission of all topics of a group. @returns How many topics it has. */
  changePermission(group: BrokerGroup, change: (perm: number) => number): number {
    for (const topic of this.#byGroup.get(group) ?? []) {
      const queues = topic.queuesOf(group)
      if (!queues) continue
      const perm = change(queues.perm)
      if (perm !== queues.perm) topic.setQueues(group, this.#queuePool.of(queues, perm))
    }
    return group.topicCount
  }

  #dropIfEmpty(topic: Topic): boolean {
    return topic.size === 0 && this.#topics.delete(topic.name)
  }
}
