const SLAB = 64 * 1024
/** The size of the first slab of an outbox that cannot return its slabs; each further one is twice as large, up to `SLAB`. */
const FIRST_SLAB = 4 * 1024
/** The size of the first slab of an outbox that returns its slabs: room for the replies to one read of a usual client. */
const SMALL_SLAB = 8 * 1024
/** The number of free slabs that are kept. An outbox holds one from its first byte to the write. */
const MOST_FREE = 16
/**
 * The same of small slabs. Replies to messages wait in the outboxes of all their connections until the messages are safe: with too
 * few slabs, 64 connections that send would allocate new ones in each turn, and take twice the CPU time.
 */
const MOST_SMALL_FREE = 512

const NO_BYTES = Buffer.alloc(0)

/** Slabs that any outbox of this process may take. */
const free: Buffer[] = []
const smallFree: Buffer[] = []

/**
 * Collects outgoing bytes, so that the replies to one read go out in one write.
 *
 * Memory is taken from a slab from front to back, because a stream may hold written memory for as long as it likes. If the stream
 * does not, `release` passes the slab on to the next outbox that needs one: idle connections hold none. A full slab is dropped;
 * the garbage collector frees it after its last write.
 */
export class Outbox {
  /** The slab being filled; write at `position` after `reserve`. */
  bytes: Buffer = NO_BYTES
  position = 0
  #begun = 0
  #chunks: Uint8Array[] = []
  readonly #returnsSlabs: boolean
  #next = FIRST_SLAB
  /** The small slab, when it is full and another one is being filled. */
  #full: Buffer | undefined

  /** @param returnsSlabs Whether `release` will be called, usually after each `take`. Default false. */
  constructor(returnsSlabs = false) {
    this.#returnsSlabs = returnsSlabs
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0 && this.position === this.#begun
  }

  /** Bytes that were not taken yet. */
  get size(): number {
    return this.#chunks.reduce((sum, { length }) => sum + length, this.position - this.#begun)
  }

  /** Ensures room for `size` bytes at `position` of `bytes`. */
  reserve(size: number): void {
    if (this.position + size <= this.bytes.length) return
    this.#cut()
    this.bytes = this.#slab(size)
    this.position = 0
    this.#begun = 0
  }

  /** Adds a large piece without copying it. */
  append(piece: Uint8Array): void {
    this.#cut()
    this.#chunks.push(piece)
  }

  /** Returns everything written since the last call, in order. */
  take(): readonly Uint8Array[] {
    this.#cut()
    const chunks = this.#chunks
    this.#chunks = []
    return chunks
  }

  /**
   * Lets other outboxes overwrite the bytes that were taken. Allowed only if the outbox is empty and no one reads any memory that
   * was ever taken from it.
   */
  release(): void {
    keep(this.bytes)
    if (this.#full !== undefined) keep(this.#full)
    this.#full = undefined
    this.bytes = NO_BYTES
    this.position = 0
    this.#begun = 0
  }

  #slab(size: number): Buffer {
    if (this.#returnsSlabs) {
      if (size <= SMALL_SLAB && this.bytes.length === 0) return smallFree.pop() ?? Buffer.allocUnsafeSlow(SMALL_SLAB)
      if (this.bytes.length === SMALL_SLAB) this.#full = this.bytes
      return (size <= SLAB ? free.pop() : undefined) ?? Buffer.allocUnsafeSlow(Math.max(SLAB, size))
    }
    const slab = Buffer.allocUnsafeSlow(Math.max(this.#next, size))
    this.#next = Math.min(this.#next * 2, SLAB)
    return slab
  }

  #cut(): void {
    if (this.position > this.#begun) this.#chunks.push(this.bytes.subarray(this.#begun, this.position))
    this.#begun = this.position
  }
}

/** Keeps a slab for the next outbox. One that was allocated for a large command is dropped. */
function keep(slab: Buffer): void {
  if (slab.length === SMALL_SLAB && smallFree.length < MOST_SMALL_FREE) smallFree.push(slab)
  else if (slab.length === SLAB && free.length < MOST_FREE) free.push(slab)
}
