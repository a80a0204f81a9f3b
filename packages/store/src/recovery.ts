import type { Logger } from '@gantrymq/remoting'
import { type DerivedData, ReusedRecord } from './dispatched-record.ts'
import { StoreError } from './errors.ts'
import type { Checkpoint } from './files/checkpoint.ts'
import type { SegmentList } from './files/segment-list.ts'
import type { KeyIndex } from './index/key-index.ts'
import { hasRecordsBehind, type RecoveryStart, settleEnd, startByApachesRule } from './log/log-recovery.ts'
import { LogScan, type LogScanOptions } from './log/log-scan.ts'
import { type RecordReader, storeTimeAt } from './log/record-check.ts'
import { FIXED_BYTES, readLong } from './log/record-layout.ts'
import { RecordProperties } from './log/record-properties.ts'
import { tagsCodeOf } from './log/record-writer.ts'
import type { ResolvedOptions } from './options.ts'
import type { ConsumeQueue } from './queues/consume-queue.ts'
import type { ConsumeQueues } from './queues/consume-queues.ts'

/** Bytes of queues and index in memory after which a recovery writes them. */
const MAX_UNWRITTEN = 16 << 20
const WRITE_SLICE_MS = 20

export interface RecoveryParts {
  readonly options: ResolvedOptions
  readonly segments: SegmentList
  readonly checkpoint: Checkpoint
  readonly queues: ConsumeQueues
  readonly index: KeyIndex | undefined
  /** Whether the store was not closed the last time. */
  readonly wasAborted: boolean
  /** Notes that the store is open, before anything of it is changed: a crash leaves it to the next recovery. */
  readonly begin: () => Promise<void>
}

export interface Recovered {
  /** Position behind the last record. */
  readonly end: number
  /** Below this, log, queues and index are on the disk. */
  readonly mark: number
  /** Of the last record, milliseconds since the epoch; 0 if it is not known. */
  readonly lastStoreTimestamp: number
}

/**
 * Brings log, queues and index into agreement when a store is opened: Apache's DefaultMessageStore.recover.
 *
 * Below the mark of the checkpoint everything is on the disk. Above it queues and index are thrown away and built again from the
 * log, so that they are exact after any crash; what is missing or damaged of them below the mark is built again, too. Each step can
 * be repeated: a crash in a recovery only makes the next one do the same.
 */
export class Recovery {
  readonly #parts: RecoveryParts
  readonly #log: Logger
  readonly #derived: readonly DerivedData[]
  readonly #properties = new RecordProperties()
  readonly #record = new ReusedRecord()
  #records = 0
  /** Queues by a hash of topic and id, so that a topic need not become a string for each of its messages. */
  readonly #lately: (ConsumeQueue | undefined)[] = Array.from({ length: 256 }, () => undefined)

  constructor(parts: RecoveryParts) {
    this.#parts = parts
    this.#log = parts.options.log
    const { queues, index } = parts
    this.#derived = index === undefined ? [queues] : [queues, index]
  }

  async run(): Promise<Recovered> {
    const { segments, checkpoint, wasAborted, options } = this.#parts
    const first = segments.first?.start ?? 0
    const { mark, times } = checkpoint
    const isClean = !wasAborted && mark !== undefined
    const start = await this.#start(mark)
    this.#record.storeTimestamp = Math.max(times.log, 0)

    if (start.distrustsDerived) for (const derived of this.#derived) await derived.cut(start.from)
    else if (mark === undefined || mark > (segments.last?.end ?? 0)) await this.#cutToEnd(start)
    const isPartLost = await this.#isDerivedLost()
    const from = isPartLost ? first : start.from
    if (mark !== undefined && from < mark) await this.#moveMarkBack(from)

    const trustedBelow = Math.max(start.trustedBelow, start.from)
    const scanned = await this.#scan(from, trustedBelow, position => position >= start.from)
    const end = Math.max(scanned, start.from)
    if (isClean && end === mark && !isPartLost) return { end, mark, lastStoreTimestamp: this.#record.storeTimestamp }

    await this.#parts.begin()
    if (wasAborted && (await hasRecordsBehind(segments, end))) {
      this.#log.warn({ end }, 'after a crash the log ends at a damaged record: what follows it is removed')
    }
    await settleEnd(segments, start.from, end)
    if (this.#parts.queues.incomplete.size > 0) await this.#rebuildQueues(start.from, end)
    if (segments.first !== undefined) {
      const { root } = options
      this.#log.info({ root, from, end, records: this.#records, clean: !wasAborted }, 'the store was recovered')
    }
    return { end, mark: Math.min(from, end), lastStoreTimestamp: this.#record.storeTimestamp }
  }

  async #start(mark: number | undefined): Promise<RecoveryStart> {
    const { segments, checkpoint, wasAborted } = this.#parts
    const { first, last } = segments
    if (first === undefined || last === undefined) return { from: 0, trustedBelow: 0, distrustsDerived: true }
    if (mark === undefined || mark > last.end) {
      if (mark !== undefined) this.#log.error({ mark, end: last.end }, 'files of the commit log are missing at its end')
      return startByApachesRule(segments, wasAborted, checkpoint.times)
    }
    const from = Math.max(mark, first.start)
    return { from, trustedBelow: from, distrustsDerived: wasAborted }
  }

  /** After a clean stop queues and index are right, but they are longer than a log that was damaged, or lost its last files. */
  async #cutToEnd({ from, trustedBelow }: RecoveryStart): Promise<void> {
    const end = await this.#scanLog(
      from,
      trustedBelow,
      () => true,
      () => {},
    )
    await this.#parts.begin()
    for (const derived of this.#derived) await derived.cut(end)
  }

  /** Whether queues or an index that were on the disk at the last checkpoint are not there any more, or damaged. */
  async #isDerivedLost(): Promise<boolean> {
    const { queues, index, checkpoint, segments, wasAborted } = this.#parts
    if (segments.first === undefined) return false
    const { queueFolders, indexFiles, units } = checkpoint
    // After a crash the newest file is computed from its entries.
    if (!wasAborted) await index?.check(position => storeTimeAtPosition(segments, position))
    const areUnitsLost = !wasAborted && units !== undefined && units !== queues.countUnits
    const areQueuesLost = queues.found < queueFolders || areUnitsLost
    const isIndexLost = index !== undefined && (index.found < indexFiles || !index.isComplete)
    if (areQueuesLost) {
      const facts = { found: queues.found, were: queueFolders, units: queues.countUnits, unitsWere: units }
      this.#log.error(facts, 'consume queues are missing or damaged')
    }
    if (areQueuesLost || isIndexLost) await this.#parts.begin()
    // Which unit is wrong is not known: it may claim a record that is longer than its own.
    if (areUnitsLost) await queues.rebuild()
    if (isIndexLost) {
      this.#log.error({ found: index.found, were: indexFiles }, 'the key index is damaged or missing')
      await index.rebuild()
    }
    return areQueuesLost || isIndexLost
  }

  /** Before something below the mark is built again: a crash must not find a mark above it. */
  async #moveMarkBack(mark: number): Promise<void> {
    const { checkpoint, queues, index } = this.#parts
    await checkpoint.write({
      mark,
      times: checkpoint.times,
      queueFolders: queues.countDurable,
      indexFiles: index?.countDurable ?? 0,
    })
  }

  async #rebuildQueues(checkFrom: number, end: number): Promise<void> {
    const { queues, segments } = this.#parts
    const first = segments.first?.start ?? 0
    for (const { topic, id } of queues.incomplete)
      this.#log.error({ topic, queue: id }, 'a consume queue is built again')
    await this.#moveMarkBack(first)
    await queues.rebuildIncomplete()
    await this.#scan(first, end, position => position >= checkFrom)
  }

  #scan(from: number, trustedBelow: number, checkCrc: (position: number) => boolean): Promise<number> {
    return this.#scanLog(from, trustedBelow, checkCrc, (record, bytes, position) => this.#put(record, bytes, position))
  }

  #scanLog(
    from: number,
    trustedBelow: number,
    checkCrc: (position: number) => boolean,
    onRecord: LogScanOptions['onRecord'],
  ): Promise<number> {
    const { segments, options } = this.#parts
    const scan = new LogScan({
      segments,
      trustedBelow,
      checkCrc: position => options.checkCrc && checkCrc(position),
      onRecord,
      onDamage: (position, to, problem) =>
        this.#log.error({ position, to, problem }, 'the commit log is damaged: messages are lost'),
      onWindow: async () => this.#writeDerived(),
    })
    return scan.run(from)
  }

  #put(record: RecordReader, bytes: Buffer, position: number): void {
    const queue = this.#queueOf(record, bytes)
    if (queue === undefined) {
      this.#log.error({ position }, 'a record has an impossible topic')
      return
    }
    const properties = this.#properties
    const { propertiesAt, propertiesSize } = record
    properties.scan(bytes, propertiesAt, propertiesAt + propertiesSize, queue.keyPrefixHash, false)
    const put = this.#record
    put.queue = queue
    put.position = position
    put.size = record.size
    put.queueOffset = record.queueOffset
    put.storeTimestamp = record.storeTimestamp
    put.sysFlag = record.sysFlag
    put.tagsCode = tagsCodeOf(queue, properties, this.#parts.options.delayLevels, record.storeTimestamp)
    put.keyHashes = properties.keyHashes
    put.keyCount = properties.keyCount
    for (const derived of this.#derived) derived.put(put)
    this.#records++
  }

  #queueOf({ topicAt, topicSize, queueId }: RecordReader, bytes: Buffer): ConsumeQueue | undefined {
    const topicEnd = topicAt + topicSize
    const slot = (queueId * 31 + topicSize * 7 + (bytes[topicEnd - 1] ?? 0)) & (this.#lately.length - 1)
    const lately = this.#lately[slot]
    if (lately?.id === queueId && isAt(lately.topicBytes, bytes, topicAt, topicSize)) return lately
    try {
      return (this.#lately[slot] = this.#parts.queues.findOrMake(bytes.toString('utf8', topicAt, topicEnd), queueId))
    } catch (error) {
      if (error instanceof StoreError) return undefined
      throw error
    }
  }

  #writeDerived(): void {
    for (const derived of this.#derived) {
      if (derived.unwritten > MAX_UNWRITTEN) while (derived.writeSome(WRITE_SLICE_MS));
    }
  }
}

/** Store time of the record at a position, milliseconds since the epoch; undefined if there is none. */
async function storeTimeAtPosition(segments: SegmentList, position: number): Promise<number | undefined> {
  const segment = segments.find(position)
  const at = position - (segment?.start ?? 0)
  if (segment === undefined || at + FIXED_BYTES > segment.size) return undefined
  const head = Buffer.allocUnsafe(FIXED_BYTES)
  await segment.read(head, 0, FIXED_BYTES, at)
  return readLong(head, 28) === position ? storeTimeAt(head, 0) : undefined
}

function isAt(name: Buffer, bytes: Buffer, at: number, size: number): boolean {
  if (name.length !== size) return false
  for (let i = 0; i < size; i++) if (name[i] !== bytes[at + i]) return false
  return true
}
