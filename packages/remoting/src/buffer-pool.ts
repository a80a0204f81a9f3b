/** Smaller buffers are cheaper to allocate than to keep. */
const SMALLEST = 16 * 1024

/**
 * Reuses large buffers. A broker's registration takes hundreds of kilobytes, arrives in many reads and is handled at once;
 * allocating and collecting a buffer for each would cost more than the rest of its handling.
 */
export class BufferPool {
  #free: Buffer[] = []
  #size = 0
  readonly #limit: number

  /** @param limit Most bytes kept. Default 16 MiB. */
  constructor(limit = 16 << 20) {
    this.#limit = limit
  }

  /** Bytes kept. */
  get size(): number {
    return this.#size
  }

  /** A buffer of this size or up to four times this size, if the pool has one. It is not cleared. */
  borrow(size: number): Buffer | undefined {
    let best = -1
    for (const [i, { length }] of this.#free.entries()) {
      if (length >= size && length < size * 4 && (best < 0 || length < (this.#free[best] as Buffer).length)) best = i
    }
    if (best < 0) return undefined
    const [buffer] = this.#free.splice(best, 1)
    this.#size -= (buffer as Buffer).length
    return buffer
  }

  /** Puts a whole buffer into the pool, if there is room. The caller must no longer use it. */
  give(buffer: Buffer): void {
    if (buffer.length < SMALLEST || this.#size + buffer.length > this.#limit) return
    this.#free.push(buffer)
    this.#size += buffer.length
  }

  /**
   * Frees the memory of a buffer at once; small ones are left to the garbage collection. An idle process may put off its next
   * collection for hours. Only if no one else has a view. A part of other memory is left, too.
   */
  free(buffer: Buffer): void {
    if (buffer.length >= SMALLEST && buffer.length === buffer.buffer.byteLength)
      (buffer.buffer as ArrayBuffer).transfer(0)
  }
}
