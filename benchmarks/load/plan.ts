import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { crc32 } from 'node:zlib'

/** What a load driver sends: prepared frames, and which of them each connection repeats. */
export interface Plan {
  /** Bodies that several frames may share. */
  readonly bodies: readonly Buffer[]
  readonly frames: readonly Frame[]
  /** Connection i sends lane i, modulo their number. */
  readonly lanes: readonly Lane[]
}

export interface Frame {
  /** Length, serialize type, header. */
  readonly head: Buffer
  /** Index into the plan's bodies. */
  readonly body?: number
}

export interface Lane {
  readonly first: number
  readonly count: number
}

/** Topics and brokers of a workload. Every broker has every topic. */
export interface Population {
  readonly topics: number
  readonly brokers: number
}

/** Variants of a changing registration. Each differs from the next in one topic, and the last from the first. */
const VARIANTS = 8
const CLUSTER = 'DefaultCluster'
/** The version numbers of 4.9.8 and 5.5.0. */
const V4_9_8 = 409
const V5_5_0 = 513

function frameHead(header: string, bodyBytes: number): Buffer {
  const size = Buffer.byteLength(header)
  const head = Buffer.allocUnsafe(8 + size)
  head.writeUInt32BE(4 + size + bodyBytes, 0)
  head.writeUInt32BE(size, 4)
  head.write(header, 8)
  return head
}

function jsonHeader(code: number, extFields: Record<string, string>, opaque: number, version: number): string {
  return JSON.stringify({
    code,
    extFields,
    flag: 0,
    language: 'JAVA',
    opaque,
    serializeTypeCurrentRPC: 'JSON',
    version,
  })
}

export function topicName(index: number): string {
  return `topic_${String(index).padStart(5, '0')}`
}

/** A request without body, as a Java client of 4.9.8 writes it. */
export function plainRequest(code: number, extFields: Record<string, string>, opaque: number): Buffer {
  return frameHead(jsonHeader(code, extFields, opaque, V4_9_8), 0)
}

/** Route queries (code 105) for all topics in turn. */
export function routePlan({ topics }: Population): Plan {
  const frames = Array.from({ length: topics }, (_, i) => ({
    head: plainRequest(105, { topic: topicName(i) }, 1000 + i * 7),
  }))
  return { bodies: [], frames, lanes: [{ first: 0, count: topics }] }
}

/**
 * Full registrations (code 103) as a broker of 5.5.0 sends them, one lane a broker.
 * Unchanged: the same data version each time; all brokers share one body. Changed: the version and one topic differ from
 * the registration before.
 */
export function registerPlan(population: Population, kind: 'changed' | 'unchanged'): Plan {
  const { topics, brokers } = population
  if (kind === 'unchanged') {
    const body = registerBody(topics, { timestamp: 1_700_000_000_000, variant: 0 })
    const frames = Array.from({ length: brokers }, (_, i) => ({ head: registerHead(i, body, 2000 + i), body: 0 }))
    return { bodies: [body], frames, lanes: frames.map((_, first) => ({ first, count: 1 })) }
  }
  const bodies: Buffer[] = []
  const frames: Frame[] = []
  for (let broker = 0; broker < brokers; broker++) {
    for (let variant = 0; variant < VARIANTS; variant++) {
      const body = registerBody(topics, { timestamp: 1_700_000_000_000 + broker, variant })
      frames.push({ head: registerHead(broker, body, 2000 + variant), body: bodies.push(body) - 1 })
    }
  }
  return {
    bodies,
    frames,
    lanes: Array.from({ length: brokers }, (_, i) => ({ first: i * VARIANTS, count: VARIANTS })),
  }
}

/** The first registration of each broker of a plan, as a complete frame. */
export function firstFrames(plan: Plan): Buffer[] {
  return plan.lanes.map(lane => {
    const frame = plan.frames[lane.first] as Frame
    return frame.body === undefined ? frame.head : Buffer.concat([frame.head, plan.bodies[frame.body] as Buffer])
  })
}

function registerHead(broker: number, body: Buffer, opaque: number): Buffer {
  // The fields have the order of Java's HashMap.
  const extFields = {
    brokerId: '0',
    bodyCrc32: String(crc32(body) & 0x7fffffff),
    clusterName: CLUSTER,
    brokerAddr: `10.0.${broker >> 8}.${broker & 255}:10911`,
    enableActingMaster: 'false',
    haServerAddr: `10.0.${broker >> 8}.${broker & 255}:10912`,
    compressed: 'false',
    brokerName: `broker-${broker}`,
  }
  return frameHead(jsonHeader(103, extFields, opaque, V5_5_0), body.length)
}

interface BodyState {
  readonly timestamp: number
  readonly variant: number
}

function registerBody(topics: number, { timestamp, variant }: BodyState): Buffer {
  const shrunk = shrunkTopics(topics, variant)
  const table = Array.from({ length: topics }, (_, i) => `"${topicName(i)}":${topicConfig(i, shrunk.has(i) ? 4 : 8)}`)
  const dataVersion = `{"counter":${variant + 1},"stateVersion":0,"timestamp":${timestamp}}`
  return Buffer.from(
    `{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":${dataVersion},` +
      `"mappingDataVersion":{"counter":0,"stateVersion":0,"timestamp":${timestamp}},"topicConfigTable":{${table.join()}},` +
      '"topicQueueMappingDetailMap":{},"topicQueueMappingInfoMap":{}}}',
  )
}

function topicConfig(index: number, queues: number): string {
  return (
    `{"attributes":{},"order":false,"perm":6,"readQueueNums":${queues},"topicFilterType":"SINGLE_TAG",` +
    `"topicName":"${topicName(index)}","topicSysFlag":0,"writeQueueNums":${queues}}`
  )
}

/** The topics that have fewer queues in a variant. A Gray code, so that consecutive variants differ in one topic. */
function shrunkTopics(topics: number, variant: number): Set<number> {
  const gray = variant ^ (variant >> 1)
  const candidates = [topics >> 1, topics - 1 - (topics >> 3), topics >> 3]
  return new Set(candidates.filter((_, bit) => (gray >> bit) & 1))
}

/** Writes a plan for the drivers: counts, bodies, frames (body index + 1, head), lanes; words are little-endian. */
export async function writePlan(plan: Plan, path: string): Promise<void> {
  const out = createWriteStream(path)
  out.write(words(plan.bodies.length, plan.frames.length, plan.lanes.length))
  for (const body of plan.bodies) {
    out.write(words(body.length))
    out.write(body)
  }
  for (const frame of plan.frames) {
    out.write(words((frame.body ?? -1) + 1, frame.head.length))
    out.write(frame.head)
  }
  for (const lane of plan.lanes) out.write(words(lane.first, lane.count))
  out.end()
  await finished(out)
}

function words(...values: number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer)
}

/** Reads what writePlan wrote. */
export function readPlan(file: Buffer): Plan {
  let at = 0
  const bytes = (size: number) => {
    at += size
    return file.subarray(at - size, at)
  }
  const word = () => bytes(4).readUInt32LE()
  const [bodyCount, frameCount, laneCount] = [word(), word(), word()]
  const bodies = Array.from({ length: bodyCount }, () => bytes(word()))
  const frames = Array.from({ length: frameCount }, () => {
    const body = word()
    const head = bytes(word())
    return body === 0 ? { head } : { head, body: body - 1 }
  })
  const lanes = Array.from({ length: laneCount }, () => ({ first: word(), count: word() }))
  return { bodies, frames, lanes }
}
