import { StoreError } from '../errors.ts'
import type { SegmentList } from '../files/segment-list.ts'
import type { FlushMode } from '../options.ts'

export interface FlusherParts {
  readonly segments: SegmentList
  readonly mode: FlushMode
  /** Bytes written but not synced after which a sync begins at once. */
  readonly flushBytes: number
  /** Position below which everything is written. */
  readonly written: () => number
  readonly onFlushed: () => void
  readonly onFailed: (error: StoreError) => void
}

/**
 * Makes the log durable, with one sync at a time. What was written while a sync ran is covered by the next one, so with SYNC_FLUSH
 * all messages of that time share a sync. Source: Apache's GroupCommitService and FlushRealTimeService.
 */
export class Flusher {
  readonly #segments: SegmentList
  readonly #mode: FlushMode
  readonly #flushBytes: number
  readonly #written: () => number
  readonly #onFlushed: () => void
  readonly #onFailed: (error: StoreError) => void
  #flushed = 0
  #running: Promise<void> | undefined
  #failure: StoreError | undefined
  /** Syncs wanted up to this position, whatever the mode. */
  #wanted = 0

  constructor({ segments, mode, flushBytes, written, onFlushed, onFailed }: FlusherParts) {
    this.#segments = segments
    this.#mode = mode
    this.#flushBytes = flushBytes
    this.#written = written
    this.#onFlushed = onFlushed
    this.#onFailed = onFailed
  }

  /** Everything below this survives a power failure. */
  get flushed(): number {
    return this.#flushed
  }

  /** Continues behind a recovery, which synced everything up to `flushed`. */
  resume(flushed: number): void {
    this.#flushed = flushed
  }

  /** Called after each write. */
  onWritten(): void {
    const unflushed = this.#written() - this.#flushed
    if (unflushed > 0 && (this.#mode === 'SYNC_FLUSH' || unflushed >= this.#flushBytes)) this.start()
  }

  /** Begins a sync of everything that is written, unless one is under way or everything is synced. */
  start(): void {
    if (this.#running !== undefined || this.#failure !== undefined || this.#written() <= this.#flushed) return
    this.#running = this.#run()
  }

  /** Resolves when everything below `position`, which must be written, is synced. @throws StoreError SYNC_FAILED */
  async flushTo(position: number): Promise<void> {
    this.#wanted = Math.max(this.#wanted, position)
    while (this.#flushed < position) {
      if (this.#failure !== undefined) throw this.#failure
      this.start()
      await this.#running
    }
  }

  async #run(): Promise<void> {
    try {
      let syncing = this.#next()
      while (syncing !== undefined) {
        this.#flushed = await syncing
        // The next sync runs while the owner answers what this one has made durable.
        syncing = this.#next()
        syncing?.catch(() => {})
        this.#onFlushed()
        // The owner may have written more, and its call of `start` found this one under way.
        syncing ??= this.#next()
      }
    } catch (error) {
      this.#failure = new StoreError(
        'SYNC_FAILED',
        `the commit log in ${this.#segments.folder} cannot be synced: ${(error as Error).message}`,
        { cause: error },
      )
      this.#onFailed(this.#failure)
    } finally {
      this.#running = undefined
    }
  }

  /** Begins a sync of everything that is written, if it is wanted. Resolves with the position up to which it was. */
  #next(): Promise<number> | undefined {
    return this.#isWanted() ? this.#sync(this.#flushed, this.#written()) : undefined
  }

  /** A sync was asked for by the caller of `start` the first time; afterwards only if the mode or somebody waits for more. */
  #isWanted(): boolean {
    const unflushed = this.#written() - this.#flushed
    if (unflushed <= 0) return false
    return (
      this.#running === undefined ||
      this.#mode === 'SYNC_FLUSH' ||
      unflushed >= this.#flushBytes ||
      this.#wanted > this.#flushed
    )
  }

  /** Syncs the files that contain `[from, to)`, the older first. Only what was written before it began is covered by it. */
  async #sync(from: number, to: number): Promise<number> {
    for (const segment of this.#segments.all.filter(segment => segment.start < to && segment.end > from)) {
      await segment.datasync()
    }
    return to
  }
}
