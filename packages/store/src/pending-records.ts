import { type DispatchedRecord, ReusedRecord } from './dispatched-record.ts'
import { takesOffset } from './log/record-writer.ts'
import type { ConsumeQueue } from './queues/consume-queue.ts'

const FIRST_CAPACITY = 256
/** Records, and keys, for which there is memory in any case, once there was so much. */
const KEPT_CAPACITY = 4096

/**
 * The records that were appended and are not safe yet, oldest first: a ring of columns, because an object for each message would
 * be most of the garbage of a send.
 */
export class PendingRecords {
  #head = 0
  #count = 0
  /** The largest count since there were none. */
  #most = 0
  #capacity = FIRST_CAPACITY
  #queues: (ConsumeQueue | undefined)[] = empty(FIRST_CAPACITY)
  #positions = new Float64Array(FIRST_CAPACITY)
  #sizes = new Int32Array(FIRST_CAPACITY)
  #offsets = new Float64Array(FIRST_CAPACITY)
  #tags = new Float64Array(FIRST_CAPACITY)
  #times = new Float64Array(FIRST_CAPACITY)
  #flags = new Int32Array(FIRST_CAPACITY)
  #keyCounts = new Int32Array(FIRST_CAPACITY)
  #keys = new IntQueue()
  readonly #oldest = new ReusedRecord()

  get count(): number {
    return this.#count
  }

  /** How many records there is memory for. */
  get capacity(): number {
    return this.#capacity
  }

  push(record: DispatchedRecord): void {
    if (this.#count === this.#capacity) this.#resize(this.#capacity * 2)
    const at = (this.#head + this.#count++) & (this.#capacity - 1)
    if (this.#count > this.#most) this.#most = this.#count
    this.#queues[at] = record.queue
    this.#positions[at] = record.position
    this.#sizes[at] = record.size
    this.#offsets[at] = record.queueOffset
    this.#tags[at] = record.tagsCode
    this.#times[at] = record.storeTimestamp
    this.#flags[at] = record.sysFlag
    this.#keyCounts[at] = record.keyCount
    this.#keys.push(record.keyHashes, record.keyCount)
  }

  /** Takes the oldest record out if it ends at or before `safe`. The object is valid until the next call. */
  take(safe: number): DispatchedRecord | undefined {
    if (this.#count === 0) return undefined
    const at = this.#head
    const position = this.#positions[at] as number
    const size = this.#sizes[at] as number
    if (position + size > safe) return undefined
    const oldest = this.#oldest
    oldest.queue = this.#queues[at] as ConsumeQueue
    oldest.position = position
    oldest.size = size
    oldest.queueOffset = this.#offsets[at] as number
    oldest.tagsCode = this.#tags[at] as number
    oldest.storeTimestamp = this.#times[at] as number
    oldest.sysFlag = this.#flags[at] as number
    oldest.keyCount = this.#keyCounts[at] as number
    oldest.keyHashes = this.#keys.take(oldest.keyCount)
    this.#queues[at] = undefined
    this.#head = (at + 1) & (this.#capacity - 1)
    if (--this.#count === 0) this.#shrink()
    return oldest
  }

  /** Forgets the records at and above `position`, which were not stored, and takes their offsets back. */
  dropFrom(position: number): void {
    while (this.#count > 0) {
      const at = (this.#head + this.#count - 1) & (this.#capacity - 1)
      if ((this.#positions[at] as number) < position) return
      if (takesOffset(this.#flags[at] as number)) {
        ;(this.#queues[at] as ConsumeQueue).nextOffset = this.#offsets[at] as number
      }
      this.#keys.drop(this.#keyCounts[at] as number)
      this.#queues[at] = undefined
      this.#count--
    }
  }

  /** Gives back half of the memory that a flood took, each time that there are no records and less than a quarter was needed. */
  #shrink(): void {
    if (this.#capacity > KEPT_CAPACITY && this.#most < this.#capacity / 4) this.#resize(this.#capacity / 2)
    this.#most = 0
  }

  #resize(capacity: number): void {
    const [from, count, before] = [this.#head, this.#count, this.#capacity]
    const wrapped = Math.max(from + count - before, 0)
    const column = <T extends Float64Array | Int32Array>(old: T, fresh: T): T => {
      fresh.set(old.subarray(from, from + count - wrapped))
      fresh.set(old.subarray(0, wrapped), count - wrapped)
      return fresh
    }
    const held = [...this.#queues.slice(from, from + count - wrapped), ...this.#queues.slice(0, wrapped)]
    this.#queues = [...held, ...empty(capacity - count)]
    this.#positions = column(this.#positions, new Float64Array(capacity))
    this.#sizes = column(this.#sizes, new Int32Array(capacity))
    this.#offsets = column(this.#offsets, new Float64Array(capacity))
    this.#tags = column(this.#tags, new Float64Array(capacity))
    this.#times = column(this.#times, new Float64Array(capacity))
    this.#flags = column(this.#flags, new Int32Array(capacity))
    this.#keyCounts = column(this.#keyCounts, new Int32Array(capacity))
    this.#head = 0
    this.#capacity = capacity
  }
}

/** A queue of numbers, from which several are taken together. */
class IntQueue {
  #values = new Int32Array(FIRST_CAPACITY)
  #from = 0
  #to = 0
  #taken = new Int32Array(16)

  push(values: Int32Array, count: number): void {
    if (this.#to + count > this.#values.length) this.#makeRoom(count)
    for (let i = 0; i < count; i++) this.#values[this.#to++] = values[i] as number
  }

  /** The array is valid until the next call; it may be longer than `count`. */
  take(count: number): Int32Array {
    if (count > this.#taken.length) this.#taken = new Int32Array(count * 2)
    for (let i = 0; i < count; i++) this.#taken[i] = this.#values[this.#from++] as number
    if (this.#from === this.#to) this.#empty()
    return this.#taken
  }

  /** Takes back the last `count` numbers. */
  drop(count: number): void {
    this.#to -= count
  }

  #empty(): void {
    this.#from = this.#to = 0
    if (this.#values.length > KEPT_CAPACITY) this.#values = new Int32Array(this.#values.length >> 1)
  }

  #makeRoom(count: number): void {
    const held = this.#to - this.#from
    const values = held + count > this.#values.length / 2 ? new Int32Array((held + count) * 2) : this.#values
    values.set(this.#values.subarray(this.#from, this.#to))
    this.#values = values
    this.#from = 0
    this.#to = held
  }
}

function empty(length: number): undefined[] {
  return Array.from({ length }, () => undefined)
}
