import type { Segment } from '../files/segment.ts'
import type { SegmentList } from '../files/segment-list.ts'

/**
 * Files of the log in which there is nothing yet: the next one, which is created ahead so that no append waits for its name to be
 * durable, and those that a lost write has emptied again. Owns them until the log takes them; and knows of those that the log has taken
 * whether a power failure may still take their names.
 */
export class NewFiles {
  readonly #segments: SegmentList
  readonly #onDurable: () => void
  readonly #onFailed: (segment: Segment, error: unknown) => void
  /** Oldest first: one, or more after a write was lost. */
  #ahead: Segment[] = []
  /** Files whose names a power failure may take. */
  readonly #undurable = new Map<Segment, Promise<void>>()

  constructor(segments: SegmentList, onDurable: () => void, onFailed: (segment: Segment, error: unknown) => void) {
    this.#segments = segments
    this.#onDurable = onDurable
    this.#onFailed = onFailed
  }

  /** Files that the log has not taken. */
  get ahead(): readonly Segment[] {
    return this.#ahead
  }

  /** The position up to `safe` at which no file begins whose name a power failure may take. */
  durableUpTo(safe: number): number {
    let least = safe
    for (const { start } of this.#undurable.keys()) least = Math.min(least, start)
    return least
  }

  /** The file that begins at `start`, which is the last of the log from now on. @throws the error of the disk */
  take(start: number): Segment {
    const segment = this.#ahead[0]?.start === start ? (this.#ahead.shift() as Segment) : this.#create(start)
    this.#segments.adopt(segment)
    return segment
  }

  /** Creates the file that begins at `start`, unless there is one. @throws the error of the disk */
  prepare(start: number): void {
    if (this.#ahead.length === 0) this.#ahead.push(this.#create(start))
  }

  /** Takes the files back that begin behind `position`: nothing is in them any more. */
  takeBack(position: number): void {
    for (const segment of this.#segments.all.toReversed()) {
      if (segment.start <= position) break
      this.#segments.release(segment)
      this.#ahead.unshift(segment)
    }
  }

  /** Resolves when no file is being made durable. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#undurable.values())
  }

  /** Removes the files that the log has not taken. @throws the error of the disk */
  async remove(): Promise<void> {
    if (this.#ahead.length === 0) return
    for (const segment of this.#ahead) await this.#segments.remove(segment)
    this.#ahead = []
    await this.#segments.syncFolder()
  }

  /** Closes the files that the log has not taken. */
  close(): void {
    for (const segment of this.#ahead) segment.close()
  }

  #create(start: number): Segment {
    const segment = this.#segments.create(start)
    const durable = this.#segments.makeDurable(segment).then(
      () => {
        this.#undurable.delete(segment)
        this.#onDurable()
      },
      (error: unknown) => this.#onFailed(segment, error),
    )
    this.#undurable.set(segment, durable)
    return segment
  }
}
