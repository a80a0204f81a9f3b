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
const FIRST_TIMESTAMP = 1_700_000_000_000
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
    const body = registerBody(topics, { timestamp: FIRST_TIMESTAMP, variant: 0 })
    const frames = Array.from({ length: brokers }, (_, i) => ({
      head: registerHead(brokerAt(i), digestOf(body), 2000 + i),
      body: 0,
    }))
    return { bodies: [body], frames, lanes: frames.map((_, first) => ({ first, count: 1 })) }
  }
  const bodies: Buffer[] = []
  const frames: Frame[] = []
  for (let broker = 0; broker < brokers; broker++) {
    for (let variant = 0; variant < VARIANTS; variant++) {
      const body = registerBody(topics, { timestamp: FIRST_TIMESTAMP + broker, variant })
      frames.push({ head: registerHead(brokerAt(broker), digestOf(body), 2000 + variant), body: bodies.push(body) - 1 })
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

interface Broker {
  readonly name: string
  readonly host: string
}

/** The checksum and the length of a body that is sent apart. */
interface BodyDigest {
  readonly crc32: number
  readonly bytes: number
}

/** The broker with a number, on a host of its own. */
export function brokerAt(index: number): Broker {
  return { name: `broker-${index}`, host: `10.0.${index >> 8}.${index & 255}` }
}

function registerHead({ name, host }: Broker, body: BodyDigest, opaque: number): Buffer {
  // The fields have the order of Java's HashMap.
  const extFields = {
    brokerId: '0',
    bodyCrc32: String(body.crc32 & 0x7fffffff),
    clusterName: CLUSTER,
    brokerAddr: `${host}:10911`,
    enableActingMaster: 'false',
    haServerAddr: `${host}:10912`,
    compressed: 'false',
    brokerName: name,
  }
  return frameHead(jsonHeader(103, extFields, opaque, V5_5_0), body.bytes)
}

function digestOf(body: Buffer): BodyDigest {
  return { crc32: crc32(body), bytes: body.length }
}

/** A registration in two parts. The second, which has all topics, may be shared by brokers with the same topics. */
export interface Registration {
  readonly start: Buffer
  readonly topics: Buffer
}

/** First registrations of brokers that have the same topics, each with a data version of its own. */
export function registrations(brokers: readonly Broker[], topics: readonly string[]): Registration[] {
  const rest = Buffer.from(bodyRest(topics.map(name => topicConfig(name, 8))))
  return brokers.map((broker, i) => {
    const body = Buffer.from(bodyStart({ timestamp: FIRST_TIMESTAMP + i, variant: 0 }))
    const digest = { crc32: crc32(rest, crc32(body)), bytes: body.length + rest.length }
    return { start: Buffer.concat([registerHead(broker, digest, 2000 + i), body]), topics: rest }
  })
}

interface BodyState {
  readonly timestamp: number
  readonly variant: number
}

function registerBody(topics: number, state: BodyState): Buffer {
  const shrunk = shrunkTopics(topics, state.variant)
  const configs = Array.from({ length: topics }, (_, i) => topicConfig(topicName(i), shrunk.has(i) ? 4 : 8))
  return Buffer.from(bodyStart(state) + bodyRest(configs))
}

function bodyStart({ timestamp, variant }: BodyState): string {
  const dataVersion = `{"counter":${variant + 1},"stateVersion":0,"timestamp":${timestamp}}`
  return `{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":${dataVersion},`
}

function bodyRest(topicConfigs: readonly string[]): string {
  return (
    `"mappingDataVersion":{"counter":0,"stateVersion":0,"timestamp":${FIRST_TIMESTAMP}},` +
    `"topicConfigTable":{${topicConfigs.join()}},"topicQueueMappingDetailMap":{},"topicQueueMappingInfoMap":{}}}`
  )
}

/** An entry of a topicConfigTable. */
function topicConfig(name: string, queues: number): string {
  return (
    `"${name}":{"attributes":{},"order":false,"perm":6,"readQueueNums":${queues},"topicFilterType":"SINGLE_TAG",` +
    `"topicName":"${name}","topicSysFlag":0,"writeQueueNums":${queues}}`
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
