import { brokerAdminRequests, type ConsumeQueueView, type KVTable } from '@gantrymq/protocol'
import type { RequestDeclaration } from '@gantrymq/remoting'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import { type AdminCalls, askEach, type Target } from './calls.ts'

/** The part of a consume queue to show. */
export interface ConsumeQueueQuery {
  readonly queue: MessageQueue
  readonly index: number
  /** Default 10. */
  readonly count?: number
  /** Also evaluates the filter of this group for each entry. */
  readonly group?: string
}

type Cleaning = (typeof brokerAdminRequests)[
  | 'CLEAN_UNUSED_TOPIC'
  | 'CLEAN_EXPIRED_CONSUMEQUEUE'
  | 'DELETE_EXPIRED_COMMITLOG']

/** The state and files of brokers. Settings are in `admin.config`. */
export class Brokers {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** Counters and states by Apache's names, as strings: fetchBrokerRuntimeStats. */
  async runtimeInfo(target: Target, options: CallOptions = {}): Promise<KVTable> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#calls.body(address, brokerAdminRequests.GET_BROKER_RUNTIME_INFO, {}, deadline)
  }

  /** Deletes the files of consume queues whose messages are gone: cleanExpiredConsumerQueue. */
  cleanExpiredConsumeQueues(target: Target, options: CallOptions = {}): Promise<void> {
    return this.#clean(brokerAdminRequests.CLEAN_EXPIRED_CONSUMEQUEUE, target, options)
  }

  /** Deletes the consume queues of topics that no longer exist: cleanUnusedTopic. */
  cleanUnusedTopics(target: Target, options: CallOptions = {}): Promise<void> {
    return this.#clean(brokerAdminRequests.CLEAN_UNUSED_TOPIC, target, options)
  }

  /** Deletes the expired files of the commit log: deleteExpiredCommitLog. */
  deleteExpiredCommitLog(target: Target, options: CallOptions = {}): Promise<void> {
    return this.#clean(brokerAdminRequests.DELETE_EXPIRED_COMMITLOG, target, options)
  }

  async #clean(declaration: Cleaning & RequestDeclaration, target: Target, options: CallOptions): Promise<void> {
    const deadline = this.#calls.deadline(options, 3)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, declaration, {}, deadline),
    )
  }

  /** The entries of a consume queue: queryConsumeQueue. */
  async consumeQueue(query: ConsumeQueueQuery, options: CallOptions = {}): Promise<ConsumeQueueView> {
    const { queue, index, count = 10, group } = query
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf({ brokerName: queue.brokerName }, deadline)
    const header = { topic: queue.topic, queueId: queue.queueId, index, count, consumerGroup: group }
    return this.#calls.body(address, brokerAdminRequests.QUERY_CONSUME_QUEUE, { header }, deadline)
  }

  /** Limits how fast a group may read cold data, bytes per second (5.x): updateColdDataFlowCtrGroupConfig. */
  async setColdReadLimit(group: string, limit: number, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const body = `${group}=${limit}\n`
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, brokerAdminRequests.UPDATE_COLD_DATA_FLOW_CTR_CONFIG, { body }, deadline),
    )
  }

  /** Removes a group's limit for cold data (5.x): removeColdDataFlowCtrGroupConfig. */
  async removeColdReadLimit(group: string, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, brokerAdminRequests.REMOVE_COLD_DATA_FLOW_CTR_CONFIG, { body: group }, deadline),
    )
  }

  /** The limits for cold data and what was read, as the broker's JSON (5.x): getColdDataFlowCtrInfo. */
  async coldReadInfo(target: Target, options: CallOptions = {}): Promise<string> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#calls.body(address, brokerAdminRequests.GET_COLD_DATA_FLOW_CTR_INFO, {}, deadline)
  }

  /** Sets whether the operating system reads ahead in the commit log (5.x): setCommitLogReadAheadMode. */
  async setReadAhead(on: boolean, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const header = { READ_AHEAD_MODE: on ? 0 : 1 }
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, brokerAdminRequests.SET_COMMITLOG_READ_MODE, { header }, deadline),
    )
  }
}
