import { resolve } from 'node:path'
import type { Clock, Logger } from '@gantrymq/remoting'
import { type Disk, MemoryDisk, NodeDisk, type StoreOptions } from '@gantrymq/store'
import { readDelayLevels } from './delays/delay-levels.ts'
import type { BrokerOptions } from './options.ts'

/** The folder of a store in memory. */
const MEMORY_ROOT = '/store'
const HOUR_MS = 3_600_000

export interface StoreSurroundings {
  /** Default: the files of the machine; in memory, if there is no storePathRootDir. */
  readonly disk: Disk | undefined
  readonly clock: Clock
  readonly log: Logger
}

/**
 * What the options of a broker mean for its store.
 * @throws RemotingError BAD_OPTION
 */
export function storeOptions(options: BrokerOptions, { disk, clock, log }: StoreSurroundings): StoreOptions {
  const { storePathRootDir: root } = options
  return {
    disk: disk ?? (root === null ? new MemoryDisk({ now: () => clock.now() }) : new NodeDisk()),
    root: root === null ? MEMORY_ROOT : resolve(root),
    clock,
    log,
    flushMode: options.flushDiskType,
    logFileBytes: options.mappedFileSizeCommitLog,
    queueFileBytes: options.mappedFileSizeConsumeQueue,
    indexKeys: options.messageIndexEnable,
    indexSlots: options.maxHashSlotNum,
    indexEntries: options.maxIndexNum,
    maxMessageBytes: options.maxMessageSize,
    delayLevels: readDelayLevels(options.messageDelayLevel),
    flushIntervalMs: options.flushIntervalCommitLog,
    logBlocks: options.commitLogMemory,
    readLimits: {
      bytesInMemory: options.maxTransferBytesOnMessageInMemory,
      countInMemory: options.maxTransferCountOnMessageInMemory,
      bytesOnDisk: options.maxTransferBytesOnMessageInDisk,
      countOnDisk: options.maxTransferCountOnMessageInDisk,
    },
    retention: {
      reservedMs: options.fileReservedTime * HOUR_MS,
      deleteHours: options.deleteWhen.split(';').map(Number),
      maxUsed: options.diskMaxUsedSpaceRatio / 100,
      forcedAbove: options.diskSpaceCleanForciblyRatio / 100,
      fullAbove: options.diskSpaceWarningLevelRatio / 100,
      isForceable: options.cleanFileForciblyEnable,
    },
  }
}
