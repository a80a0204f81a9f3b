/** The numbers of message types in trace entries: Apache's MessageType. */
export const messageTypes = { normal: 0, transactionHalf: 1, transactionCommit: 2, delay: 3, order: 4 } as const

/** The numbers of a listener's outcomes in trace entries: Apache's ConsumeReturnType. */
export const contextCodes = { success: 0, timeout: 1, exception: 2, returnedNull: 3, failed: 4 } as const

interface EntryHead {
  /** The start of the operation, milliseconds since the epoch. */
  readonly at: number
  readonly region: string
  readonly group: string
}

interface MessageLabels {
  readonly topic: string
  readonly messageId: string
  readonly tags: string | undefined
  readonly keys: string | undefined
  /** `ip:port` of the broker. */
  readonly storeHost: string
}

/** A message that a producer sent. */
export interface PubEntry extends EntryHead, MessageLabels {
  readonly kind: 'Pub'
  readonly bodyLength: number
  readonly costMs: number
  /** One of `messageTypes`. */
  readonly messageType: number
  readonly offsetMessageId: string
  readonly ok: boolean
}

/** A message that is about to be passed to a listener. */
export interface SubBeforeEntry extends EntryHead {
  readonly kind: 'SubBefore'
  /** The same in the SubAfter entry. */
  readonly requestId: string
  readonly messageId: string
  readonly retryTimes: number
  readonly keys: string | undefined
}

/** A message that a listener has finished. */
export interface SubAfterEntry {
  readonly kind: 'SubAfter'
  readonly requestId: string
  readonly messageId: string
  /** The duration of the call divided by its number of messages. */
  readonly costMs: number
  readonly ok: boolean
  readonly keys: string | undefined
  /** One of `contextCodes`. */
  readonly contextCode: number
  /** Clients with access channel CLOUD leave out time and group. */
  readonly at: number | undefined
  readonly group: string | undefined
}

/** The outcome of a transaction, as a producer sent it to the broker. */
export interface EndTransactionEntry extends EntryHead, MessageLabels {
  readonly kind: 'EndTransaction'
  readonly messageType: number
  readonly transactionId: string | undefined
  /** Apache's LocalTransactionState: COMMIT_MESSAGE, ROLLBACK_MESSAGE or UNKNOW. */
  readonly state: string
  readonly fromCheck: boolean
}

/** A timer message that was recalled (5.x). */
export interface RecallEntry extends EntryHead {
  readonly kind: 'Recall'
  readonly topic: string
  readonly messageId: string
  readonly ok: boolean
}

export type TraceEntry = PubEntry | SubBeforeEntry | SubAfterEntry | EndTransactionEntry | RecallEntry

const FIELD_END = '\u0001'
const ENTRY_END = '\u0002'

type TraceValue = string | number | boolean | undefined

// Java prints missing values as "null". Empty strings count as missing too, because Java's String.split drops empty fields at
// the end, and its decoder then reads beyond the array.
function line(...values: readonly TraceValue[]): string {
  return values.map(value => (value === undefined || value === '' ? 'null' : String(value))).join(FIELD_END) + ENTRY_END
}

/** Encodes an entry as Apache's TraceDataEncoder does. */
export function encodeEntry(entry: TraceEntry): string {
  switch (entry.kind) {
    case 'Pub':
      return line(
        ...head(entry),
        ...labels(entry),
        entry.bodyLength,
        entry.costMs,
        entry.messageType,
        entry.offsetMessageId,
        entry.ok,
      )
    case 'SubBefore':
      return line(...head(entry), entry.requestId, entry.messageId, entry.retryTimes, entry.keys)
    case 'SubAfter':
      return encodeSubAfter(entry)
    case 'EndTransaction':
      return line(
        ...head(entry),
        ...labels(entry),
        entry.messageType,
        entry.transactionId,
        entry.state,
        entry.fromCheck,
      )
    default:
      return line(...head(entry), entry.topic, entry.messageId, entry.ok)
  }
}

function head({ kind, at, region, group }: Exclude<TraceEntry, SubAfterEntry>): TraceValue[] {
  return [kind, at, region, group]
}

function labels({ topic, messageId, tags, keys, storeHost }: PubEntry | EndTransactionEntry): TraceValue[] {
  return [topic, messageId, tags, keys, storeHost]
}

function encodeSubAfter(entry: SubAfterEntry): string {
  const { kind, requestId, messageId, costMs, ok, keys, contextCode, at, group } = entry
  const own = [kind, requestId, messageId, costMs, ok, keys, contextCode]
  return at === undefined ? line(...own) : line(...own, at, group)
}

/** The keys of an entry in the trace topic: the id and the keys of its message. */
export function keysOf(entry: TraceEntry): string[] {
  const keys = 'keys' in entry && entry.keys !== undefined ? entry.keys.split(' ') : []
  return [entry.messageId, ...keys.filter(key => key !== '')]
}

/** The entries of a trace message, without those that are unknown or lack fields. */
export function decodeEntries(text: string): TraceEntry[] {
  return text
    .split(ENTRY_END)
    .map(each => decodeEntry(each.split(FIELD_END)))
    .filter(entry => entry !== undefined)
}

const FEWEST_FIELDS: Readonly<Record<string, number>> = {
  Pub: 13,
  SubBefore: 8,
  SubAfter: 6,
  EndTransaction: 13,
  Recall: 7,
}

function decodeEntry(fields: readonly string[]): TraceEntry | undefined {
  const kind = fields[0] ?? ''
  if (!Object.hasOwn(FEWEST_FIELDS, kind) || fields.length < (FEWEST_FIELDS[kind] ?? 0)) return undefined
  const text = (at: number): string => fields[at] ?? ''
  const maybe = (at: number): string | undefined => (text(at) === 'null' || text(at) === '' ? undefined : text(at))
  const number = (at: number): number => Number(text(at))
  const yes = (at: number): boolean => text(at) === 'true'
  if (kind === 'SubAfter') return decodeSubAfter(fields.length, { text, maybe, number, yes })
  const common = { at: number(1), region: text(2), group: text(3) }
  if (kind === 'SubBefore') {
    const message = { messageId: text(5), retryTimes: number(6), keys: maybe(7) }
    return { kind, ...common, requestId: text(4), ...message }
  }
  const subject = { topic: text(4), messageId: text(5) }
  if (kind === 'Recall') return { kind, ...common, ...subject, ok: yes(6) }
  const marks = { tags: maybe(6), keys: maybe(7), storeHost: text(8) }
  if (kind === 'EndTransaction') {
    const end = { messageType: number(9), transactionId: maybe(10), state: text(11), fromCheck: yes(12) }
    return { kind, ...common, ...subject, ...marks, ...end }
  }
  // The oldest clients had no offset id.
  const [offsetMessageId, ok] = fields.length === 13 ? ['', yes(12)] : [text(12), yes(13)]
  const sent = { bodyLength: number(9), costMs: number(10), messageType: number(11), offsetMessageId, ok }
  return { kind: 'Pub', ...common, ...subject, ...marks, ...sent }
}

interface FieldReader {
  readonly text: (at: number) => string
  readonly maybe: (at: number) => string | undefined
  readonly number: (at: number) => number
  readonly yes: (at: number) => boolean
}

function decodeSubAfter(count: number, { text, maybe, number, yes }: FieldReader): SubAfterEntry {
  return {
    kind: 'SubAfter',
    requestId: text(1),
    messageId: text(2),
    costMs: number(3),
    ok: yes(4),
    keys: maybe(5),
    contextCode: count > 6 ? number(6) : contextCodes.success,
    at: count > 7 ? number(7) : undefined,
    group: count > 8 ? maybe(8) : undefined,
  }
}
