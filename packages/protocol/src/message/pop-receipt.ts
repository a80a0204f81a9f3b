import { RemotingError } from '@gantrymq/remoting'
import { RETRY_PREFIX } from '../topic-name.ts'

/** The topic that stores a popped message: 0 the topic itself, 1 `%RETRY%group_topic`, 2 `%RETRY%group+topic`. */
export type PopRetry = '0' | '1' | '2'

/** The receipt that acknowledges a popped message: property POP_CK, Apache's ExtraInfoUtil and the SDKs' receipt handle. */
export interface PopReceipt {
  /** First queue offset of the pop that delivered the message. */
  readonly startOffset: number
  /** Milliseconds since the epoch, the broker's clock. */
  readonly popTime: number
  readonly invisibleMs: number
  readonly reviveQueueId: number
  readonly retry: PopRetry
  readonly brokerName: string
  readonly queueId: number
  /** Of the message; old brokers leave it out. */
  readonly queueOffset?: number | undefined
}

/** Revive queue id of ordered pops, which are acknowledged differently from others. */
export const POP_ORDER_REVIVE_QUEUE = 999

/** The text of a receipt. */
export function writePopReceipt(receipt: PopReceipt): string {
  const { startOffset, popTime, invisibleMs, reviveQueueId, retry, brokerName, queueId, queueOffset } = receipt
  const text = `${startOffset} ${popTime} ${invisibleMs} ${reviveQueueId} ${retry} ${brokerName} ${queueId}`
  return queueOffset === undefined ? text : `${text} ${queueOffset}`
}

/** @throws RemotingError BAD_BODY if the text is not a receipt */
export function readPopReceipt(text: string): PopReceipt {
  const parts = text.split(' ')
  const [startOffset, popTime, invisibleMs, reviveQueueId, retry, brokerName, queueId, queueOffset] = parts
  if (parts.length < 7 || brokerName === undefined) throw bad('receipt', text)
  return {
    startOffset: whole(startOffset, 'receipt', text),
    popTime: whole(popTime, 'receipt', text),
    invisibleMs: whole(invisibleMs, 'receipt', text),
    reviveQueueId: whole(reviveQueueId, 'receipt', text),
    retry: retryOf(retry, 'receipt', text),
    brokerName,
    queueId: whole(queueId, 'receipt', text),
    queueOffset: queueOffset === undefined ? undefined : whole(queueOffset, 'receipt', text),
  }
}

/** The topic that stores a popped message; acknowledgements must name it. */
export function popTopic(retry: PopRetry, topic: string, group: string): string {
  if (retry === '0') return topic
  return `${RETRY_PREFIX}${group}${retry === '1' ? '_' : '+'}${topic}`
}

/** The retry form of a topic name. */
export function popRetryOf(topic: string): PopRetry {
  if (!topic.startsWith(RETRY_PREFIX)) return '0'
  return topic.includes('+') ? '2' : '1'
}

/** Key of a queue in the tables below. */
export function popQueueKey(retry: PopRetry, queueId: number): string {
  return `${retry}@${queueId}`
}

/** Key of one message in the table of `readOrderCounts`. */
export function popMessageKey(retry: PopRetry, queueId: number, queueOffset: number): string {
  return `${retry}@qo${queueId}%${queueOffset}`
}

/**
 * `startOffsetInfo` of a pop's answer: first offset by `popQueueKey`.
 * @throws RemotingError BAD_BODY
 */
export function readStartOffsets(text: string): Map<string, number> {
  return readTable(text, 'startOffsetInfo', value => whole(value, 'startOffsetInfo', text))
}

/**
 * `msgOffsetInfo`: offsets of the messages by `popQueueKey`, in the order of the messages.
 * @throws RemotingError BAD_BODY
 */
export function readMessageOffsets(text: string): Map<string, number[]> {
  return readTable(text, 'msgOffsetInfo', value => value.split(',').map(offset => whole(offset, 'msgOffsetInfo', text)))
}

/**
 * `orderCountInfo`: how often a queue (`popQueueKey`) or a message (`popMessageKey`) was delivered before.
 * @throws RemotingError BAD_BODY
 */
export function readOrderCounts(text: string): Map<string, number> {
  return readTable(text, 'orderCountInfo', value => whole(value, 'orderCountInfo', text))
}

/** Entries `retry queue value`, joined by `;`. */
function readTable<T>(text: string, field: string, read: (value: string) => T): Map<string, T> {
  const table = new Map<string, T>()
  if (text === '') return table
  // Java's split drops empty parts at the end. A regular expression would try each run of separators from each of its starts.
  let end = text.length
  while (text[end - 1] === ';') end--
  for (const entry of text.slice(0, end).split(';')) {
    const [retry, queue, value, ...rest] = entry.split(' ')
    const key = `${retry}@${queue}`
    if (value === undefined || rest.length > 0 || table.has(key)) throw bad(field, text)
    table.set(key, read(value))
  }
  return table
}

const WHOLE = /^-?\d{1,16}$/

function whole(part: string | undefined, what: string, text: string): number {
  const value = part !== undefined && WHOLE.test(part) ? Number(part) : Number.NaN
  if (!Number.isSafeInteger(value)) throw bad(what, text)
  return value
}

function retryOf(part: string | undefined, what: string, text: string): PopRetry {
  if (part !== '0' && part !== '1' && part !== '2') throw bad(what, text)
  return part
}

function bad(what: string, text: string): RemotingError {
  return new RemotingError('BAD_BODY', `the pop's ${what} cannot be read: ${JSON.stringify(text.slice(0, 200))}`)
}
