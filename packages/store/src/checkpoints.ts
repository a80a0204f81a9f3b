import type { Logger } from '@gantrymq/remoting'
import type { DerivedData } from './dispatched-record.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { StoreError } from './errors.ts'
import { Checkpoint, type CheckpointContent, type CheckpointTimes } from './files/checkpoint.ts'
import { storeErrorOf } from './files/disk-failure.ts'
import type { KeyIndex } from './index/key-index.ts'
import type { Flusher } from './log/flusher.ts'
import type { ResolvedOptions } from './options.ts'
import type { ConsumeQueues } from './queues/consume-queues.ts'
import type { Writability } from './writability.ts'

export interface CheckpointsParts {
  readonly options: ResolvedOptions
  readonly log: { readonly safe: number }
  readonly flusher: Flusher
  readonly dispatcher: Dispatcher
  readonly queues: ConsumeQueues
  readonly index: KeyIndex
  /** The queues, and the index unless it is off. */
  readonly derived: readonly DerivedData[]
  readonly writability: Writability
  /** It is unknown what is on the disk. */
  readonly onFailed: (error: StoreError) => void
}

/**
 * The checkpoints of an open store, one at a time: the log is synced first, then what is derived from it, and then the mark moves,
 * below which a recovery reads nothing. Owns the file.
 */
export class Checkpoints {
  readonly #parts: CheckpointsParts
  readonly #logger: Logger
  #file: Checkpoint | undefined
  #mark = 0
  /** Does not reject. */
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(parts: CheckpointsParts) {
    this.#parts = parts
    this.#logger = parts.options.log
  }

  /** Opens the file, for the recovery. @throws the error of the disk */
  open(): Checkpoint {
    const { disk, root } = this.#parts.options
    return (this.#file = Checkpoint.open(disk, root))
  }

  /** Continues behind a recovery, which made everything below the mark durable. */
  resume(mark: number): void {
    this.#mark = mark
  }

  /** Log, queues and index are on the disk below this position. */
  get mark(): number {
    return this.#mark
  }

  /** Begins a checkpoint, unless one is under way. */
  start(): void {
    if (this.#running !== undefined || this.#isStopped || this.#parts.writability.failure !== undefined) return
    // It is logged, and it may end the store.
    this.#make(false).catch(() => {})
  }

  /** Resolves when the mark is at or behind `end`, and the counts of the checkpoint are those of now. @throws StoreError */
  async reach(end: number): Promise<void> {
    const { writability, index } = this.#parts
    do {
      while (this.#running !== undefined) await this.#running
      const { problem, failure } = writability
      if (this.#isStopped || failure !== undefined) throw failure ?? problem
      index.saveNext()
      await this.#make(true)
    } while (this.#mark < end)
  }

  /** Begins no further checkpoint, and resolves when none is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  /** The checkpoint of a store whose files are all synced up to `end`. @throws the error of the disk */
  async writeLast(end: number): Promise<void> {
    const { queues, index } = this.#parts
    await this.#write(end, this.#times(), { units: queues.countUnits, indexFiles: index.count })
  }

  /** Closes the file. */
  close(): void {
    const file = this.#file
    this.#file = undefined
    file?.close()
  }

  /** @param isForced Whether it is written even if the mark stays where it is. */
  #make(isForced: boolean): Promise<void> {
    const { root } = this.#parts.options
    const made = this.#saveAndMark(isForced)
      .catch((error: unknown) => this.#fail(storeErrorOf(error, root)))
      .finally(() => {
        this.#running = undefined
      })
    this.#running = made.catch(() => {})
    return made
  }

  /** After any failure but a full disk it is unknown what is on it, and a sync that succeeds later does not tell. */
  #fail(error: StoreError): never {
    if (error.code === 'DISK_FULL') this.#logger.error({ error }, 'no checkpoint could be written')
    else this.#parts.onFailed(error)
    throw error
  }

  /** The log first, then what is derived from it, then the mark. */
  async #saveAndMark(isForced: boolean): Promise<void> {
    const { log, flusher, derived } = this.#parts
    const { safe } = log
    const times = this.#times()
    if (safe <= this.#mark && !isForced) return
    await flusher.flushTo(safe)
    let mark = safe
    for (const data of derived) mark = Math.min(mark, await data.sync(safe))
    if (mark <= this.#mark && !isForced) return
    this.#mark = Math.max(this.#mark, mark)
    // The store time of a mark in between is not known. An older time only makes Apache's recovery begin earlier.
    await this.#write(this.#mark, mark === safe ? times : (this.#file?.times ?? times))
  }

  /** Everything that was handed on so far is as old as this, or older. */
  #times(): CheckpointTimes {
    const time = this.#parts.dispatcher.lastStoreTimestamp
    return { log: time, queues: time, index: time }
  }

  /** @param counts Of a store that is closed */
  async #write(
    mark: number,
    times: CheckpointTimes,
    counts?: Pick<CheckpointContent, 'units' | 'indexFiles'>,
  ): Promise<void> {
    const { queues, index } = this.#parts
    await this.#file?.write({
      mark,
      times,
      queueFolders: queues.countDurable,
      indexFiles: index.countDurable,
      ...counts,
    })
  }
}
