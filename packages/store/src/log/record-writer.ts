import {
  BORN_HOST_V6,
  MESSAGE_MAGIC_V1,
  STORE_HOST_V6,
  TRANSACTION_PREPARED,
  TRANSACTION_ROLLBACK,
  transactionPart,
} from '@gantrymq/protocol'
import type { ConsumeQueue } from '../queues/consume-queue.ts'
import {
  DELAY_TOPIC,
  deliverTime,
  FIXED_BYTES,
  MAX_PROPERTIES_BYTES,
  V6_BYTES,
  writeInt,
  writeLong,
} from './record-layout.ts'
import { bodyCrc } from './body-crc.ts'
import { looksUnwritten } from './record-check.ts'
import { RecordProperties } from './record-properties.ts'

/** A message before it has a position. One object may be reused for every message: the store keeps nothing of it. */
export interface NewRecord {
  /** Its topic, and its id, become those of the record. */
  queue: ConsumeQueue
  /** A number of the user's own. */
  flag: number
  /** The bits for IPv6 hosts are set by the store. */
  sysFlag: number
  /** Milliseconds since the epoch, by the sender's clock. */
  bornTimestamp: number
  /** As stored: 4 or 16 bytes of address, then the port as int32. */
  bornHost: Buffer
  storeHost: Buffer
  reconsumeTimes: number
  /** Position of the half message for the committed message of a transaction, else 0. */
  preparedTransactionOffset: number
  /** Contains the body in `[bodyStart, bodyEnd)`. */
  body: Buffer
  bodyStart: number
  bodyEnd: number
  /** Contains the properties in `[propertiesStart, propertiesEnd)`: name, 0x01, value, 0x02, and so on. */
  properties: Buffer
  propertiesStart: number
  propertiesEnd: number
}

/** Bytes that a record takes at most; fewer if its properties have WAIT. */
export function mostBytes(record: NewRecord): number {
  return (
    FIXED_BYTES +
    (record.bornHost.length > 8 ? V6_BYTES : 0) +
    (record.storeHost.length > 8 ? V6_BYTES : 0) +
    (record.bodyEnd - record.bodyStart) +
    record.queue.topicBytes.length +
    (record.propertiesEnd - record.propertiesStart)
  )
}

/** Whether a record takes an offset of its queue. Prepared and rolled back messages do not: Apache's CommitLog.doAppend. */
export function takesOffset(sysFlag: number): boolean {
  const part = transactionPart(sysFlag)
  return part !== TRANSACTION_PREPARED && part !== TRANSACTION_ROLLBACK
}

/** Encodes records where they will be written from. Source: Apache's MessageExtEncoder. */
export class RecordWriter {
  /** What the properties of the last record say. */
  readonly properties = new RecordProperties()
  /** Of the last record, as stored. */
  sysFlag = 0
  queueOffset = 0
  /** Of the last record, see `DispatchedRecord`. */
  tagsCode = 0
  readonly #delayLevels: readonly number[]

  /** @param delayLevels Milliseconds of each delay level, from level 1. */
  constructor(delayLevels: readonly number[]) {
    this.#delayLevels = delayLevels
  }

  /**
   * Writes a record into `out` at `at`, where `mostBytes` of it must fit.
   * @returns Its size; -1 if its properties have more than 32,767 bytes, -2 if they look like bytes that were never written
   */
  write(record: NewRecord, out: Buffer, at: number, position: number, storeTimestamp: number): number {
    const { queue, bornHost, storeHost } = record
    const bodySize = record.bodyEnd - record.bodyStart
    const bodyAt = at + 88 + (bornHost.length - 8) + (storeHost.length - 8)
    const topicAt = bodyAt + bodySize + 1
    const propertiesAt = topicAt + queue.topicBytes.length + 2
    const propertiesEnd = this.#writeProperties(record, out, propertiesAt)
    const propertiesSize = propertiesEnd - propertiesAt
    if (propertiesSize > MAX_PROPERTIES_BYTES) return -1
    if (looksUnwritten(out, propertiesAt, propertiesEnd)) return -2

    const size = propertiesEnd - at
    const sysFlag = sysFlagOf(record)
    const queueOffset = takesOffset(sysFlag) ? queue.nextOffset : 0
    writeInt(out, at, size)
    writeInt(out, at + 4, MESSAGE_MAGIC_V1)
    record.body.copy(out, bodyAt, record.bodyStart, record.bodyEnd)
    writeInt(out, at + 8, bodyCrc(out, bodyAt, bodyAt + bodySize))
    writeInt(out, at + 12, queue.id)
    writeInt(out, at + 16, record.flag)
    writeLong(out, at + 20, queueOffset)
    writeLong(out, at + 28, position)
    writeInt(out, at + 36, sysFlag)
    writeLong(out, at + 40, record.bornTimestamp)
    let to = put(bornHost, out, at + 48)
    writeLong(out, to, storeTimestamp)
    to = put(storeHost, out, to + 8)
    writeInt(out, to, record.reconsumeTimes)
    writeLong(out, to + 4, record.preparedTransactionOffset)
    writeInt(out, to + 12, bodySize)
    out[topicAt - 1] = queue.topicBytes.length
    put(queue.topicBytes, out, topicAt)
    out[propertiesAt - 2] = propertiesSize >>> 8
    out[propertiesAt - 1] = propertiesSize

    this.sysFlag = sysFlag
    this.queueOffset = queueOffset
    this.tagsCode = tagsCodeOf(queue, this.properties, this.#delayLevels, storeTimestamp)
    return size
  }

  #writeProperties(record: NewRecord, out: Buffer, at: number): number {
    const { properties, propertiesStart, propertiesEnd } = record
    const end = at + properties.copy(out, at, propertiesStart, propertiesEnd)
    return this.properties.scan(out, at, end, record.queue.keyPrefixHash, true)
  }
}

/** The tag code of a record. Source: Apache's CommitLog.checkMessageAndReturnSize. */
export function tagsCodeOf(
  { topic }: ConsumeQueue,
  { tagsHash, delayLevel }: RecordProperties,
  delayLevels: readonly number[],
  storeTimestamp: number,
): number {
  return delayLevel > 0 && topic === DELAY_TOPIC ? deliverTime(delayLevels, delayLevel, storeTimestamp) : tagsHash
}

function sysFlagOf({ sysFlag, bornHost, storeHost }: NewRecord): number {
  const plain = sysFlag & ~(BORN_HOST_V6 | STORE_HOST_V6)
  return plain | (bornHost.length > 8 ? BORN_HOST_V6 : 0) | (storeHost.length > 8 ? STORE_HOST_V6 : 0)
}

/** A loop is cheaper than a native call for names and addresses. */
function put(from: Buffer, out: Buffer, at: number): number {
  for (let i = 0; i < from.length; i++) out[at + i] = from[i] as number
  return at + from.length
}
