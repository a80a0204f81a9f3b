import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { readLong, writeLong } from '../log/record-layout.ts'
import { type Disk, type OpenFile, readAllSync, writeAllSync } from './disk.ts'

const FILE_BYTES = 4096
const TIMES_BYTES = 24
/** Ours stands where no version of Apache reads or writes. */
const MARK_AT = 1024
const COUNTS_AT = MARK_AT + 16 + TIMES_BYTES
const MARK_BYTES = 4 + 4 + 8 + TIMES_BYTES + 4 + 4 + 8
const UNITS_AT = COUNTS_AT + 8
const CRC_AT = MARK_AT + MARK_BYTES
const MARK_MAGIC = 0x474d524b // GMRK
const MARK_VERSION = 1

/** Store times, milliseconds since the epoch: what belongs to older messages is on the disk. Apache's StoreCheckpoint. */
export interface CheckpointTimes {
  /** physicMsgTimestamp: the log. */
  readonly log: number
  /** logicsMsgTimestamp: the consume queues. */
  readonly queues: number
  /** indexMsgTimestamp. */
  readonly index: number
}

export interface CheckpointContent {
  /** Log, queues and index are on the disk below this position. */
  readonly mark: number
  readonly times: CheckpointTimes
  /** Consume queues that have files; files of the index: after a clean stop all of them. Fewer at a start: some were removed. */
  readonly queueFolders: number
  readonly indexFiles: number
  /** Units of all queues together after a clean stop; undefined while the store is open, when the files may have more. */
  readonly units?: number
}

/**
 * The file `checkpoint`, from which a recovery knows where to begin.
 *
 * ```text
 *    0 int64 x 3  the times of Apache's StoreCheckpoint
 *   24 int64 x 2  masterFlushedOffset, confirmPhyOffset of Apache 5.x; kept as they are
 * 1024 int32 x 2  magic, version
 * 1032 int64      mark: log, queues and index are on the disk below this position
 * 1040 int64 x 3  the times once more
 * 1064 int32 x 2  consume queues that have files, files of the index
 * 1072 int64      units of all queues together after a clean stop, else -1
 * 1080 int32      CRC-32 of the 56 bytes before
 * ```
 *
 * The mark counts only if the times are still those that were written with it: otherwise an Apache broker used the store since.
 */
export class Checkpoint {
  readonly #file: OpenFile
  #bytes = Buffer.alloc(FILE_BYTES)

  private constructor(file: OpenFile) {
    this.#file = file
    if (file.size < FILE_BYTES) file.truncate(FILE_BYTES)
    readAllSync(file, this.#bytes, 0, FILE_BYTES, 0)
  }

  /** Opens or creates the checkpoint of a store in `root`. @throws the error of the disk */
  static open(disk: Disk, root: string): Checkpoint {
    const path = join(root, 'checkpoint')
    return new Checkpoint(disk.exists(path) ? disk.open(path) : disk.create(path, FILE_BYTES))
  }

  get times(): CheckpointTimes {
    return { log: readLong(this.#bytes, 0), queues: readLong(this.#bytes, 8), index: readLong(this.#bytes, 16) }
  }

  /** 0 if there is no mark that counts. */
  get queueFolders(): number {
    return this.mark === undefined ? 0 : this.#bytes.readInt32BE(COUNTS_AT)
  }

  /** The same for the files of the index. */
  get indexFiles(): number {
    return this.mark === undefined ? 0 : this.#bytes.readInt32BE(COUNTS_AT + 4)
  }

  /** Undefined if they were not counted. */
  get units(): number | undefined {
    const units = this.mark === undefined ? -1 : readLong(this.#bytes, UNITS_AT)
    return units < 0 ? undefined : units
  }

  /** Undefined if there is none, or if it does not count. */
  get mark(): number | undefined {
    const bytes = this.#bytes
    if (bytes.readInt32BE(MARK_AT) !== MARK_MAGIC || bytes.readInt32BE(MARK_AT + 4) !== MARK_VERSION) return undefined
    if (bytes.readUInt32BE(CRC_AT) !== crcOf(bytes)) return undefined
    if (bytes.compare(bytes, MARK_AT + 16, COUNTS_AT, 0, TIMES_BYTES) !== 0) return undefined
    return readLong(bytes, MARK_AT + 8)
  }

  /** Writes the checkpoint in place and makes it durable. A torn write leaves a checkpoint without a mark. @throws the error of the disk */
  async write({ mark, times, queueFolders, indexFiles, units = -1 }: CheckpointContent): Promise<void> {
    // What could not be written is not what the file says.
    const bytes = Buffer.from(this.#bytes)
    writeLong(bytes, 0, times.log)
    writeLong(bytes, 8, times.queues)
    writeLong(bytes, 16, times.index)
    bytes.writeInt32BE(MARK_MAGIC, MARK_AT)
    bytes.writeInt32BE(MARK_VERSION, MARK_AT + 4)
    writeLong(bytes, MARK_AT + 8, mark)
    bytes.copy(bytes, MARK_AT + 16, 0, TIMES_BYTES)
    bytes.writeInt32BE(queueFolders, COUNTS_AT)
    bytes.writeInt32BE(indexFiles, COUNTS_AT + 4)
    writeLong(bytes, UNITS_AT, units)
    bytes.writeUInt32BE(crcOf(bytes), CRC_AT)
    writeAllSync(this.#file, bytes, 0, FILE_BYTES, 0)
    await this.#file.datasync()
    this.#bytes = bytes
  }

  close(): void {
    this.#file.close()
  }
}

function crcOf(bytes: Buffer): number {
  return crc32(bytes.subarray(MARK_AT, CRC_AT))
}
