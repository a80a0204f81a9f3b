export {
  APPENDED,
  type AppendStatus,
  BAD_PROPERTIES,
  BATCH_TOO_LARGE,
  BUSY,
  NOT_WRITABLE,
  PROPERTIES_TOO_LONG,
  TOO_LARGE,
  TOPIC_TOO_LONG,
} from './append-status.ts'
export { StoreError, type StoreErrorCode } from './errors.ts'
export type { Disk, DiskSpace, FolderEntry, OpenFile } from './files/disk.ts'
export { MemoryDisk, type MemoryDiskOptions } from './files/memory-disk.ts'
export { NodeDisk } from './files/node-disk.ts'
export { WholeFiles } from './files/whole-files.ts'
export type { Appended } from './log/commit-log.ts'
export type { NewRecord } from './log/record-writer.ts'
export { Found, type ReadQuery, type ReadStatus } from './message-reader.ts'
export { type CommitListener, MessageStore } from './message-store.ts'
export type { FlushMode, StoreOptions, WriteWay } from './options.ts'
export type { ConsumeQueue } from './queues/consume-queue.ts'
export type { KeyedRecords, KeyLimits } from './key-query.ts'
export type { TimeBoundary } from './time-search.ts'
export type { ReadLimits } from './read-limits.ts'
export type { RetentionRules } from './retention.ts'
