/** Buffers below this are cheaper to make than to keep. */
const SMALLEST = 16 * 1024

/**
 * Large buffers that are used again. A broker's registration has hundreds of kilobytes, comes in many reads and is
 * done with at once; making memory for each and collecting it costs more than all else about it.
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

  /** A buffer of at least this size, if one is there. Its bytes are whatever they were. */
  borrow(size: number): Buffer | undefined {
    let best = -1
    for (const [i, { length }] of this.#free.entries()) {
      if (length >= size && (best < 0 || length < (this.#free[best] as Buffer).length)) best = i
    }
    if (best < 0) return undefined
    const [buffer] = this.#free.splice(best, 1)
    this.#size -= (buffer as Buffer).length
    return buffer
  }

  /** Takes back a whole buffer that nobody looks at any more. */
  give(buffer: Buffer): void {
    if (buffer.length < SMALLEST || this.#size + buffer.length > this.#limit) return
    this.#free.push(buffer)
    this.#size += buffer.length
  }
}
