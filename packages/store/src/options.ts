import { totalmem } from 'node:os'
import { setImmediate } from 'node:timers'
import { type Clock, type Logger, silent, systemClock } from '@gantrymq/remoting'
import { StoreError } from './errors.ts'
import type { Disk } from './files/disk.ts'
import { BLANK_BYTES, FIXED_BYTES } from './log/record-layout.ts'
import { defaultReadLimits, type ReadLimits } from './read-limits.ts'
import { defaultRetentionRules, type RetentionRules } from './retention.ts'

/** When a message is acknowledged and seen by consumers: when it is written, or when it is on the disk. */
export type FlushMode = 'ASYNC_FLUSH' | 'SYNC_FLUSH'

/** How the log is written: on the event loop, by libuv's pool, or on the loop except while the disk is slow. */
export type WriteWay = 'loop' | 'pool' | 'adaptive'

/** Each option names Apache's key of MessageStoreConfig. */
export interface StoreOptions {
  readonly disk: Disk
  /** The folder of the store, absolute: `storePathRootDir`. It is created. */
  readonly root: string
  readonly clock?: Clock
  /**
   * Calls `work` after everything that came in this turn of the event loop was appended: all of it leaves in one write. Default
   * setImmediate.
   */
  readonly schedule?: (work: () => void) => void
  readonly log?: Logger
  /** `flushDiskType`. Default ASYNC_FLUSH. */
  readonly flushMode?: FlushMode
  /** Bytes of a file of the log: `mappedFileSizeCommitLog`. Default 1 GiB. */
  readonly logFileBytes?: number
  /** Bytes of a file of a consume queue: `mappedFileSizeConsumeQueue`, rounded up to whole units of 20. Default 6,000,000. */
  readonly queueFileBytes?: number
  /** Whether the tags of messages are kept in extensions of the consume queues, too: `enableConsumeQueueExt`. Default false. */
  readonly writeExtensions?: boolean
  /** Bytes of a file of such an extension: `mappedFileSizeConsumeQueueExt`. Default 48 MiB. */
  readonly extensionFileBytes?: number
  /** Whether messages can be found by key: `messageIndexEnable`. Default true. */
  readonly indexKeys?: boolean
  /** Hash slots of an index file: `maxHashSlotNum`. Default 5,000,000. */
  readonly indexSlots?: number
  /** Entries of an index file: `maxIndexNum`. Default 20,000,000. */
  readonly indexEntries?: number
  /** Most bytes of a body: `maxMessageSize`. Default 4 MiB. */
  readonly maxMessageBytes?: number
  /** Milliseconds of delay level 1, 2, and so on: `messageDelayLevel`. Default Apache's eighteen, from 1 s to 2 h. */
  readonly delayLevels?: readonly number[]
  /** Whether a recovery checks the CRC of bodies: `checkCRCOnRecover`. Default true. */
  readonly checkCrc?: boolean
  /**
   * Memory for the log, blocks of 1 MiB: the newest bytes, and older ones that were read. At least 16; it is raised to as many
   * as hold two of the largest messages. Default 48.
   */
  readonly logBlocks?: number
  /**
   * Bytes of the newest part of the log that are likely in memory, the operating system's included: `accessMessageInMemoryMaxRatio`
   * of the machine's. What is older is read in smaller pieces. Default 40 % of the machine's memory, or of what the process may use.
   */
  readonly hotBytes?: number
  /** How much one read may take: `maxTransferBytesOnMessageInMemory` and its neighbours. */
  readonly readLimits?: Partial<ReadLimits>
  /** When old files of the log are deleted. */
  readonly retention?: Partial<RetentionRules>
  /** Milliseconds between two looks at the disk and at old files: `cleanResourceInterval`. Default 10,000. */
  readonly retentionIntervalMs?: number
  /** Milliseconds between two syncs with ASYNC_FLUSH: `flushIntervalCommitLog`. Default 500. */
  readonly flushIntervalMs?: number
  /** Bytes written but not synced after which a sync begins at once. Default 16 MiB. */
  readonly flushBytes?: number
  /** Bytes written but not synced at which `append` answers BUSY. Default 64 MiB. */
  readonly maxUnflushedBytes?: number
  /** Milliseconds between two checkpoints. Default 10,000. */
  readonly checkpointIntervalMs?: number
  /** Bytes of log after which a checkpoint begins at once. Default 256 MiB. */
  readonly checkpointBytes?: number
  /** Default adaptive. */
  readonly writeWay?: WriteWay
}

export type ResolvedOptions = Required<Omit<StoreOptions, 'readLimits' | 'retention'>> & {
  readonly readLimits: ReadLimits
  readonly retention: RetentionRules
  /** Bytes of a block of memory: a file of the log is at least one block. */
  readonly blockBytes: number
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const MIB = 1 << 20
const BLOCK_BYTES = MIB
const MIN_LOG_BLOCKS = 16
/** More than a record takes besides its body. */
const MAX_OVERHEAD_BYTES = 64 << 10
const HOT_PART = 0.4

const DELAY_LEVELS: readonly number[] = [
  ...[1, 5, 10, 30].map(seconds => seconds * SECOND),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30].map(minutes => minutes * MINUTE),
  ...[1, 2].map(hours => hours * HOUR),
]

/** The options with defaults. @throws StoreError BAD_OPTION */
export function resolveOptions(options: StoreOptions): ResolvedOptions {
  const logFileBytes = options.logFileBytes ?? 1024 * MIB
  const maxMessageBytes = options.maxMessageBytes ?? 4 * MIB
  const resolved: ResolvedOptions = {
    disk: options.disk,
    root: options.root,
    clock: options.clock ?? systemClock,
    schedule: options.schedule ?? (work => void setImmediate(work)),
    log: options.log ?? silent,
    flushMode: options.flushMode ?? 'ASYNC_FLUSH',
    logFileBytes,
    queueFileBytes: Math.ceil((options.queueFileBytes ?? 6_000_000) / 20) * 20,
    writeExtensions: options.writeExtensions ?? false,
    extensionFileBytes: options.extensionFileBytes ?? 48 * MIB,
    indexKeys: options.indexKeys ?? true,
    indexSlots: options.indexSlots ?? 5_000_000,
    indexEntries: options.indexEntries ?? 20_000_000,
    maxMessageBytes,
    delayLevels: options.delayLevels ?? DELAY_LEVELS,
    checkCrc: options.checkCrc ?? true,
    logBlocks: Math.max(options.logBlocks ?? 48, blocksFor(maxMessageBytes, logFileBytes)),
    hotBytes: options.hotBytes ?? Math.floor(usableMemory() * HOT_PART),
    readLimits: { ...defaultReadLimits, ...options.readLimits },
    retention: { ...defaultRetentionRules, ...options.retention },
    retentionIntervalMs: options.retentionIntervalMs ?? 10 * SECOND,
    flushIntervalMs: options.flushIntervalMs ?? 500,
    flushBytes: options.flushBytes ?? 16 * MIB,
    maxUnflushedBytes: options.maxUnflushedBytes ?? 64 * MIB,
    checkpointIntervalMs: options.checkpointIntervalMs ?? 10 * SECOND,
    checkpointBytes: options.checkpointBytes ?? 256 * MIB,
    writeWay: options.writeWay ?? 'adaptive',
    blockBytes: Math.min(BLOCK_BYTES, logFileBytes),
  }
  checkOptions(resolved)
  return resolved
}

/** Half of the blocks are for what is not written yet, and a record is written as a whole. */
function blocksFor(maxMessageBytes: number, logFileBytes: number): number {
  const largest = Math.min(maxMessageBytes + MAX_OVERHEAD_BYTES, logFileBytes)
  return 2 * Math.ceil(largest / Math.min(BLOCK_BYTES, logFileBytes))
}

function checkOptions(options: ResolvedOptions): void {
  const { root, logFileBytes, queueFileBytes, indexSlots, indexEntries, logBlocks } = options
  if (!root.startsWith('/') && !/^[A-Za-z]:[\\/]/.test(root))
    throw bad('root', `${JSON.stringify(root)} is not absolute`)
  if (!isWhole(logFileBytes, FIXED_BYTES + BLANK_BYTES)) throw bad('logFileBytes', `${logFileBytes} is too small`)
  if (!isWhole(queueFileBytes, 20)) throw bad('queueFileBytes', `${queueFileBytes} is too small`)
  if (!isWhole(indexSlots, 1)) throw bad('indexSlots', `${indexSlots} is too small`)
  if (!isWhole(indexEntries, 2)) throw bad('indexEntries', `${indexEntries} is too small`)
  if (!isWhole(logBlocks, MIN_LOG_BLOCKS)) throw bad('logBlocks', `${logBlocks} is below ${MIN_LOG_BLOCKS}`)
}

/** Bytes of memory that the process may use: those of its container, else the machine's. */
function usableMemory(): number {
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

function isWhole(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least
}

function bad(option: string, problem: string): StoreError {
  return new StoreError('BAD_OPTION', `the option ${option} of the store: ${problem}`)
}
