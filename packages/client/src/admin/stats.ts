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
import { type AdminCalls, each, type Place, type Target } from './calls.ts'

/** How much there is and how much of it is consumed. */
export class Stats {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** Offsets of all queues of a topic, on all of its brokers: examineTopicStats. @throws ClientError ROUTE_MISSING */
  async ofTopic(topic: string, options: CallOptions = {}): Promise<TopicStats> {
    const deadline = this.#calls.deadline(options)
    const all = await each(await this.#calls.holders(topic, deadline), ({ address }) =>
      this.#calls.body(address, topicRequests.GET_TOPIC_STATS_INFO, { header: { topic } }, deadline),
    )
    return { queues: all.flatMap(({ queues }) => queues), putTps: sum(all.map(({ putTps }) => putTps)) }
  }

  /**
   * Where a group stands in its topics, or in one, on all brokers: examineConsumeStats. Its lag in a queue is
   * `brokerOffset - consumerOffset`.
   * @throws ClientError ROUTE_MISSING if no broker knows the group
   */
  async ofGroup(
    group: string,
    { topic, ...options }: CallOptions & { readonly topic?: string } = {},
  ): Promise<ConsumeStats> {
    const deadline = this.#calls.deadline(options, 3)
    const header = { consumerGroup: group, topic }
    const all = await each(await this.#holders(group, topic, deadline), ({ address }) =>
      this.#calls.body(address, groupRequests.GET_CONSUME_STATS, { header }, deadline),
    )
    return {
      queues: all.flatMap(({ queues }) => queues),
      consumeTps: sum(all.map(({ consumeTps }) => consumeTps)),
    }
  }

  /** Brokers that a group is at: those of its retry topic, else those of the topic itself. */
  async #holders(group: string, topic: string | undefined, deadline: Deadline): Promise<readonly Place[]> {
    try {
      return await this.#calls.holders(retryTopicOf(group), deadline)
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'ROUTE_MISSING') throw error
      if (topic === undefined) {
        const text = `group ${group} has never run: no broker has its retry topic; name a topic to ask the brokers of`
        throw new ClientError('NOT_FOUND', text, { cause: error, responseCode: error.responseCode })
      }
      return this.#calls.holders(topic, deadline)
    }
  }

  /** Where all groups of one broker stand: fetchConsumeStatsInBroker. */
  async ofBroker(
    target: Target,
    { orderly = false, ...options }: CallOptions & { readonly orderly?: boolean } = {},
  ): Promise<BrokerConsumeStats> {
    const deadline = this.#calls.deadline(options, 10)
    const { address } = await this.#calls.place(target, deadline)
    return this.#calls.body(address, groupRequests.GET_BROKER_CONSUME_STATS, { header: { isOrder: orderly } }, deadline)
  }

  /** How far back in time a group is in a topic, by queue: queryConsumeTimeSpan. */
  async timeSpans(group: string, topic: string, options: CallOptions = {}): Promise<readonly ConsumeTimeSpan[]> {
    const deadline = this.#calls.deadline(options)
    const header = { group, topic }
    const all = await each(await this.#calls.holders(topic, deadline), ({ address }) =>
      this.#calls.body(address, groupRequests.QUERY_CONSUME_TIME_SPAN, { header }, deadline),
    )
    return all.flat()
  }

  /**
   * A counter of one broker: viewBrokerStatsData. For example `TOPIC_PUT_NUMS` of a topic, `GROUP_GET_NUMS` of `topic@group`.
   * @throws ClientError BROKER_REFUSED if nothing was counted
   */
  async counter(name: string, key: string, target: Target, options: CallOptions = {}): Promise<BrokerStats> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.place(target, deadline)
    const header = { statsName: name, statsKey: key }
    return this.#calls.body(address, brokerAdminRequests.VIEW_BROKER_STATS_DATA, { header }, deadline)
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
