import {
  deadLetterTopicOf,
  defaultGroupConfig,
  type GroupForbidden,
  groupProblem,
  groupRequests,
  type MessageRequestMode,
  popRequests,
  responseCodes,
  retryTopicOf,
  type SubscriptionGroupConfig,
  type TopicSubscription,
} from '@gantrymq/protocol'
import type { Deadline } from '../deadline.ts'
import { ClientError } from '../errors.ts'
import type { CallOptions } from '../message/message.ts'
import { type AdminCalls, askEach, isRefusal, isUnsupported, type Target } from './calls.ts'
import type { Topics } from './topics.ts'

/** The settings of a group. Defaults are Apache's. */
export interface GroupSettings extends Partial<Omit<SubscriptionGroupConfig, 'groupName' | 'attributes'>> {
  /** Of 5.x brokers; null removes an attribute. */
  readonly attributes?: Readonly<Record<string, string | null>>
}

/** Consumer groups (subscription groups). Names are those of the brokers: option namespace is not added. */
export class Groups {
  readonly #calls: AdminCalls
  readonly #topics: Topics

  constructor(calls: AdminCalls, topics: Topics) {
    this.#calls = calls
    this.#topics = topics
  }

  /**
   * Creates a group with these settings, or replaces the settings of an existing one: createAndUpdateSubscriptionGroupConfig.
   * @throws ClientError BAD_NAME, BROKER_MISSING, BROKER_REFUSED
   */
  async create(group: string, target: Target, settings: GroupSettings = {}, options: CallOptions = {}): Promise<void> {
    const problem = groupProblem(group)
    if (problem !== null) throw new ClientError('BAD_NAME', problem)
    const deadline = this.#calls.deadline(options)
    const body = changed(defaultGroupConfig(group), settings)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body }, deadline),
    )
  }

  /**
   * Changes only the given settings of an existing group. Apache's updateSubGroup sets the others to defaults.
   * @throws ClientError NOT_FOUND, BROKER_MISSING, BROKER_REFUSED
   */
  async update(group: string, target: Target, changes: GroupSettings, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    await askEach(await this.#calls.brokersOf(target, deadline), async ({ address }) => {
      // Attributes that are left out stay. Brokers refuse unchanged attributes.
      const { attributes: _kept, ...config } = await this.#configAt(address, group, deadline)
      const body = changed(config, changes)
      await this.#calls.ask(address, groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body }, deadline)
    })
  }

  /** Creates or changes several groups in one request (5.x): createAndUpdateSubscriptionGroupConfigList. */
  async createMany(
    groups: readonly SubscriptionGroupConfig[],
    target: Target,
    options: CallOptions = {},
  ): Promise<void> {
    const deadline = this.#calls.deadline(options)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, { body: groups }, deadline),
    )
  }

  /** All groups of one broker: getAllSubscriptionGroup. */
  async list(target: Target, options: CallOptions = {}): Promise<ReadonlyMap<string, SubscriptionGroupConfig>> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#configsAt(address, deadline)
  }

  /** A group as one broker has it: examineSubscriptionGroupConfig. @throws ClientError NOT_FOUND */
  async config(group: string, target: Target, options: CallOptions = {}): Promise<SubscriptionGroupConfig> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#configAt(address, group, deadline)
  }

  async #configsAt(address: string, deadline: Deadline): Promise<ReadonlyMap<string, SubscriptionGroupConfig>> {
    return (await this.#calls.body(address, groupRequests.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, {}, deadline)).groups
  }

  // All groups are fetched, because a 5.x broker creates an unknown group when asked for that one.
  async #configAt(address: string, group: string, deadline: Deadline): Promise<SubscriptionGroupConfig> {
    const config = (await this.#configsAt(address, deadline)).get(group)
    if (config !== undefined) return config
    throw new ClientError('NOT_FOUND', `the broker ${address} has no group ${group}`, { address })
  }

  /**
   * Deletes a group: deleteSubscriptionGroup. With a cluster as target its retry and dead-letter topics are deleted too, as
   * in mqadmin. Its offsets stay unless `offsets` is true.
   */
  async delete(
    group: string,
    target: Target,
    { offsets = false, ...options }: CallOptions & { readonly offsets?: boolean } = {},
  ): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const header = { groupName: group, cleanOffset: offsets, removeOffset: offsets }
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, groupRequests.DELETE_SUBSCRIPTIONGROUP, { header }, deadline),
    )
    if (!('cluster' in target)) return
    for (const topic of [retryTopicOf(group), deadLetterTopicOf(group)]) {
      await this.#topics.delete(topic, target, deadline.options())
    }
  }

  /** The topics in which a group has offsets (5.x): queryTopicConsumeByGroup. */
  async topics(group: string, target: Target, options: CallOptions = {}): Promise<readonly string[]> {
    const deadline = this.#calls.deadline(options)
    const lists = await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.body(address, groupRequests.QUERY_TOPICS_BY_CONSUMER, { header: { group } }, deadline),
    )
    return [...new Set(lists.flatMap(({ topicList }) => topicList))].toSorted()
  }

  /** A group's subscription to a topic (5.x): querySubscription. */
  async subscription(
    group: string,
    topic: string,
    target: Target,
    options: CallOptions = {},
  ): Promise<TopicSubscription> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#calls.body(
      address,
      groupRequests.QUERY_SUBSCRIPTION_BY_CONSUMER,
      { header: { group, topic } },
      deadline,
    )
  }

  /**
   * Sets whether a group may read a topic if `readable` is given, and returns the current setting (5.x):
   * updateAndGetGroupReadForbidden.
   * @throws ClientError UNSUPPORTED for 4.9 brokers
   */
  async forbidden(
    group: string,
    topic: string,
    target: Target,
    { readable, ...options }: CallOptions & { readonly readable?: boolean } = {},
  ): Promise<GroupForbidden> {
    const deadline = this.#calls.deadline(options)
    const header = { group, topic, readable }
    const answers = await askEach(await this.#calls.brokersOf(target, deadline), async ({ address }) => {
      try {
        return await this.#calls.body(address, groupRequests.UPDATE_AND_GET_GROUP_FORBIDDEN, { header }, deadline)
      } catch (error) {
        throw isUnsupported(error) ? needs5x(address, error) : error
      }
    })
    return answers.find(answer => !answer.readable) ?? (answers[0] as GroupForbidden)
  }

  /**
   * Sets whether a group pulls or pops a topic (5.x): setMessageRequestMode.
   * @param shareQueues For a popping group, the number of consumers that share a queue; 0 for all.
   */
  async setConsumeMode(
    group: string,
    topic: string,
    mode: MessageRequestMode,
    target: Target,
    { shareQueues = 0, ...options }: CallOptions & { readonly shareQueues?: number } = {},
  ): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const body = { consumerGroup: group, topic, mode, popShareQueueNum: shareQueues }
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, popRequests.SET_MESSAGE_REQUEST_MODE, { body }, deadline),
    )
  }

  /** True if a broker of the cluster has the group's retry topic. */
  async exists(group: string, options: CallOptions = {}): Promise<boolean> {
    try {
      await this.#calls.route(retryTopicOf(group), this.#calls.deadline(options))
      return true
    } catch (error) {
      if (isRefusal(error, responseCodes.TOPIC_NOT_EXIST) || isMissing(error)) return false
      throw error
    }
  }
}

function changed(config: SubscriptionGroupConfig, { attributes, ...changes }: GroupSettings): SubscriptionGroupConfig {
  return { ...config, ...changes, ...(attributes && { attributes: attributeChanges(attributes) }) }
}

/** As for topics, but in a map: `+key` sets, `-key` removes. */
function attributeChanges(attributes: Readonly<Record<string, string | null>>): Map<string, string> {
  return new Map(
    Object.entries(attributes).map(([key, value]) => (value === null ? [`-${key}`, ''] : [`+${key}`, value])),
  )
}

function isMissing(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'ROUTE_MISSING'
}

function needs5x(address: string, cause: unknown): ClientError {
  return new ClientError('UNSUPPORTED', `the broker ${address} is older than 5.0 and cannot do this`, {
    address,
    cause,
  })
}
