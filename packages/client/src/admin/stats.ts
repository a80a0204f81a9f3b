import {
  brokerAdminRequests,
  type BrokerConsumeStats,
  type BrokerStats,
  type ConsumeStats,
  type ConsumeTimeSpan,
  groupRequests,
  retryTopicOf,
  topicRequests,
  type TopicStats,
} from '@gantrymq/protocol'
import type { Deadline } from '../deadline.ts'
import { ClientError } from '../errors.ts'
import type { CallOptions } from '../message/message.ts'
import { type AdminCalls, askEach, type BrokerAddress, type Target } from './calls.ts'

/** Statistics of topics, groups and brokers. */
export class Stats {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** The offsets of all queues of a topic, at all of its brokers: examineTopicStats. @throws ClientError ROUTE_MISSING */
  async ofTopic(topic: string, options: CallOptions = {}): Promise<TopicStats> {
    const deadline = this.#calls.deadline(options)
    const all = await askEach(await this.#calls.brokersWith(topic, deadline), ({ address }) =>
      this.#calls.body(address, topicRequests.GET_TOPIC_STATS_INFO, { header: { topic } }, deadline),
    )
    return { queues: all.flatMap(({ queues }) => queues), putTps: sum(all.map(({ putTps }) => putTps)) }
  }

  /**
   * A group's offsets in its topics, or in one, at all brokers: examineConsumeStats. Its lag in a queue is
   * `brokerOffset - consumerOffset`.
   * @throws ClientError ROUTE_MISSING if no broker knows the group
   */
  async ofGroup(
    group: string,
    { topic, ...options }: CallOptions & { readonly topic?: string } = {},
  ): Promise<ConsumeStats> {
    const deadline = this.#calls.deadline(options, 3)
    const header = { consumerGroup: group, topic }
    const all = await askEach(await this.#brokersWith(group, topic, deadline), ({ address }) =>
      this.#calls.body(address, groupRequests.GET_CONSUME_STATS, { header }, deadline),
    )
    return {
      queues: all.flatMap(({ queues }) => queues),
      consumeTps: sum(all.map(({ consumeTps }) => consumeTps)),
    }
  }

  /** The brokers of a group: those of its retry topic, else those of the topic. */
  async #brokersWith(group: string, topic: string | undefined, deadline: Deadline): Promise<readonly BrokerAddress[]> {
    try {
      return await this.#calls.brokersWith(retryTopicOf(group), deadline)
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'ROUTE_MISSING') throw error
      if (topic === undefined) {
        const text = `group ${group} has never run: no broker has its retry topic; give a topic to ask the brokers of that topic`
        throw new ClientError('NOT_FOUND', text, { cause: error, responseCode: error.responseCode })
      }
      return this.#calls.brokersWith(topic, deadline)
    }
  }

  /** The offsets of all groups at one broker: fetchConsumeStatsInBroker. */
  async ofBroker(
    target: Target,
    { orderly = false, ...options }: CallOptions & { readonly orderly?: boolean } = {},
  ): Promise<BrokerConsumeStats> {
    const deadline = this.#calls.deadline(options, 10)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#calls.body(address, groupRequests.GET_BROKER_CONSUME_STATS, { header: { isOrder: orderly } }, deadline)
  }

  /** How far behind in time a group is in a topic, by queue: queryConsumeTimeSpan. */
  async timeSpans(group: string, topic: string, options: CallOptions = {}): Promise<readonly ConsumeTimeSpan[]> {
    const deadline = this.#calls.deadline(options)
    const header = { group, topic }
    const all = await askEach(await this.#calls.brokersWith(topic, deadline), ({ address }) =>
      this.#calls.body(address, groupRequests.QUERY_CONSUME_TIME_SPAN, { header }, deadline),
    )
    return all.flat()
  }

  /**
   * A counter of one broker: viewBrokerStatsData. For example `TOPIC_PUT_NUMS` of a topic, `GROUP_GET_NUMS` of `topic@group`.
   * @throws ClientError BROKER_REFUSED if there is no such counter
   */
  async counter(name: string, key: string, target: Target, options: CallOptions = {}): Promise<BrokerStats> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    const header = { statsName: name, statsKey: key }
    return this.#calls.body(address, brokerAdminRequests.VIEW_BROKER_STATS_DATA, { header }, deadline)
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
