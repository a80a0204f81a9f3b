import { UNIT_BYTES } from './queue-unit.ts'
import type { UnitBlocks } from './unit-blocks.ts'

/** The newest units of a queue, in memory. A tail does not cross the end of a block. */
export interface Tail {
  readonly bytes: Buffer
  /** Where its first unit is in `bytes`. */
  readonly at: number
  /** How many units it has room for. */
  readonly units: number
  /** Offset of its first unit. */
  start: number
  /** Undefined if `bytes` is a whole block. */
  readonly slab: Slab | undefined
}

/** Memory that is divided into tails of one size. */
interface Slab {
  readonly bytes: Buffer
  readonly tailBytes: number
  /** Where the tails are that are not taken. */
  readonly free: number[]
}

const SLAB_BYTES = 64 * 1024
/** Units of the smallest tail. The next sizes are twice as large, up to a block. */
export const SMALLEST_TAIL = 16

/**
 * The memory of all tails. A store has thousands of queues: a buffer of its own would take as much again as a small tail, and would leave
 * gaps between others when it grows.
 */
export class TailMemory {
  readonly #blocks: UnitBlocks
  readonly #limit: number
  /** Slabs with room, by the bytes of their tails. */
  readonly #open = new Map<number, Slab[]>()
  #bytes = 0

  /**
   * @param blocks Where a tail of the largest size comes from, and goes when it is full
   * @param limit Bytes of all tails above which queues keep only their newest units once these are in the files
   */
  constructor(blocks: UnitBlocks, limit: number) {
    this.#blocks = blocks
    this.#limit = limit
  }

  /** Bytes of all tails. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether tails should be small. */
  get isScarce(): boolean {
    return this.#bytes > this.#limit
  }

  /** A tail for at least so many units, at most a block. */
  take(start: number, units: number): Tail {
    let tailBytes = SMALLEST_TAIL * UNIT_BYTES
    while (tailBytes < units * UNIT_BYTES) tailBytes *= 2
    return tailBytes < this.#blocks.blockBytes ? this.#takePart(start, tailBytes) : this.#takeBlock(start)
  }

  #takeBlock(start: number): Tail {
    const bytes = this.#blocks.take()
    this.#bytes += bytes.length
    return { bytes, at: 0, units: bytes.length / UNIT_BYTES, start, slab: undefined }
  }

  #takePart(start: number, tailBytes: number): Tail {
    const open = this.#openFor(tailBytes)
    let slab = open.at(-1)
    if (slab === undefined) open.push((slab = newSlab(tailBytes)))
    const at = slab.free.pop() as number
    if (slab.free.length === 0) open.pop()
    this.#bytes += tailBytes
    return { bytes: slab.bytes, at, units: tailBytes / UNIT_BYTES, start, slab }
  }

  #openFor(tailBytes: number): Slab[] {
    let open = this.#open.get(tailBytes)
    if (open === undefined) this.#open.set(tailBytes, (open = []))
    return open
  }

  /** Takes back a tail, which must not be used any more. */
  release({ bytes, at, slab }: Tail): void {
    if (slab === undefined) {
      this.#bytes -= bytes.length
      this.#blocks.release(bytes)
      return
    }
    this.#bytes -= slab.tailBytes
    const open = this.#openFor(slab.tailBytes)
    if (slab.free.push(at) === 1) open.push(slab)
    // One that is empty is kept, for the next tails.
    else if (slab.free.length === tailsOf(slab) && open.length > 1) open.splice(open.indexOf(slab), 1)
  }

  /** Gives a full tail to the blocks, if it is one. @param block Number of the block in the queue */
  handOver(tail: Tail, queue: number, block: number): void {
    if (tail.slab !== undefined || !Number.isInteger(block)) return this.release(tail)
    this.#bytes -= tail.bytes.length
    this.#blocks.add(queue, block, tail.bytes, tail.bytes.length)
  }
}

function newSlab(tailBytes: number): Slab {
  const free: number[] = []
  for (let at = 0; at + tailBytes <= SLAB_BYTES; at += tailBytes) free.push(at)
  return { bytes: Buffer.allocUnsafeSlow(SLAB_BYTES), tailBytes, free: free.toReversed() }
}

function tailsOf({ tailBytes }: Slab): number {
  return Math.floor(SLAB_BYTES / tailBytes)
}
