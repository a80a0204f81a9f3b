import { inSlices } from '@gantrymq/daemon'
import { type RegisterBrokerBody, readRegistration, type TopicConfig } from '@gantrymq/protocol'
import type { Sliced } from '@gantrymq/remoting'
import { differenceOf, type ReadBody } from './body-difference.ts'
import { scanTable } from './scan.ts'

/** Senders from this release on send a RegisterBrokerBody, older ones the bare topic table: V3_0_11. */
const FIRST_WITH_WRAPPER = 37

export interface RegistrationBodyForm {
  /** The sender's release as a number. */
  readonly version: number
  /** The bytes are the inflated parts of a compressed body. */
  readonly compressed: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly maxTopics: number
}

/** A registration body without its topics. */
export type RegistrationOutline = Omit<RegisterBrokerBody, 'topics'>

export interface RegistrationReading extends RegistrationOutline {
  /** All topics, or those that may differ from the previous body. */
  readonly topics: readonly TopicConfig[]
  /** Topics in the body. */
  readonly count: number
  /** For the comparison with the next body; undefined if this one is too unusual for it. */
  readonly read: ReadBody | undefined
}

const TABLE = Buffer.from('"topicConfigTable":{')
/** One topic. If the general reader finds it, the table is where that reader looks for it. */
const PROBE = Buffer.from('"?":{"topicName":"?"}')
/** What closes the table, the wrapper and the body. */
const CLOSING = Buffer.from('}}}')
/** Most bytes before the table, and most bytes after it, for the fast readers. */
const OUTLINE_LIMIT = 64 * 1024

/**
 * A registration without its topics, read from the bytes before them, where Java's member order puts everything else.
 * Undefined if the body has another layout.
 */
export function* outlineOf(bytes: Buffer, form: RegistrationBodyForm): Sliced<RegistrationOutline | undefined> {
  const start = tableStartOf(bytes, form)
  return start < 0 ? undefined : yield* readAround(bytes, start, CLOSING, form)
}

/**
 * Reads a registration in slices. If the body differs little from the last one, only the range that differs is read.
 * @param last The last body of the same broker, if the table still has exactly its topics.
 * @throws RemotingError BAD_BODY
 */
export function* readTopics(
  bytes: Buffer,
  form: RegistrationBodyForm,
  last: ReadBody | undefined,
): Sliced<RegistrationReading> {
  const start = tableStartOf(bytes, form)
  const quick =
    start < 0 ? undefined : ((yield* readDifference(bytes, start, form, last)) ?? (yield* scan(bytes, start, form)))
  if (quick !== undefined) return quick
  const body = yield* readRegistration(bytes, form)
  return { ...body, topics: [...body.topics.values()], count: body.topics.size, read: undefined }
}

function* readDifference(
  bytes: Buffer,
  start: number,
  form: RegistrationBodyForm,
  last: ReadBody | undefined,
): Sliced<RegistrationReading | undefined> {
  const difference = last && (yield* differenceOf(last, bytes, start))
  return difference && (yield* withOutline(difference.body, difference.topics, form))
}

function* scan(bytes: Buffer, start: number, form: RegistrationBodyForm): Sliced<RegistrationReading | undefined> {
  const table = yield* scanTable(bytes, start)
  if (table === undefined || table.topics.length > form.maxTopics) return undefined
  const { topics, offsets, end } = table
  // Two entries for one topic: the general reader knows which of them counts.
  const names = new Set<string>()
  yield* inSlices(topics, ({ topicName }) => names.add(topicName))
  if (names.size !== topics.length) return undefined
  return yield* withOutline({ bytes, tableStart: start, tableEnd: end, offsets }, topics, form)
}

function* withOutline(
  read: ReadBody,
  topics: readonly TopicConfig[],
  form: RegistrationBodyForm,
): Sliced<RegistrationReading | undefined> {
  const outline = yield* readAround(read.bytes, read.tableStart, read.bytes.subarray(read.tableEnd), form)
  return outline && { ...outline, topics, count: read.offsets.length, read }
}

function tableStartOf(bytes: Buffer, form: RegistrationBodyForm): number {
  if (form.compressed || form.version < FIRST_WITH_WRAPPER) return -1
  const at = bytes.subarray(0, OUTLINE_LIMIT).indexOf(TABLE)
  return at < 0 ? -1 : at + TABLE.length
}

/**
 * Has the general reader read the body with only the probe in its table, so that it handles all unusual cases as
 * always.
 */
function* readAround(
  bytes: Buffer,
  tableStart: number,
  rest: Buffer,
  form: RegistrationBodyForm,
): Sliced<RegistrationOutline | undefined> {
  if (rest.length > OUTLINE_LIMIT) return undefined
  try {
    const { topics, ...outline } = yield* readRegistration(
      Buffer.concat([bytes.subarray(0, tableStart), PROBE, rest]),
      form,
    )
    return topics.size === 1 && topics.has('?') ? outline : undefined
  } catch {
    return undefined
  }
}
