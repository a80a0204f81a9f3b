import type { QueueFiles } from './queue-files.ts'
import { isPreBlank, UNIT_BYTES, unitPosition, unitSize } from './queue-unit.ts'

/** Units that are read at once. */
const CHUNK_UNITS = 1_000
const ZEROS = Buffer.alloc((CHUNK_UNITS + 1) * UNIT_BYTES)
/** So many zeros end a queue: nothing was written behind them. */
const LEAST_ZEROS = 100 * UNIT_BYTES

/**
 * Finds the end of the good units of a file when a store is opened: Apache's ConsumeQueue.recover, which reads whole files.
 *
 * A power failure loses any sectors of what was not synced, and so leaves zeros or parts of units in between. A good unit therefore
 * also needs a good one before it, whose record is before its own. Blocks.
 */
export class UnitSearch {
  readonly #files: QueueFiles
  /** Offset of the first unit of the file, and behind its last. */
  readonly #first: number
  readonly #fileEnd: number
  readonly #limit: number

  /**
   * @param start First byte of the file
   * @param limit Log position; units of records that end above it do not count
   */
  constructor(files: QueueFiles, start: number, unitsPerFile: number, limit: number) {
    this.#files = files
    this.#first = start / UNIT_BYTES
    this.#fileEnd = this.#first + unitsPerFile
    this.#limit = limit
  }

  /** The offset behind the last good unit; the first one of the file if there is none. */
  end(): number {
    const chunks = Math.ceil((this.#fileEnd - this.#first) / CHUNK_UNITS)
    // Most queues are small: the first chunk decides.
    const chunk = this.#isWhole(0) ? firstOf(1, chunks, middle => !this.#isWhole(middle)) : 0
    return chunk === chunks ? this.#fileEnd : this.#endInChunk(this.#first + chunk * CHUNK_UNITS)
  }

  /** Whether the last two units of a chunk are good. */
  #isWhole(chunk: number): boolean {
    const end = Math.min(this.#first + (chunk + 1) * CHUNK_UNITS, this.#fileEnd)
    const pair = Buffer.allocUnsafe(2 * UNIT_BYTES)
    if (end - this.#first < 2) {
      this.#files.readSync(pair.subarray(0, UNIT_BYTES), this.#first * UNIT_BYTES)
      return isGood(pair, 0, this.#limit)
    }
    this.#files.readSync(pair, (end - 2) * UNIT_BYTES)
    return isGoodPair(pair, 0, this.#limit)
  }

  #endInChunk(from: number): number {
    const chunk = this.#read(from)
    const before = from > this.#first ? 1 : 0
    const end = firstOf(before, chunk.length / UNIT_BYTES, unit =>
      unit === 0 ? !isGood(chunk, 0, this.#limit) : !isGoodPair(chunk, (unit - 1) * UNIT_BYTES, this.#limit),
    )
    const least = end === 0 ? 0 : recordEnd(chunk, (end - 1) * UNIT_BYTES)
    return this.#endBehindDamage(chunk, from - before, from - before + end, least)
  }

  /**
   * If good units follow where good units seem to end, what is there is damaged: it stays, and is repaired when it is read.
   * @param start Offset of the first unit in `chunk`
   * @param least Position behind the record of the last good unit
   */
  #endBehindDamage(chunk: Buffer, start: number, end: number, least: number): number {
    let [bytes, bytesStart, from, last] = [chunk, start, end, end]
    for (;;) {
      const rest = bytes.subarray((from - bytesStart) * UNIT_BYTES)
      const isZero = rest.equals(ZEROS.subarray(0, rest.length))
      if (isZero && rest.length >= LEAST_ZEROS) return last
      const firstPair = Math.max(from - bytesStart - 1, 0) * UNIT_BYTES
      const pairEnd = isZero ? undefined : endOfLastPair(bytes, firstPair, this.#limit, least)
      if (pairEnd !== undefined) last = bytesStart + pairEnd
      from = bytesStart + bytes.length / UNIT_BYTES
      if (from >= this.#fileEnd) return last
      bytes = this.#read(from)
      bytesStart = from - 1
    }
  }

  /** The units of a chunk, with the one before them. */
  #read(from: number): Buffer {
    const start = Math.max(this.#first, from - 1)
    const bytes = Buffer.allocUnsafe((Math.min(from + CHUNK_UNITS, this.#fileEnd) - start) * UNIT_BYTES)
    this.#files.readSync(bytes, start * UNIT_BYTES)
    return bytes
  }
}

/** The first number from `low` on for which `isBehind` is true; `high` if there is none. It must be false before it, then true. */
export function firstOf(low: number, high: number, isBehind: (middle: number) => boolean): number {
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (isBehind(middle)) high = middle
    else low = middle + 1
  }
  return low
}

/** Position behind the record of a unit; 0 for one that only fills space. */
export function recordEnd(bytes: Buffer, at: number): number {
  return isPreBlank(bytes, at) ? 0 : unitPosition(bytes, at) + unitSize(bytes, at)
}

function isGood(bytes: Buffer, at: number, limit: number): boolean {
  const position = unitPosition(bytes, at)
  const size = unitSize(bytes, at)
  return size > 0 && position >= 0 && (isPreBlank(bytes, at) || position + size <= limit)
}

/** Whether two units are good, and the record of the second is behind that of the first. */
function isGoodPair(bytes: Buffer, at: number, limit: number): boolean {
  const second = at + UNIT_BYTES
  if (!isGood(bytes, at, limit) || !isGood(bytes, second, limit)) return false
  if (isPreBlank(bytes, at) || isPreBlank(bytes, second)) return true
  return unitPosition(bytes, second) >= recordEnd(bytes, at)
}

/** The unit behind the last good pair from `at` on whose records are at or behind `least`; undefined if there is none. */
function endOfLastPair(bytes: Buffer, at: number, limit: number, least: number): number | undefined {
  let end: number | undefined
  for (let pair = at; pair + 2 * UNIT_BYTES <= bytes.length; pair += UNIT_BYTES) {
    if (unitPosition(bytes, pair) >= least && isGoodPair(bytes, pair, limit)) end = pair / UNIT_BYTES + 2
  }
  return end
}
