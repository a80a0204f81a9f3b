const SLAB = 64 * 1024
/** The size of the first slab of an outbox that cannot return its slabs; each further one is twice as large, up to `SLAB`. */
const FIRST_SLAB = 4 * 1024
/** The number of free slabs that are kept. An outbox holds one only from its first byte to the write, so few are ever needed. */
const MOST_FREE = 16

const NO_BYTES = Buffer.alloc(0)

/** Slabs that any outbox of this process may take. */
const free: Buffer[] = []

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

  /** @param returnsSlabs Whether `release` will be called, usually after each `take`. Default false. */
  constructor(returnsSlabs = false) {
    this.#returnsSlabs = returnsSlabs
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0 && this.position === this.#begun
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
    // A slab that was allocated for a large command is not kept.
    if (this.bytes.length === SLAB && free.length < MOST_FREE) free.push(this.bytes)
    this.bytes = NO_BYTES
    this.position = 0
    this.#begun = 0
  }

  #slab(size: number): Buffer {
    if (this.#returnsSlabs) {
      const slab = size <= SLAB ? free.pop() : undefined
      return slab ?? Buffer.allocUnsafeSlow(Math.max(SLAB, size))
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
