import { type Clock, type Logger, silent } from '@gantrymq/remoting'
import type { DerivedData } from './dispatched-record.ts'
import { StoreError } from './errors.ts'
import type { Disk, DiskSpace } from './files/disk.ts'
import type { Writability } from './writability.ts'

/** When files of the log are deleted. Keys of Apache's MessageStoreConfig in brackets. */
export interface RetentionRules {
  /** Milliseconds that a file is kept after it was last written [fileReservedTime, in hours]. Default 72 hours. */
  readonly reservedMs: number
  /** Hours of the day, local time, in which expired files are deleted [deleteWhen]. Default 4. */
  readonly deleteHours: readonly number[]
  /** Part of the disk in use above which expired files are deleted at any hour [diskMaxUsedSpaceRatio, in percent]. Default 0.75. */
  readonly maxUsed: number
  /** Part in use above which files are deleted whatever their age [diskSpaceCleanForciblyRatio]. Default 0.85. */
  readonly forcedAbove: number
  /** Part in use above which no message is accepted [diskSpaceWarningLevelRatio]. Default 0.9. */
  readonly fullAbove: number
  /** Whether files that have not expired may be deleted [cleanFileForciblyEnable]. Default true. */
  readonly isForceable: boolean
}

export const defaultRetentionRules: RetentionRules = {
  reservedMs: 72 * 3_600_000,
  deleteHours: [4],
  maxUsed: 0.75,
  forcedAbove: 0.85,
  fullAbove: 0.9,
  isForceable: true,
}

/** A file of the log. */
export interface DatedFile {
  readonly name: string
  /** When it was last written, milliseconds since the epoch. */
  readonly modified: number
}

/** The log as far as its deletion goes. */
export interface DeletableLog {
  readonly folder: string
  readonly start: number
  /** The names of the files that are durable, oldest first, without the one that is being filled. */
  readonly finishedFiles: readonly string[]
  /** Removes the oldest file. */
  removeOldest(): Promise<void>
}

export interface RetentionParts {
  readonly rules: RetentionRules
  readonly disk: Disk
  readonly log: DeletableLog
  /** The folder of the consume queues, which may be on another disk. */
  readonly queueFolder: string
  readonly derived: readonly DerivedData[]
  readonly writability: Writability
  readonly clock: Clock
  readonly logger?: Logger
}

/** Files that one round deletes at most, as in Apache, so that the disk gets time for other work. */
const FILES_A_ROUND = 10

/** The part of a disk that is in use, rounded up to a hundredth: Apache's UtilAll.getDiskPartitionSpaceUsedPercent. */
export function usedPart({ total, free, usable }: DiskSpace): number {
  const used = total - free
  return used + usable <= 0 ? 0 : Math.ceil((100 * used) / (used + usable)) / 100
}

/** How many of the oldest files are to be deleted: Apache's MappedFileQueue.deleteExpiredFileByTime. */
export function countExpired(files: readonly DatedFile[], now: number, reservedMs: number, isForced: boolean): number {
  const firstKept = isForced ? -1 : files.findIndex(file => file.modified + reservedMs > now)
  return firstKept < 0 ? files.length : firstKept
}

/**
 * Deletes old files of the log, and what is derived from them; and closes the store for messages while the disk is nearly full.
 * Apache's CleanCommitLogService and CleanConsumeQueueService.
 */
export class Retention {
  readonly #parts: RetentionParts
  readonly #logger: Logger
  #used = 0
  #round: Promise<number> | undefined
  #isClosed = false

  constructor(parts: RetentionParts) {
    this.#parts = parts
    this.#logger = parts.logger ?? silent
  }

  /** The part of the disk that was in use at the last round, of the fuller disk if there are two. */
  get used(): number {
    return this.#used
  }

  /** One round: looks at the disk, and deletes what it must. To be called every ten seconds. Does not reject. */
  async check(): Promise<void> {
    try {
      await this.#inTurn(() => this.#check())
    } catch (error) {
      if (!this.#isClosed) this.#logger.error({ error }, 'old files could not be deleted')
    }
  }

  /** Deletes all expired files at once, whatever the hour. @returns How many. @throws the error of the disk */
  deleteExpired(): Promise<number> {
    return this.#inTurn(async () => {
      await this.#look()
      return this.#delete(Number.POSITIVE_INFINITY)
    })
  }

  /** Deletes what is derived from files of the log that no longer exist. @throws the error of the disk */
  async deleteUnits(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#deleteUnits()
      return 0
    })
  }

  /** Begins no further round, and resolves when none is under way: another store may have the folder then. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#round?.catch(() => {})
  }

  async #inTurn(work: () => Promise<number>): Promise<number> {
    while (this.#round !== undefined) await this.#round.catch(() => {})
    if (this.#isClosed) throw new StoreError('CLOSED', `the store of ${this.#parts.log.folder} has been closed`)
    this.#round = work().finally(() => {
      this.#round = undefined
    })
    return await this.#round
  }

  async #check(): Promise<number> {
    const { rules, clock } = this.#parts
    await this.#look()
    const isHour = rules.deleteHours.includes(new Date(clock.now()).getHours())
    return isHour || this.#used > rules.maxUsed ? await this.#delete(FILES_A_ROUND) : 0
  }

  /** Looks how full the disk is. */
  async #look(): Promise<void> {
    const { rules, disk, log, queueFolder, writability } = this.#parts
    const [logSpace, queueSpace] = await Promise.all([disk.space(log.folder), disk.space(queueFolder)])
    this.#used = Math.max(usedPart(logSpace), usedPart(queueSpace))
    const isFull = this.#used > rules.fullAbove
    if (isFull) writability.setFull(this.#fullError(rules.fullAbove))
    else writability.setFull(undefined)
  }

  #fullError(limit: number): StoreError {
    const [used, allowed] = [Math.round(this.#used * 100), Math.round(limit * 100)]
    return new StoreError(
      'DISK_FULL',
      `the disk of ${this.#parts.log.folder} is full to ${used} %, messages are accepted up to ${allowed} %: make room, or keep files for a shorter time`,
    )
  }

  async #delete(most: number): Promise<number> {
    const { rules, disk, log, clock } = this.#parts
    const isForced = rules.isForceable && this.#used > rules.forcedAbove
    const times = new Map((disk.list(log.folder) ?? []).map(file => [file.name, file.modified]))
    const files = log.finishedFiles.map(name => ({ name, modified: times.get(name) ?? 0 }))
    const count = Math.min(countExpired(files, clock.now(), rules.reservedMs, isForced), most)
    let deleted = 0
    for (; deleted < count && !this.#isClosed; deleted++) await log.removeOldest()
    if (deleted === 0) return 0
    await disk.syncFolder(log.folder)
    this.#logger.info({ files: deleted, start: log.start, isForced }, 'old files of the log were deleted')
    await this.#deleteUnits()
    return deleted
  }

  async #deleteUnits(): Promise<void> {
    const { log, derived } = this.#parts
    for (const data of derived) await data.dropBefore(log.start)
  }
}
