import { MESSAGE_MAGIC_V1, MESSAGE_MAGIC_V2 } from '@gantrymq/protocol'
import type { Segment } from '../files/segment.ts'
import type { SegmentList } from '../files/segment-list.ts'
import { RecordReader } from './record-check.ts'
import { BLANK_BYTES, BLANK_MAGIC, readLong } from './record-layout.ts'

/** Bytes read at once. */
const WINDOW_BYTES = 4 << 20
// A new store reads nothing, and takes no memory for it.
const NO_BYTES: Buffer = Buffer.alloc(0)

export interface LogScanOptions {
  readonly segments: SegmentList
  /** Whether to compute the CRC of the bodies of records at this position. */
  readonly checkCrc: (position: number) => boolean
  /** Damage below this position is passed over, because what is behind it was on the disk: anything else ends the log. */
  readonly trustedBelow: number
  /** Called for each record, which was read from `bytes`. Both are valid during the call. */
  readonly onRecord: (record: RecordReader, bytes: Buffer, position: number) => void
  /** Called for damage that was passed over, which ends at `to`. */
  readonly onDamage: (position: number, to: number, problem: string) => void
  /** Called after each window; the scan goes on when it has resolved. */
  readonly onWindow: () => Promise<void>
  /** Bytes read at once. Default 4 MiB. */
  readonly windowBytes?: number
}

/** A window that is being read while the one before it is scanned. */
interface Ahead {
  readonly segment: Segment
  readonly from: number
  readonly to: number
  /** False if it could not be read. */
  readonly isRead: Promise<boolean>
}

/**
 * Reads the log record by record, and finds its end: Apache's CommitLog.recoverNormally and recoverAbnormally.
 */
export class LogScan {
  readonly #options: LogScanOptions
  readonly #reader = new RecordReader()
  readonly #windowBytes: number
  /** A window is read into its second half, so that the record which the window before it cuts has room in front. */
  #memory = NO_BYTES
  /** The same for the window that is read ahead. */
  #spare = NO_BYTES
  #window = NO_BYTES
  #ahead: Ahead | undefined
  #segment: Segment | undefined
  /** Position of the window in the log. */
  #from = 0
  #to = 0

  constructor(options: LogScanOptions) {
    this.#options = options
    this.#windowBytes = Math.min(options.windowBytes ?? WINDOW_BYTES, options.segments.size)
  }

  /**
   * Reads from a position at which a record begins, or a file.
   * @returns Position behind the last record; the start of the next file if the last one is complete
   */
  async run(from: number): Promise<number> {
    try {
      return await this.#scan(from)
    } finally {
      await this.#ahead?.isRead
    }
  }

  async #scan(from: number): Promise<number> {
    const { segments } = this.#options
    let end = from
    let at: number | undefined = from
    while (at !== undefined) {
      const segment: Segment | undefined = segments.find(at) ?? segments.next(at)
      if (segment === undefined || (segment.start > end && end >= this.#options.trustedBelow)) return end
      const stop = await this.#scanSegment(segment, Math.max(at, segment.start))
      if (stop.end !== undefined) end = stop.end
      at = stop.next
    }
    return end
  }

  /** @returns The end of the last record that was found, and where to go on; nowhere if the log ends in this file */
  async #scanSegment(segment: Segment, from: number): Promise<{ end: number | undefined; next: number | undefined }> {
    const { trustedBelow, checkCrc, onRecord, onDamage } = this.#options
    const reader = this.#reader
    let at = from
    let end: number | undefined
    while (at < segment.end) {
      // Waiting without need would cost more than everything else here.
      if (!this.#covers(segment, at)) await this.#read(segment, at)
      const offset = at - this.#from
      const found = reader.read(this.#window, offset, this.#to - this.#from, at, segment.end - at, checkCrc(at))
      if (found === 'record') {
        onRecord(reader, this.#window, at)
        at += reader.size
        end = at
      } else if (found === 'blank') {
        return { end: segment.end, next: segment.end }
      } else {
        if (at >= trustedBelow) return { end, next: undefined }
        const problem = found === 'nothing' ? 'zeros' : reader.problem
        const next = await this.#findNext(segment, at)
        if (next === undefined) {
          // Whether something follows in a later file decides whether this is damage or the end.
          const isLast = this.#options.segments.last === segment
          if (!isLast) onDamage(at, segment.end, problem)
          return { end, next: isLast ? undefined : segment.end }
        }
        onDamage(at, next, problem)
        at = next
      }
    }
    return { end, next: segment.end }
  }

  /** Whether the record at `at` is whole in the window, if there is one. */
  #covers(segment: Segment, at: number): boolean {
    if (this.#segment !== segment || at < this.#from || at + BLANK_BYTES > this.#to) return false
    return this.#to === segment.end || at + this.#sizeAt(at) <= this.#to || this.#sizeAt(at) > segment.end - at
  }

  /** What the bytes at `at` say is the size of a record; they need not be a record. */
  #sizeAt(at: number): number {
    const offset = at - this.#from
    if (offset + BLANK_BYTES > this.#to - this.#from) return BLANK_BYTES
    // A record has its own position. Otherwise it is damage, for whose size no memory is taken.
    const isElsewhere = offset + 36 <= this.#to - this.#from && readLong(this.#window, offset + 28) !== at
    if (isElsewhere) return BLANK_BYTES
    const magic = this.#window.readInt32BE(offset + 4)
    return magic === MESSAGE_MAGIC_V1 || magic === MESSAGE_MAGIC_V2 ? this.#window.readInt32BE(offset) : BLANK_BYTES
  }

  /** Reads a window that contains the record at `at` as a whole, and begins to read the next one. */
  async #read(segment: Segment, at: number): Promise<void> {
    await this.#options.onWindow()
    const left = segment.end - at
    if (!(await this.#takeAhead(segment, at))) await this.#readWindow(segment, at, Math.min(left, this.#windowBytes))
    const size = this.#sizeAt(at)
    if (at + size > this.#to && size <= left) await this.#readWindow(segment, at, size)
    this.#readAhead(segment)
  }

  async #readWindow(segment: Segment, at: number, bytes: number): Promise<void> {
    const needed = Math.max(bytes, 2 * this.#windowBytes)
    if (this.#memory.length < needed) this.#memory = Buffer.allocUnsafeSlow(needed)
    this.#window = this.#memory
    await segment.read(this.#window, 0, bytes, at - segment.start)
    this.#setWindow(segment, at, at + bytes)
  }

  #setWindow(segment: Segment, from: number, to: number): void {
    this.#segment = segment
    this.#from = from
    this.#to = to
  }

  /** Disk and processor then work at the same time. */
  #readAhead(segment: Segment): void {
    const [from, room] = [this.#to, this.#windowBytes]
    const to = Math.min(segment.end, from + room)
    if (from >= to) return
    if (this.#spare.length === 0) this.#spare = Buffer.allocUnsafeSlow(2 * room)
    // Perhaps no one needs these bytes. Otherwise they are read again, and that read gets the error.
    const isRead = segment.read(this.#spare, room, room + to - from, from - segment.start).then(
      () => true,
      () => false,
    )
    this.#ahead = { segment, from, to, isRead }
  }

  /** @returns Whether the window is now what was read ahead, with the rest of the window before it from `at` on */
  async #takeAhead(segment: Segment, at: number): Promise<boolean> {
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead === undefined || !(await ahead.isRead)) return false
    const rest = ahead.from - at
    if (ahead.segment !== segment || at < this.#from || rest < 0 || rest > this.#windowBytes) return false
    const start = this.#windowBytes - rest
    this.#window.copy(this.#spare, start, at - this.#from, this.#to - this.#from)
    ;[this.#memory, this.#spare] = [this.#spare, this.#memory]
    this.#window = this.#memory.subarray(start)
    this.#setWindow(segment, at, ahead.to)
    return true
  }

  /** The next place behind `after` where a whole record stands, or the end of the file begins. */
  async #findNext(segment: Segment, after: number): Promise<number | undefined> {
    for (let at = after + 1; at + BLANK_BYTES <= segment.end; ) {
      if (!this.#covers(segment, at)) await this.#read(segment, at)
      const candidate = this.#magicFrom(at)
      if (candidate === undefined) {
        at = Math.max(at + 1, this.#to - BLANK_BYTES + 1)
        continue
      }
      if (!this.#covers(segment, candidate)) await this.#read(segment, candidate)
      const left = segment.end - candidate
      const found = this.#reader.read(
        this.#window,
        candidate - this.#from,
        this.#to - this.#from,
        candidate,
        left,
        true,
      )
      if (found === 'record' || found === 'blank') return candidate
      at = candidate + 1
    }
    return undefined
  }

  /** The first place in the window, from `at` on, with the magic code of a record or a blank. */
  #magicFrom(at: number): number | undefined {
    const window = this.#window.subarray(0, this.#to - this.#from)
    let first: number | undefined
    for (const magic of MAGICS) {
      const index = window.indexOf(magic, at - this.#from + 4)
      if (index >= 0 && (first === undefined || index < first)) first = index
    }
    return first === undefined ? undefined : this.#from + first - 4
  }
}

const MAGICS = [MESSAGE_MAGIC_V1, MESSAGE_MAGIC_V2, BLANK_MAGIC].map(magic => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(magic)
  return bytes
})
