import type { TableFiles } from '@gantrymq/daemon'
import { delayOffsetsBody } from '@gantrymq/protocol'
import type { Clock, Logger } from '@gantrymq/remoting'
import { ConfigFile } from '../files/config-file.ts'

export interface DelayOffsetsOptions {
  /** delayOffset.json. */
  readonly path: string
  readonly files: TableFiles
  readonly clock: Clock
  readonly log: Logger
}

/** Offsets as they were when everything below a position of the log had been appended. */
interface Snapshot {
  readonly offsets: ReadonlyMap<number, number>
  readonly end: number
}

/**
 * How far the messages of each delay level have been delivered, and the file of it. The file is never ahead of the flushed part of
 * the log: otherwise a power failure could lose messages that were delivered to a part of the log that is gone. A crash delivers
 * again what was delivered since the last write, as in Apache.
 */
export class DelayOffsets {
  readonly #table = new Map<number, number>()
  readonly #file: ConfigFile<ReadonlyMap<number, number>>
  /** What waits for the log to be flushed. */
  #waiting: Snapshot | undefined
  /** What the file has, or is being written to it. */
  #stored: ReadonlyMap<number, number> = new Map()

  private constructor({ path, files, log }: DelayOffsetsOptions) {
    this.#file = new ConfigFile({
      path,
      files,
      what: 'offsets of delayed messages',
      codec: delayOffsetsBody,
      entriesOf: offsets => offsets.size,
      content: () => this.#stored,
      log,
    })
  }

  /** Loads the file. @throws Error if the file can neither be read nor put aside */
  static async open(options: DelayOffsetsOptions): Promise<DelayOffsets> {
    const offsets = new DelayOffsets(options)
    const loaded = await offsets.#file.load(options.clock.now())
    for (const [level, offset] of loaded ?? []) offsets.#table.set(level, offset)
    offsets.#stored = new Map(offsets.#table)
    return offsets
  }

  /** By delay level: the content of delayOffset.json, and of the answer to GET_ALL_DELAY_OFFSET. */
  get all(): ReadonlyMap<number, number> {
    return this.#table
  }

  get(level: number): number {
    return this.#table.get(level) ?? 0
  }

  set(level: number, offset: number): void {
    this.#table.set(level, offset)
  }

  /** Takes the offsets for the file; `flushed` writes them. One snapshot waits at a time. @param end The end of the log. */
  save(end: number): void {
    this.#waiting ??= same(this.#table, this.#stored) ? undefined : { offsets: new Map(this.#table), end }
  }

  /** Writes what waits, if the log is flushed far enough. Never rejects: the log of the broker has the reason. */
  async flushed(position: number): Promise<void> {
    const waiting = this.#waiting
    if (waiting === undefined || waiting.end > position) return
    this.#waiting = undefined
    const before = this.#stored
    this.#stored = waiting.offsets
    await this.#file.save().catch(() => {
      if (this.#stored === waiting.offsets) this.#stored = before
    })
  }

  /** Stores the last offsets, if all messages up to `end` were flushed. */
  async close(end: number, flushed: number): Promise<void> {
    await this.#file.close()
    await this.flushed(flushed)
    this.save(end)
    await this.flushed(flushed)
  }
}

function same(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  return a.size === b.size && [...a].every(([level, offset]) => b.get(level) === offset)
}
