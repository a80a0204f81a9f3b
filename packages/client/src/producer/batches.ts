import { batchedSize, encodeBatch, isRetryTopic, MAX_PROPERTIES_LENGTH } from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import type { OutgoingMessage, SendReceipt } from '../message/message.ts'
import { illegal, isDelayed, type PreparedMessage } from './prepared-message.ts'

/** One message of a `sendBatch` call. */
export interface BatchItem<Body> {
  /** Its index in the call. */
  readonly index: number
  readonly message: OutgoingMessage<Body>
  readonly prepared: PreparedMessage
}

/** Messages that are sent in one request. */
export type Batch<Body> = readonly [BatchItem<Body>, ...BatchItem<Body>[]]

/**
 * Some messages of a batch were stored and others were not. `receipts` has the receipts of the stored ones at the indexes of
 * their messages; send only the others again. `cause` is the first failure.
 */
export class BatchError extends ClientError {
  override readonly name = 'BatchError'
  readonly receipts: readonly (SendReceipt | undefined)[]

  constructor(cause: ClientError, receipts: readonly (SendReceipt | undefined)[]) {
    const stored = receipts.filter(receipt => receipt !== undefined).length
    const { responseCode, remark, address, retriable } = cause
    const text = `${stored} of ${receipts.length} messages were stored, the others were not: ${cause.message}`
    super('SEND_FAILED', text, { cause, responseCode, remark, address, retriable })
    this.receipts = receipts
  }
}

/**
 * Refuses what Apache's MessageBatch.generateFromList refuses, and timer messages, which brokers would deliver at once.
 * @throws ClientError MESSAGE_ILLEGAL
 */
export function checkBatchable(message: OutgoingMessage<unknown>): void {
  if (isDelayed(message)) throw illegal('a message of a batch cannot be delayed: send it alone')
  if (isRetryTopic(message.topic)) throw illegal('a message of a batch cannot go to a retry topic: send it alone')
}

/**
 * Groups the messages that may share a batch, in their order: those with the same topic, `waitStored` and sharding key. The
 * latter have to reach their queue in order.
 */
export function groupsOf<Body>(items: readonly BatchItem<Body>[]): BatchItem<Body>[][] {
  const groups = new Map<string, BatchItem<Body>[]>()
  for (const item of items) {
    const { waitStored = true, shardingKey } = item.message
    const name = `${item.prepared.topic} ${waitStored} ${shardingKey === undefined ? '' : `=${shardingKey}`}`
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [item])
    else group.push(item)
  }
  return [...groups.values()]
}

/**
 * The most messages in a request. The header of the answer lists their ids, of 32 characters each, or 56 if the broker has an
 * IPv6 address, and may have 65,536 bytes.
 */
const MAX_IN_BATCH = 1000

/**
 * Brokers append the properties of a batch, and some of their own, to those of each message. 4.9 brokers do not check that
 * the result fits: they answer with success, but that message and all that follow it in the commit log are unreadable.
 */
const LONG_PROPERTIES = MAX_PROPERTIES_LENGTH - 1024

function hasLongProperties({ prepared: { properties } }: BatchItem<unknown>): boolean {
  return properties.length * 3 > LONG_PROPERTIES && Buffer.byteLength(properties) > LONG_PROPERTIES
}

/** Splits a group into batches of at most `maxBytes`. A message that is larger, or has long properties, is sent alone. */
export function batchesOf<Body>(group: readonly BatchItem<Body>[], maxBytes: number): Batch<Body>[] {
  const batches: [BatchItem<Body>, ...BatchItem<Body>[]][] = []
  let room = 0
  for (const item of group) {
    const size = hasLongProperties(item) ? Number.POSITIVE_INFINITY : batchedSize(item.prepared)
    const last = batches.at(-1)
    const batch = last !== undefined && size <= room && last.length < MAX_IN_BATCH ? last : undefined
    if (batch === undefined) batches.push([item])
    else batch.push(item)
    room = (batch === undefined ? maxBytes : room) - size
  }
  return batches
}

/** A batch as one message. */
export function batchMessage<Body>(batch: Batch<Body>, properties: string, messageId: string): PreparedMessage {
  const parts = batch.map(({ prepared }) => prepared)
  return { ...batch[0].prepared, body: encodeBatch(parts), flag: 0, sysFlag: 0, messageId, properties, parts }
}

/** The receipts of the messages of a batch. */
export function receiptsOf<Body>(batch: Batch<Body>, receipt: SendReceipt): SendReceipt[] {
  if (batch.length === 1) return [receipt]
  // A batch that a 5.x broker stores as one record has one id.
  const ids = receipt.offsetMessageId.split(',')
  return batch.map(({ prepared }, index) => ({
    ...receipt,
    messageId: prepared.messageId,
    offsetMessageId: ids[index] ?? (ids[0] as string),
    queueOffset: receipt.queueOffset + index,
  }))
}
