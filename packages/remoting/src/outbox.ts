const SLAB = 64 * 1024

const NO_BYTES = Buffer.alloc(0)

/**
 * Bytes on their way out, gathered so that the replies to one read leave in one write.
 *
 * Memory is taken from a slab front to back: a stream may hold what it was given for as long as it likes. The slab is used
 * again from its front only after `reuse`; a full one is dropped, and the collector frees it when its last write is done.
 */
export class Outbox {
  /** The slab being filled; write at `position` after `reserve`. */
  bytes: Buffer = NO_BYTES
  position = 0
  #begun = 0
  #chunks: Uint8Array[] = []

  get isEmpty(): boolean {
    return this.#chunks.length === 0 && this.position === this.#begun
  }

  /** Makes room for `size` bytes at `position` of `bytes`. */
  reserve(size: number): void {
    if (this.position + size <= this.bytes.length) return
    this.#cut()
    this.bytes = Buffer.allocUnsafeSlow(Math.max(SLAB, size))
    this.position = 0
    this.#begun = 0
  }

  /** Adds a large piece without copying it. */
  append(piece: Uint8Array): void {
    this.#cut()
    this.#chunks.push(piece)
  }

  /** What was gathered since the last call, in order. */
  take(): readonly Uint8Array[] {
    this.#cut()
    const chunks = this.#chunks
    this.#chunks = []
    return chunks
  }

  /**
   * Writes the next bytes over those that were taken. Only for an empty outbox, and only if the memory of all that was ever taken
   * from it is no longer looked at.
   */
  reuse(): void {
    // A slab that was made for something large is not kept.
    if (this.bytes.length > SLAB) this.bytes = NO_BYTES
    this.position = 0
    this.#begun = 0
  }

  #cut(): void {
    if (this.position > this.#begun) this.#chunks.push(this.bytes.subarray(this.#begun, this.position))
    this.#begun = this.position
  }
}
