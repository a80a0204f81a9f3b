const SLAB = 64 * 1024

const NO_BYTES = Buffer.alloc(0)

/**
 * Collects outgoing bytes, so that the replies to one read go out in one write.
 *
 * Memory is taken from a slab from front to back, because a stream may hold written memory for as long as it likes. The slab is
 * used from its front again only after `reuse`. A full slab is dropped; the garbage collector frees it after its last write.
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

  /** Ensures room for `size` bytes at `position` of `bytes`. */
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

  /** Returns everything written since the last call, in order. */
  take(): readonly Uint8Array[] {
    this.#cut()
    const chunks = this.#chunks
    this.#chunks = []
    return chunks
  }

  /**
   * Lets the next bytes overwrite those that were taken. Allowed only if the outbox is empty and no one reads any memory that was
   * ever taken from it.
   */
  reuse(): void {
    // A slab that was allocated for a large command is not kept.
    if (this.bytes.length > SLAB) this.bytes = NO_BYTES
    this.position = 0
    this.#begun = 0
  }

  #cut(): void {
    if (this.position > this.#begun) this.#chunks.push(this.bytes.subarray(this.#begun, this.position))
    this.#begun = this.position
  }
}
