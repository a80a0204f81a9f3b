import { brokerAdminRequests, type ConsumeQueueView, type KVTable } from '@gantrymq/protocol'
import type { RequestDeclaration } from '@gantrymq/remoting'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import { type AdminCalls, each, type Target } from './calls.ts'

/** Part of a consume queue to look at. */
export interface ConsumeQueueQuery {
  readonly queue: MessageQueue
  readonly index: number
  /** Default 10. */
  readonly count?: number
  /** Tells also whether the filter of this group would take each entry. */
  readonly group?: string
}

type Cleaning = (typeof brokerAdminRequests)[
  | 'CLEAN_UNUSED_TOPIC'
  | 'CLEAN_EXPIRED_CONSUMEQUEUE'
  | 'DELETE_EXPIRED_COMMITLOG']

/** Brokers as such: their state, their files. Settings are in `admin.config`. */
export class Brokers {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** Counters and states, by Apache's names, all texts: fetchBrokerRuntimeStats. */
  async runtimeInfo(target: Target, options: CallOptions = {}): Promise<KVTable> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.place(target, deadline)
    return this.#calls.body(address, brokerAdminRequests.GET_BROKER_RUNTIME_INFO, {}, deadline)
  }

  /** Deletes files of consume queues whose messages are gone: cleanExpiredConsumerQueue. */
  cleanExpiredConsumeQueues(target: Target, options: CallOptions = {}): Promise<void> {
    return this.#clean(brokerAdminRequests.CLEAN_EXPIRED_CONSUMEQUEUE, target, options)
  }

  /** Deletes consume queues of topics that are no more: cleanUnusedTopic. */
  cleanUnusedTopics(target: Target, options: CallOptions = {}): Promise<void> {
    return this.#clean(brokerAdminRequests.CLEAN_UNUSED_TOPIC, target, options)
  }

  /** Deletes files of the commit log that are old enough: deleteExpiredCommitLog. */
  deleteExpiredCommitLog(target: Target, options: CallOptions = {}): Promise<void> {
    return this.#clean(brokerAdminRequests.DELETE_EXPIRED_COMMITLOG, target, options)
  }

  async #clean(declaration: Cleaning & RequestDeclaration, target: Target, options: CallOptions): Promise<void> {
    const deadline = this.#calls.deadline(options, 3)
    await each(await this.#calls.places(target, deadline), ({ address }) =>
      this.#calls.ask(address, declaration, {}, deadline),
    )
  }

  /** Entries of a consume queue: queryConsumeQueue. */
  async consumeQueue(query: ConsumeQueueQuery, options: CallOptions = {}): Promise<ConsumeQueueView> {
    const { queue, index, count = 10, group } = query
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.place({ brokerName: queue.brokerName }, deadline)
    const header = { topic: queue.topic, queueId: queue.queueId, index, count, consumerGroup: group }
    return this.#calls.body(address, brokerAdminRequests.QUERY_CONSUME_QUEUE, { header }, deadline)
  }

  /** Limits how fast a group may read cold data, bytes a second (5.x): updateColdDataFlowCtrGroupConfig. */
  async setColdReadLimit(group: string, limit: number, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const body = `${group}=${limit}\n`
    await each(await this.#calls.places(target, deadline), ({ address }) =>
      this.#calls.ask(address, brokerAdminRequests.UPDATE_COLD_DATA_FLOW_CTR_CONFIG, { body }, deadline),
    )
  }

  /** Takes that limit away (5.x): removeColdDataFlowCtrGroupConfig. */
  async removeColdReadLimit(group: string, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    await each(await this.#calls.places(target, deadline), ({ address }) =>
      this.#calls.ask(address, brokerAdminRequests.REMOVE_COLD_DATA_FLOW_CTR_CONFIG, { body: group }, deadline),
    )
  }

  /** Those limits and what was read, as the broker's JSON text (5.x): getColdDataFlowCtrInfo. */
  async coldReadInfo(target: Target, options: CallOptions = {}): Promise<string> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.place(target, deadline)
    return this.#calls.body(address, brokerAdminRequests.GET_COLD_DATA_FLOW_CTR_INFO, {}, deadline)
  }

  /** Says whether the system reads ahead in the commit log (5.x): setCommitLogReadAheadMode. */
  async setReadAhead(on: boolean, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const header = { READ_AHEAD_MODE: on ? 0 : 1 }
    await each(await this.#calls.places(target, deadline), ({ address }) =>
      this.#calls.ask(address, brokerAdminRequests.SET_COMMITLOG_READ_MODE, { header }, deadline),
    )
  }
}
