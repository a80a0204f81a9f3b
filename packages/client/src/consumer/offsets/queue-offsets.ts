import { consumeRequests, queryRequests } from '@gantrymq/protocol'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { Deadline } from '../../deadline.ts'
import type { CallOptions, MessageQueue } from '../../message/message.ts'
import { findMaster } from '../../routes/find-broker.ts'
import type { OffsetStore } from './broker-offsets.ts'
import { type ConsumeFrom, startOffset, type StartOffset } from './start-offset.ts'

/** How long one question about offsets may take, milliseconds (Apache's timeoutMillis of MQAdminImpl). */
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

/** Offset of the oldest message of a queue. @throws ClientError */
export async function minOffset(instance: ClientInstance, queue: MessageQueue, given: CallOptions = {}) {
  const { address, header, options } = await masterOf(instance, queue, given)
  return (await instance.call(address, queryRequests.GET_MIN_OFFSET, { header }, options)).header.offset
}

/** Offset that the next message of a queue will have. @throws ClientError */
export async function maxOffset(instance: ClientInstance, queue: MessageQueue, given: CallOptions = {}) {
  const { address, header, options } = await masterOf(instance, queue, given)
  return (await instance.call(address, queryRequests.GET_MAX_OFFSET, { header }, options)).header.offset
}

/**
 * Offset of the first message stored at a time or later; brokers of 4.9 give the nearest. Milliseconds since the epoch.
 * @throws ClientError
 */
export async function offsetAt(instance: ClientInstance, queue: MessageQueue, time: number, given: CallOptions = {}) {
  const { address, header: where, options } = await masterOf(instance, queue, given)
  const header = { ...where, timestamp: time }
  return (await instance.call(address, queryRequests.SEARCH_OFFSET_BY_TIMESTAMP, { header }, options)).header.offset
}

/** Commits an offset of a group, and knows that the broker has it. @throws ClientError */
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

/** What decides where a consumer begins with a queue. */
export interface Beginning {
  readonly instance: ClientInstance
  readonly offsets: OffsetStore
  readonly settings: { readonly consumeFrom: ConsumeFrom }
}

/**
 * Where to begin with a queue (spec client 4.15); undefined if that cannot be told now.
 * @param stored the group's own offset, or why there is none
 * @throws ClientError
 */
export async function beginningOf(from: Beginning, queue: MessageQueue, stored: number): Promise<number | undefined> {
  const decision: StartOffset = startOffset(stored, from.settings.consumeFrom, queue.topic)
  if (decision === 'stored') return stored
  if (decision === 'unknown') return undefined
  if (decision === 'zero') return 0
  return decision === 'max'
    ? await maxOffset(from.instance, queue)
    : await offsetAt(from.instance, queue, decision.time)
}
