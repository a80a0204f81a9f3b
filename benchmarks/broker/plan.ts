import { writeFile } from 'node:fs/promises'

/** A whole frame with blanks that the drivers fill in. */
export interface Frame {
  readonly bytes: Buffer
  /** Where the seven digits of the opaque are. */
  readonly opaqueAt: number
  /** Where the last eight digits of the unique key are; 0 without a key. */
  readonly keyAt: number
  /** Where the drivers insert the offset of a pull; 0 for a message. */
  readonly offsetAt: number
  /** Of a pull: the first offset, and the offset from which it starts again. 0: it never starts again. */
  readonly first: number
  readonly end: number
}

/** Messages that each connection sends in turn, or pulls that are distributed over all requests in flight. */
export type Plan = readonly Frame[]

/** A queue of a topic. */
export interface Queue {
  readonly topic: string
  readonly id: number
}

const SEND_MESSAGE_V2 = 310
const PULL_MESSAGE = 11
/** The version number of 4.9.8. */
const V4_9_8 = 409
const FIRST_OPAQUE = 1_000_000
const BORN = 1_700_000_000_123
const HELD_AND_WITH_SUBSCRIPTION = 6
const KEY_START = '7F000001A1B218B4AAC21234'
const KEY_BLANK = '00000000'

function jsonFrame(code: number, extFields: Record<string, string>, body: Buffer): Buffer {
  const header = Buffer.from(
    JSON.stringify({
      code,
      extFields,
      flag: 0,
      language: 'JAVA',
      opaque: FIRST_OPAQUE,
      serializeTypeCurrentRPC: 'JSON',
      version: V4_9_8,
    }),
  )
  const head = Buffer.alloc(8)
  head.writeUInt32BE(4 + header.length + body.length, 0)
  head.writeUInt32BE(header.length, 4)
  return Buffer.concat([head, header, body])
}

function opaqueAtOf(frame: Buffer): number {
  return frame.lastIndexOf(`"opaque":${FIRST_OPAQUE}`) + '"opaque":'.length
}

/** Messages as a Java producer of 4.9.8 sends them: SEND_MESSAGE_V2, one to each queue in turn. */
export function sendPlan(queues: readonly Queue[], bytes: number): Plan {
  const body = Buffer.alloc(bytes, 'a')
  return queues.map(({ topic, id }) => {
    const properties = { KEYS: '', UNIQ_KEY: KEY_START + KEY_BLANK, WAIT: 'true', TAGS: 'TagA' }
    const text = Object.entries(properties)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => `${name}\u0001${value}`)
      .join('\u0002')
    const frame = jsonFrame(
      SEND_MESSAGE_V2,
      {
        a: 'bench-producer',
        b: topic,
        c: 'TBW102',
        d: '4',
        e: String(id),
        f: '0',
        g: String(BORN),
        h: '0',
        i: text,
        j: '0',
        k: 'false',
        m: 'false',
        n: 'bench',
      },
      body,
    )
    const keyAt = frame.indexOf(KEY_START) + KEY_START.length
    return { bytes: frame, opaqueAt: opaqueAtOf(frame), keyAt, offsetAt: 0, first: 0, end: 0 }
  })
}

/** The part of a queue that a pull reads, again and again; without an end it waits for new messages. */
export interface Window {
  readonly queue: Queue
  readonly first: number
  readonly end?: number
}

/** Pulls of up to 32 messages, as a Java consumer of 4.9.8 sends them. */
export function pullPlan(windows: readonly Window[], suspendMs: number): Plan {
  return windows.map(({ queue, first, end = 0 }) => {
    const frame = jsonFrame(
      PULL_MESSAGE,
      {
        consumerGroup: 'bench-consumer',
        topic: queue.topic,
        queueId: String(queue.id),
        maxMsgNums: '32',
        sysFlag: String(HELD_AND_WITH_SUBSCRIPTION),
        commitOffset: '0',
        suspendTimeoutMillis: String(suspendMs),
        subscription: '*',
        subVersion: '0',
        expressionType: 'TAG',
        queueOffset: '',
      },
      Buffer.alloc(0),
    )
    const offsetAt = frame.indexOf('"queueOffset":"') + '"queueOffset":"'.length
    return { bytes: frame, opaqueAt: opaqueAtOf(frame), keyAt: 0, offsetAt, first, end }
  })
}

const FRAME_WORDS = 8

/** Writes a plan for the drivers: the number of frames, then each with its numbers; words are little-endian. */
export async function writePlan(plan: Plan, path: string): Promise<void> {
  const parts = plan.flatMap(({ bytes, opaqueAt, keyAt, offsetAt, first, end }) => {
    const numbers = Buffer.alloc(FRAME_WORDS * 4)
    for (const [i, value] of [bytes.length, opaqueAt, keyAt, offsetAt].entries()) numbers.writeUInt32LE(value, i * 4)
    numbers.writeBigUInt64LE(BigInt(first), 16)
    numbers.writeBigUInt64LE(BigInt(end), 24)
    return [numbers, bytes]
  })
  const count = Buffer.alloc(4)
  count.writeUInt32LE(plan.length)
  await writeFile(path, Buffer.concat([count, ...parts]))
}

/** Reads what writePlan wrote. */
export function readPlan(file: Buffer): Plan {
  let at = 4
  return Array.from({ length: file.readUInt32LE(0) }, () => {
    const [size = 0, opaqueAt = 0, keyAt = 0, offsetAt = 0] = [0, 4, 8, 12].map(i => file.readUInt32LE(at + i))
    const [first, end] = [Number(file.readBigUInt64LE(at + 16)), Number(file.readBigUInt64LE(at + 24))]
    const start = at + FRAME_WORDS * 4
    at = start + size
    return { bytes: file.subarray(start, at), opaqueAt, keyAt, offsetAt, first, end }
  })
}
