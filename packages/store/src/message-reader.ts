import type { LogBytes } from './log/log-bytes.ts'
import type { ConsumeQueue, UnitsView } from './queues/consume-queue.ts'
import { PRE_BLANK_SIZE, UNIT_BYTES, unitPosition, unitSize } from './queues/queue-unit.ts'
import { isFull, type ReadLimits } from './read-limits.ts'

/**
 * How a read ended, in the words of Apache's GetMessageStatus, which are the remarks of pull answers. Its NO_MATCHED_LOGIC_QUEUE
 * and OFFSET_FOUND_NULL do not occur: there is no read without a queue, and a damaged unit is passed over.
 */
export type ReadStatus =
  | 'FOUND'
  /** Messages were looked at, and none was wanted. */
  | 'NO_MATCHED_MESSAGE'
  /** The records were deleted while the queue still pointed to them. */
  | 'MESSAGE_WAS_REMOVING'
  | 'OFFSET_OVERFLOW_BADLY'
  /** The offset is that of the next message to come. */
  | 'OFFSET_OVERFLOW_ONE'
  | 'OFFSET_TOO_SMALL'
  | 'NO_MESSAGE_IN_QUEUE'

export interface ReadQuery {
  readonly queue: ConsumeQueue
  /** Of the first message. */
  readonly offset: number
  /** One message is always returned, whatever this and `maxBytes` are. */
  readonly maxMessages: number
  readonly maxBytes: number
  /** Called with the code of a message's tags; undefined if it is unknown. Default: all messages are wanted. */
  readonly accepts?: ((tagsCode: number | undefined) => boolean) | undefined
  /** False: if nothing is found before something that is not in memory, that is not loaded either. Default true. */
  readonly mayLoad?: boolean
}

/** The result of a read. Make one and use it for every read; it is valid until the next one. */
export class Found {
  status: ReadStatus = 'NO_MESSAGE_IN_QUEUE'
  /** Where the next read of the queue goes on. */
  nextOffset = 0
  minOffset = 0
  maxOffset = 0
  count = 0
  /** Of all records. */
  bytes = 0
  /** Of each record in the log. The first `count` count. */
  positions = new Float64Array(32)
  /** Bytes of each record. */
  sizes = new Int32Array(32)
  /** True if the consumer is so far behind that its messages are likely on disk only: a slave should serve it. */
  suggestSlave = false
  /**
   * Set by a read that returned `LOADING`: read again when it has resolved. It rejects if the disk fails. Undefined if the read was
   * not to load anything.
   */
  loading: Promise<void> | undefined
  #log: LogBytes | undefined

  /** Forgets the result of the last read. For the reader. */
  begin(queue: ConsumeQueue, log: LogBytes): void {
    this.#log = log
    this.minOffset = queue.minOffset
    this.maxOffset = queue.maxOffset
    this.count = 0
    this.bytes = 0
    this.suggestSlave = false
    this.loading = undefined
  }

  /** Adds a record. For the reader. */
  add(position: number, size: number): void {
    if (this.count === this.positions.length) this.#grow()
    this.positions[this.count] = position
    this.sizes[this.count] = size
    this.count++
    this.bytes += size
  }

  #grow(): void {
    const positions = new Float64Array(this.count * 2)
    const sizes = new Int32Array(this.count * 2)
    positions.set(this.positions)
    sizes.set(this.sizes)
    this.positions = positions
    this.sizes = sizes
  }

  /**
   * Copies all records, one behind the other, in the turn of the event loop in which they were found.
   * @param at Where in `out` the first one goes; there must be room for `bytes`
   * @returns Where the last one ends
   */
  copyTo(out: Buffer, at: number): number {
    let end = at
    for (let index = 0; index < this.count; ) {
      // Records that follow each other in the log are copied together.
      const start = this.positions[index] as number
      let size = this.sizes[index++] as number
      while (index < this.count && this.positions[index] === start + size) size += this.sizes[index++] as number
      this.#log?.copy(start, size, out, end)
      end += size
    }
    return end
  }

  /** A copy of one record, in the turn of the event loop in which it was found. */
  record(index: number): Buffer {
    const size = this.sizes[index] as number
    const copy = Buffer.allocUnsafe(size)
    this.#log?.copy(this.positions[index] as number, size, copy, 0)
    return copy
  }
}

export interface MessageReaderParts {
  readonly log: LogBytes
  readonly limits: ReadLimits
  /** Bytes of the newest part of the log that are likely in memory [accessMessageInMemoryMaxRatio of the machine's]. */
  readonly hotBytes: number
  /** Start of the log file behind the one with this position. */
  readonly nextFile: (position: number) => number
  /** Replaces a unit that leads to no record by the right one; by one that is passed over if there is none. */
  readonly repair: (queue: ConsumeQueue, offset: number) => Promise<void>
}

/** Why a read ends before its end: what must be read from the disk first, or a unit that leads to no record. */
type Missing = 'units' | 'tags' | 'record' | 'repair'

/** Bytes of units that one read looks at, at least: as in Apache's DefaultMessageStore.getMessage. */
const MIN_SCANNED_BYTES = 16_000
/**
 * Units that one read looks at, at most. In Apache it is as many as the consumer asks for: here a read that must wait for the disk
 * begins again, and what it has looked at must still be in memory then.
 */
const MAX_SCANNED_UNITS = 8_000

/**
 * Reads messages of a queue: Apache's DefaultMessageStore.getMessage, condition by condition. Everything that is in memory is read
 * without waiting and without an object for each message.
 */
export class MessageReader {
  readonly #parts: MessageReaderParts
  readonly #view: UnitsView = { bytes: Buffer.alloc(0), at: 0 }

  constructor(parts: MessageReaderParts) {
    this.#parts = parts
  }

  /** @returns `LOADING` if nothing was found before something that must be read from the disk first: see `found.loading` */
  read(query: ReadQuery, found: Found): ReadStatus | 'LOADING' {
    const { queue, offset } = query
    found.begin(queue, this.#parts.log)
    const { minOffset, maxOffset } = found
    if (maxOffset === 0) return ended(found, 'NO_MESSAGE_IN_QUEUE', 0)
    if (offset < minOffset) return ended(found, 'OFFSET_TOO_SMALL', minOffset)
    if (offset === maxOffset) return ended(found, 'OFFSET_OVERFLOW_ONE', offset)
    if (offset > maxOffset) return ended(found, 'OFFSET_OVERFLOW_BADLY', maxOffset)
    return this.#scan(query, found)
  }

  #scan(
    { queue, offset, maxMessages, maxBytes, accepts, mayLoad = true }: ReadQuery,
    found: Found,
  ): ReadStatus | 'LOADING' {
    const { log, limits, hotBytes, nextFile } = this.#parts
    const allowed = { maxMessages, maxBytes }
    const end = Math.min(found.maxOffset, offset + scannedUnits(maxMessages))
    let status: ReadStatus = 'NO_MATCHED_MESSAGE'
    let next = offset
    let skipTo = Number.NEGATIVE_INFINITY
    let position = 0
    let at = 0
    // No closure says what is missing: V8 would allocate the variables that it uses again for each message.
    let missing: Missing | undefined
    scan: while (next < end) {
      const units = Math.min(queue.unitsAt(next, this.#view), end - next)
      if (units === 0) {
        missing = 'units'
        break
      }
      const { bytes, at: first } = this.#view
      for (at = first; at < first + units * UNIT_BYTES; at += UNIT_BYTES, next++) {
        position = unitPosition(bytes, at)
        const size = unitSize(bytes, at)
        if (position < skipTo || size === PRE_BLANK_SIZE) continue
        if (isFull(found, allowed, limits, size, log.safe - position > hotBytes)) break scan
        if (accepts !== undefined) {
          const tags = queue.tagsCode(bytes, at)
          if (tags === 'LOADING') {
            missing = 'tags'
            break scan
          }
          if (!accepts(tags)) continue
        }
        const exists = size > 0 && size <= log.largestRecord && log.exists(position, size)
        if (!exists && size > 0 && position >= 0 && log.isGone(position)) {
          if (found.count === 0) status = 'MESSAGE_WAS_REMOVING'
          skipTo = nextFile(position)
          continue
        }
        if (exists && !log.has(position, size)) {
          missing = 'record'
          break scan
        }
        if (!exists || !log.isRecord(position, size)) {
          missing = 'repair'
          break scan
        }
        found.add(position, size)
        status = 'FOUND'
        skipTo = Number.NEGATIVE_INFINITY
      }
    }
    if (missing !== undefined && found.count === 0) {
      found.loading = mayLoad ? this.#load(missing, queue, next, at) : undefined
      return 'LOADING'
    }
    // The next read needs it, and then waits a shorter time, or not at all.
    if (missing === 'record') log.loadSoon(position, unitSize(this.#view.bytes, at))
    // If it fails, that read fails.
    else if (missing !== undefined && mayLoad) this.#load(missing, queue, next, at).catch(() => {})
    found.suggestSlave = log.safe - position > hotBytes
    return ended(found, status, next)
  }

  /** Loads what the unit with this offset, at `at` of the view, needs. */
  #load(missing: Missing, queue: ConsumeQueue, offset: number, at: number): Promise<void> {
    const { log, repair } = this.#parts
    const { bytes } = this.#view
    if (missing === 'units') return queue.load(offset)
    if (missing === 'tags') return queue.loadTags(bytes, at)
    return missing === 'record' ? log.load(unitPosition(bytes, at), unitSize(bytes, at)) : repair(queue, offset)
  }
}

function scannedUnits(maxMessages: number): number {
  return Math.min(Math.max(MIN_SCANNED_BYTES / UNIT_BYTES, maxMessages), MAX_SCANNED_UNITS)
}

function ended(found: Found, status: ReadStatus, nextOffset: number): ReadStatus {
  found.status = status
  found.nextOffset = nextOffset
  return status
}
