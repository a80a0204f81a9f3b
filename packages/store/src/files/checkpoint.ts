import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { readLong, writeLong } from '../log/record-layout.ts'
import { type Disk, type OpenFile, writeAllSync } from './disk.ts'

const FILE_BYTES = 4096
const TIMES_BYTES = 24
/** Ours stands where no version of Apache reads or writes. */
const MARK_AT = 1024
const MARK_BYTES = 4 + 4 + 8 + TIMES_BYTES
const MARK_MAGIC = 0x47_4d_52_4b // GMRK
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

/**
 * The file `checkpoint`, from which a recovery knows where to begin.
 *
 * ```text
 *    0 int64 x 3  the times of Apache's StoreCheckpoint
 *   24 int64 x 2  masterFlushedOffset, confirmPhyOffset of Apache 5.x; kept as they are
 * 1024 int32 x 2  magic, version
 * 1032 int64      mark: log, queues and index are on the disk below this position
 * 1040 int64 x 3  the times once more
 * 1064 int32      CRC-32 of the 40 bytes before
 * ```
 *
 * The mark counts only if the times are still those that were written with it: otherwise an Apache broker used the store since.
 */
export class Checkpoint {
  readonly #file: OpenFile
  readonly #bytes = Buffer.alloc(FILE_BYTES)

  private constructor(file: OpenFile) {
    this.#file = file
    if (file.size < FILE_BYTES) file.truncate(FILE_BYTES)
    file.readSync(this.#bytes, 0, FILE_BYTES, 0)
  }

  /** Opens or creates the checkpoint of a store in `root`. @throws the error of the disk */
  static open(disk: Disk, root: string): Checkpoint {
    const path = join(root, 'checkpoint')
    return new Checkpoint(disk.exists(path) ? disk.open(path) : disk.create(path, FILE_BYTES))
  }

  get times(): CheckpointTimes {
    return { log: readLong(this.#bytes, 0), queues: readLong(this.#bytes, 8), index: readLong(this.#bytes, 16) }
  }

  /** Undefined if there is none, or if it does not count. */
  get mark(): number | undefined {
    const bytes = this.#bytes
    if (bytes.readInt32BE(MARK_AT) !== MARK_MAGIC || bytes.readInt32BE(MARK_AT + 4) !== MARK_VERSION) return undefined
    if (bytes.readUInt32BE(MARK_AT + MARK_BYTES) !== this.#crc()) return undefined
    if (bytes.compare(bytes, MARK_AT + 16, MARK_AT + MARK_BYTES, 0, TIMES_BYTES) !== 0) return undefined
    return readLong(bytes, MARK_AT + 8)
  }

  /** Writes the checkpoint in place and makes it durable. A torn write leaves a checkpoint without a mark. @throws the error of the disk */
  async write(mark: number, { log, queues, index }: CheckpointTimes): Promise<void> {
    const bytes = this.#bytes
    writeLong(bytes, 0, log)
    writeLong(bytes, 8, queues)
    writeLong(bytes, 16, index)
    bytes.writeInt32BE(MARK_MAGIC, MARK_AT)
    bytes.writeInt32BE(MARK_VERSION, MARK_AT + 4)
    writeLong(bytes, MARK_AT + 8, mark)
    bytes.copy(bytes, MARK_AT + 16, 0, TIMES_BYTES)
    bytes.writeUInt32BE(this.#crc(), MARK_AT + MARK_BYTES)
    writeAllSync(this.#file, bytes, 0, FILE_BYTES, 0)
    await this.#file.datasync()
  }

  close(): void {
    this.#file.close()
  }

  #crc(): number {
    return crc32(this.#bytes.subarray(MARK_AT, MARK_AT + MARK_BYTES))
  }
}
