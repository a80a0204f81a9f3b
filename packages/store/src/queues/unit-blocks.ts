/** A piece of a consume queue in memory. */
export interface UnitBlock {
  readonly bytes: Buffer
  /** Bytes that were in the file when the block was read. A later unit may follow in the file. */
  end: number
  /** Used since it was last considered for removal. */
  used: boolean
}

/** Numbers of blocks a queue may have: 2^24 blocks of 1,000 units are more than Apache's files can address. */
const BLOCKS_PER_QUEUE = 2 ** 24

/** Reads of blocks under way at once. More only queue up in the disk, and syncs would wait behind them. */
const MAX_LOADS = 2

/**
 * The size of a block: the largest part of a file, up to `largest`, that consists of whole units. So neither a unit nor a block
 * crosses files.
 */
export function blockBytesFor(fileBytes: number, unitBytes: number, largest: number): number {
  for (let parts = Math.ceil(fileBytes / largest); ; parts++) {
    const bytes = fileBytes / parts
    if (Number.isInteger(bytes) && bytes % unitBytes === 0) return bytes
  }
}

/**
 * Blocks of all consume queues together, so that memory depends on what is read, not on the number of queues. A block that was
 * not used for a round gives its memory to the next one.
 */
export class UnitBlocks {
  readonly blockBytes: number
  readonly #limit: number
  readonly #blocks = new Map<number, UnitBlock>()
  readonly #loads = new Map<number, Promise<void>>()
  readonly #waiting: (() => void)[] = []
  readonly #free: Buffer[] = []
  #running = 0

  /** @param memory Bytes that the blocks may take together. */
  constructor(blockBytes: number, memory: number) {
    this.blockBytes = blockBytes
    this.#limit = Math.max(1, Math.floor(memory / blockBytes))
  }

  /** A block; valid within this turn of the event loop. */
  find(queue: number, block: number): UnitBlock | undefined {
    const found = this.#blocks.get(queue * BLOCKS_PER_QUEUE + block)
    if (found !== undefined) found.used = true
    return found
  }

  /** Adds a whole block. The memory belongs to the blocks from then on. */
  add(queue: number, block: number, bytes: Buffer, end: number): void {
    const key = queue * BLOCKS_PER_QUEUE + block
    const replaced = this.#blocks.get(key)
    if (replaced !== undefined) {
      this.#blocks.delete(key)
      this.#free.push(replaced.bytes)
    }
    while (this.#blocks.size >= this.#limit) this.#free.push(this.#evict())
    this.#blocks.set(key, { bytes, end, used: false })
  }

  /** Memory for a block, which the caller owns until it is added. */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.blockBytes)
  }

  /** Takes back memory of a block that was not added, if the limit leaves room for it. */
  release(bytes: Buffer): void {
    if (this.#blocks.size + this.#free.length < this.#limit) this.#free.push(bytes)
  }

  /**
   * Loads a block; callers that need the same one share the read.
   * @param read Reads the block, and returns how many bytes of it are valid
   */
  load(queue: number, block: number, read: (into: Buffer) => Promise<number>): Promise<void> {
    const key = queue * BLOCKS_PER_QUEUE + block
    const running = this.#loads.get(key)
    if (running !== undefined) return running
    const load = this.#load(queue, block, read).finally(() => this.#loads.delete(key))
    this.#loads.set(key, load)
    return load
  }

  async #load(queue: number, block: number, read: (into: Buffer) => Promise<number>): Promise<void> {
    if (this.#running >= MAX_LOADS) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#running++
    const bytes = this.take()
    try {
      const end = await read(bytes)
      this.add(queue, block, bytes, end)
    } catch (error) {
      this.release(bytes)
      throw error
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }

  #evict(): Buffer {
    for (const [key, block] of this.#blocks) {
      this.#blocks.delete(key)
      if (!block.used) return block.bytes
      block.used = false
      this.#blocks.set(key, block)
    }
    throw new RangeError('no block to evict')
  }
}
