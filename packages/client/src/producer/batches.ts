import { batchedSize, encodeBatch, isRetryTopic, MAX_PROPERTIES_LENGTH } from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import type { OutgoingMessage, SendReceipt } from '../message/message.ts'
import { illegal, isDelayed, type PreparedMessage } from './prepared-message.ts'

/** One message of a call of `sendBatch`. */
export interface BatchItem<Body> {
  /** Its place in the call. */
  readonly index: number
  readonly message: OutgoingMessage<Body>
  readonly prepared: PreparedMessage
}

/** Messages that go in one request. */
export type Pack<Body> = readonly [BatchItem<Body>, ...BatchItem<Body>[]]

/**
 * Not all messages of a batch were stored. Those that were have their receipts, at their places in the call; send only the
 * others again. `cause` is the first failure.
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

/** What Apache refuses in batches (spec client 3.9), and timers too: brokers would deliver such a batch at once. */
export function checkBatchable(message: OutgoingMessage<unknown>): void {
  if (isDelayed(message)) throw illegal('TimeDelayLevel is not supported for batching')
  if (isRetryTopic(message.topic)) throw illegal('Retry Group is not supported for batching')
}

/**
 * Messages that may share a batch, in their order: of one topic, one `waitStored` and, as they must reach their queue in
 * order, one sharding key.
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
 * Messages in a request. A broker names all of their ids in the header of its answer, of 32 letters each or, where it has an
 * IPv6 address, 56: a header may have 65,536 bytes.
 */
const MAX_IN_PACK = 1000

/**
 * Brokers append the properties of a batch, and some of their own, to those of each message. Those of 4.9 do not look whether
 * they fit then: such a message and what follows it in the commit log cannot be read any more, although all was answered
 * with success.
 */
const LONG_PROPERTIES = MAX_PROPERTIES_LENGTH - 1024

function hasLongProperties({ prepared: { properties } }: BatchItem<unknown>): boolean {
  return properties.length * 3 > LONG_PROPERTIES && Buffer.byteLength(properties) > LONG_PROPERTIES
}

/** A group in packs of at most so many bytes. A message that is larger by itself, or has long properties, goes alone. */
export function packsOf<Body>(group: readonly BatchItem<Body>[], maxBytes: number): Pack<Body>[] {
  const packs: [BatchItem<Body>, ...BatchItem<Body>[]][] = []
  let room = 0
  for (const item of group) {
    const size = hasLongProperties(item) ? Number.POSITIVE_INFINITY : batchedSize(item.prepared)
    const last = packs.at(-1)
    const pack = last !== undefined && size <= room && last.length < MAX_IN_PACK ? last : undefined
    if (pack === undefined) packs.push([item])
    else pack.push(item)
    room = (pack === undefined ? maxBytes : room) - size
  }
  return packs
}

/** A pack as one message. */
export function packed<Body>(pack: Pack<Body>, properties: string, messageId: string): PreparedMessage {
  const parts = pack.map(({ prepared }) => prepared)
  return { ...pack[0].prepared, body: encodeBatch(parts), flag: 0, sysFlag: 0, messageId, properties, parts }
}

/** The receipts of the messages of a pack. */
export function receiptsOf<Body>(pack: Pack<Body>, receipt: SendReceipt): SendReceipt[] {
  if (pack.length === 1) return [receipt]
  // A batch that 5.x stores as one record has one id.
  const ids = receipt.offsetMessageId.split(',')
  return pack.map(({ prepared }, index) => ({
    ...receipt,
    messageId: prepared.messageId,
    offsetMessageId: ids[index] ?? (ids[0] as string),
    queueOffset: receipt.queueOffset + index,
  }))
}
