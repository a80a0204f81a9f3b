import { consumeRequests, queryRequests } from '@gantrymq/protocol'
import { Deadline } from '../../deadline.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { CallOptions, MessageQueue } from '../../message/message.ts'
import { findMaster } from '../../routes/find-broker.ts'
import type { OffsetStore } from './offset-store.ts'
import { type ConsumeFrom, startOffset } from './start-offset.ts'

/** How long one request about offsets may take, in milliseconds (Apache's timeoutMillis of MQAdminImpl). */
const TIMEOUT_MS = 6000

interface Master {
  readonly address: string
  readonly header: { readonly topic: string; readonly queueId: number; readonly bname: string }
  readonly options: CallOptions
}

/** The master of a queue's broker, and what requests about the queue have in common. @throws ClientError as `findMaster` */
async function masterOf(instance: ClientInstance, queue: MessageQueue, options: CallOptions): Promise<Master> {
  const { topic, brokerName, queueId } = queue
  const deadline = Deadline.of(instance.clock, options, TIMEOUT_MS)
  const address = await findMaster(instance, queue, deadline)
  return { address, header: { topic, queueId, bname: brokerName }, options: deadline.options() }
}

/** The offset of the oldest message of a queue. @throws ClientError */
export async function minOffset(instance: ClientInstance, queue: MessageQueue, given: CallOptions = {}) {
  const { address, header, options } = await masterOf(instance, queue, given)
  return (await instance.call(address, queryRequests.GET_MIN_OFFSET, { header }, options)).header.offset
}

/** The offset that the next message of a queue will get. @throws ClientError */
export async function maxOffset(instance: ClientInstance, queue: MessageQueue, given: CallOptions = {}) {
  const { address, header, options } = await masterOf(instance, queue, given)
  return (await instance.call(address, queryRequests.GET_MAX_OFFSET, { header }, options)).header.offset
}

/**
 * The offset of the first message stored at `time` or later; brokers of 4.9 return the nearest one instead.
 * @param time milliseconds since the epoch
 * @throws ClientError
 */
export async function offsetAt(instance: ClientInstance, queue: MessageQueue, time: number, given: CallOptions = {}) {
  const { address, header: where, options } = await masterOf(instance, queue, given)
  const header = { ...where, timestamp: time }
  return (await instance.call(address, queryRequests.SEARCH_OFFSET_BY_TIMESTAMP, { header }, options)).header.offset
}

/** Commits an offset of a group. When it resolves, the broker has it. @throws ClientError */
export async function commitOffset(
  instance: ClientInstance,
  group: string,
  queue: MessageQueue,
  offset: number,
  given: CallOptions = {},
): Promise<void> {
  const { address, header: where, options } = await masterOf(instance, queue, given)
  const header = { ...where, consumerGroup: group, commitOffset: offset }
  await instance.call(address, consumeRequests.UPDATE_CONSUMER_OFFSET, { header }, options)
}

/** What `findStartOffset` needs of a consumer. */
export interface StartContext {
  readonly instance: ClientInstance
  readonly offsets: OffsetStore
  readonly settings: { readonly consumeFrom: ConsumeFrom }
}

/**
 * The offset at which to start reading a queue; undefined if it cannot be found now. Apache's
 * RebalancePushImpl.computePullFromWhereWithException.
 * @param stored the group's offset as `OffsetStore.read` returns it
 * @throws ClientError
 */
export async function findStartOffset(
  { instance, settings }: StartContext,
  queue: MessageQueue,
  stored: number,
): Promise<number | undefined> {
  const start = startOffset(stored, settings.consumeFrom, queue.topic)
  if (start === 'stored') return stored
  if (start === 'unknown') return undefined
  if (start === 'zero') return 0
  return start === 'max' ? await maxOffset(instance, queue) : await offsetAt(instance, queue, start.time)
}
