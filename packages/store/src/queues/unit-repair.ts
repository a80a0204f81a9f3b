import { type Logger, silent } from '@gantrymq/remoting'
import { StoreError } from '../errors.ts'
import { RecordReader } from '../log/record-check.ts'
import { readLong } from '../log/record-layout.ts'
import { RecordProperties } from '../log/record-properties.ts'
import { tagsCodeOf } from '../log/record-writer.ts'
import type { ConsumeQueue, Unit } from './consume-queue.ts'

/** The log as far as a search for a record goes. */
export interface SearchedLog {
  readonly start: number
  readonly safe: number
  /** As in LogBytes. */
  readonly largestRecord: number
  /** Start of the file behind the one with this position. */
  nextFile(position: number): number
  /** A copy of bytes of one file, undefined if they do not exist. */
  peek(position: number, size: number): Promise<Buffer | undefined>
}

export interface UnitRepairsParts {
  readonly log: SearchedLog
  /** Milliseconds of each delay level. */
  readonly delayLevels: readonly number[]
  readonly logger?: Logger
}

/** Bytes of the log that are read at once. */
const WINDOW_BYTES = 1 << 20
/** No record is larger; what says so is damaged. */
const LARGEST_WINDOW = 32 << 20
/** Units before and behind a wrong one that are asked where to search. */
const NEIGHBOURS = 100
const HEAD_BYTES = 36

/**
 * Repairs units of consume queues that lead to no record, by looking for the record in the log between those of the units around
 * them. Apache would answer a pull with whatever bytes such a unit leads to.
 */
export class UnitRepairs {
  readonly #log: SearchedLog
  readonly #delayLevels: readonly number[]
  readonly #logger: Logger
  readonly #running = new Map<ConsumeQueue, Promise<void>>()

  constructor({ log, delayLevels, logger = silent }: UnitRepairsParts) {
    this.#log = log
    this.#delayLevels = delayLevels
    this.#logger = logger
  }

  /** Repairs a unit; one after the other for each queue. @throws the disk's error */
  async repair(queue: ConsumeQueue, offset: number): Promise<void> {
    const running = this.#running.get(queue)
    if (running !== undefined) return await running
    const repair = this.#repair(queue, offset).finally(() => this.#running.delete(queue))
    this.#running.set(queue, repair)
    await repair
  }

  async #repair(queue: ConsumeQueue, offset: number): Promise<void> {
    const { topic, id } = queue
    const wrong = await queue.unit(offset)
    const before = await this.#neighbour(queue, offset, -1)
    const after = await this.#neighbour(queue, offset, 1)
    const from = before === undefined ? this.#log.start : before.position + before.size
    const unit = await this.#search(queue, offset, from, after?.position ?? this.#log.safe)
    if (unit !== undefined && unit.size > this.#log.largestRecord) throw tooLarge(queue, offset, unit)
    queue.replace(offset, unit)
    const facts = { topic, queue: id, offset, wrong, unit }
    if (unit === undefined) this.#logger.error(facts, 'a message of a queue is lost: the log does not contain it')
    else this.#logger.warn(facts, 'a damaged unit of a queue was repaired from the log')
  }

  /** The nearest unit in a direction that leads to a record. */
  async #neighbour(queue: ConsumeQueue, offset: number, step: 1 | -1): Promise<Unit | undefined> {
    for (let distance = 1; distance <= NEIGHBOURS; distance++) {
      const unit = await queue.unit(offset + step * distance)
      if (unit === undefined) return undefined
      if (await this.#isRecord(unit)) return unit
    }
    return undefined
  }

  async #isRecord({ position, size }: Unit): Promise<boolean> {
    if (size < HEAD_BYTES || position < this.#log.start || position + size > this.#log.safe) return false
    const head = await this.#log.peek(position, HEAD_BYTES)
    return head !== undefined && head.readInt32BE(0) === size && readLong(head, 28) === position
  }

  /** Looks for the record of a message in `[from, to)`. */
  async #search(queue: ConsumeQueue, offset: number, from: number, to: number): Promise<Unit | undefined> {
    const reader = new RecordReader()
    let window: Buffer = Buffer.alloc(0)
    let windowAt = from
    for (let position = from; position < to; ) {
      const fileEnd = this.#log.nextFile(position)
      const left = fileEnd - position
      let found = reader.read(window, position - windowAt, window.length, position, left, false)
      if (found === 'damage' && windowAt + window.length < Math.min(fileEnd, this.#log.safe)) {
        // The window may only be too small for the record.
        window = await this.#window(position, Math.min(Math.max(WINDOW_BYTES, reader.size), LARGEST_WINDOW), fileEnd)
        windowAt = position
        found = reader.read(window, 0, window.length, position, left, false)
      }
      if (found !== 'record') position = fileEnd
      else if (!isRecordOf(reader, window, queue, offset)) position += reader.size
      else {
        const at = position - windowAt
        const isWhole = reader.read(window, at, window.length, position, left, true) === 'record'
        return isWhole ? this.#unitOf(reader, window, queue, position) : undefined
      }
    }
    return undefined
  }

  async #window(position: number, size: number, fileEnd: number): Promise<Buffer> {
    const bytes = Math.min(size, fileEnd - position, this.#log.safe - position)
    return (await this.#log.peek(position, bytes)) ?? Buffer.alloc(0)
  }

  #unitOf(reader: RecordReader, bytes: Buffer, queue: ConsumeQueue, position: number): Unit {
    const properties = new RecordProperties()
    const { propertiesAt, propertiesSize, size, storeTimestamp } = reader
    properties.scan(bytes, propertiesAt, propertiesAt + propertiesSize, queue.keyPrefixHash, false)
    return { position, size, tagsCode: tagsCodeOf(queue, properties, this.#delayLevels, storeTimestamp) }
  }
}

/** It was written with a larger `maxMessageSize`: it must not be passed over, it is only too large now. */
function tooLarge({ topic, id }: ConsumeQueue, offset: number, { size }: Unit): StoreError {
  const message = `the message at offset ${offset} of queue ${id} of ${topic} has ${size} bytes`
  return new StoreError('READ_FAILED', `${message}, more than fit into memory: raise maxMessageSize or commitLogMemory`)
}

function isRecordOf(reader: RecordReader, bytes: Buffer, { topicBytes, id }: ConsumeQueue, offset: number): boolean {
  if (reader.queueId !== id || reader.queueOffset !== offset) return false
  return topicBytes.equals(bytes.subarray(reader.topicAt, reader.topicAt + reader.topicSize))
}
