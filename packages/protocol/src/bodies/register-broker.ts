import { promisify } from 'node:util'
import { deflateSync, inflate, inflateSync } from 'node:zlib'
import {
  type Bean,
  encodeFastjson,
  finish,
  type JsonObject,
  type JsonValue,
  listOf,
  objectOf,
  readFastjson,
  readFastjsonInSlices,
  type ReadOptions,
  RemotingError,
  type Sliced,
  toObject,
  toText,
  toTexts,
  writeFastjson,
} from '@gantrymq/remoting'
import { type DataVersion, noDataVersion } from '../data-version.ts'
import { V3_0_11, V5_0_0 } from '../release.ts'
import { PartReader, PartWriter } from './compressed-parts.ts'
import { dataVersionBean, readDataVersion } from './data-version.ts'
import {
  readTopicConfig,
  readTopicConfigLine,
  type TopicConfig,
  topicConfigBean,
  topicConfigLine,
} from './topic-config.ts'
import { mappingBeans, mappingBean, readMapping, type TopicQueueMappingInfo } from './topic-route.ts'

/** What a broker tells of itself: Apache's RegisterBrokerBody. */
export interface RegisterBrokerBody {
  readonly dataVersion: DataVersion
  /** By topic name. */
  readonly topics: ReadonlyMap<string, TopicConfig>
  /** 5.x, static topics; by topic name. */
  readonly topicQueueMappings: ReadonlyMap<string, TopicQueueMappingInfo>
  /** Null: the broker is too old to know of filter servers and their table is left alone. */
  readonly filterServers: readonly string[] | null
  /** 5.x; version of the static topics. Written, never needed by a name server. */
  readonly mappingDataVersion?: DataVersion
}

/** What a registration without a body says. */
export const noRegistration: RegisterBrokerBody = {
  dataVersion: noDataVersion,
  topics: new Map(),
  topicQueueMappings: new Map(),
  filterServers: [],
}

export interface RegistrationForm {
  /** The sender's version. Below 37 the body is the bare topic table, from 413 on it has the members of 5.x. */
  readonly version: number
  /** Whether it is one zlib stream of parts instead of JSON. */
  readonly compressed: boolean
}

export interface RegistrationReadOptions extends RegistrationForm {
  /** Milliseconds: a data version without timestamp counts as of now, as in Java. */
  readonly now: number
  /** Bytes that a compressed body may unfold to. Default 64 MiB. */
  readonly maxInflatedBytes?: number
  /** Topics in one body. Default 200,000. */
  readonly maxTopics?: number
  /** Limits of the JSON. */
  readonly json?: ReadOptions
}

const MAX_INFLATED = 64 << 20
const MAX_TOPICS = 200_000

/**
 * Whether a registration's bytes are compressed, whatever its header says: brokers of 5.x with `compressedRegister`
 * compress the body and send `compressed=false`. No JSON begins with a zlib header.
 */
export function isCompressedRegistration(bytes: Uint8Array, compressed: boolean): boolean {
  const [method = 0, flags = 0] = bytes
  return compressed || (method === 0x78 && (method * 256 + flags) % 31 === 0)
}

/**
 * Unfolds a compressed registration in the thread pool.
 * @throws RemotingError BAD_BODY if it is no zlib stream or too large
 */
export async function inflateRegistration(bytes: Uint8Array, maxBytes = MAX_INFLATED): Promise<Buffer> {
  try {
    return await promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflate)(bytes, {
      maxOutputLength: maxBytes,
    })
  } catch (cause) {
    throw notInflated(cause, maxBytes)
  }
}

function inflateNow(bytes: Uint8Array, maxBytes: number): Buffer {
  try {
    return inflateSync(bytes, { maxOutputLength: maxBytes })
  } catch (cause) {
    throw notInflated(cause, maxBytes)
  }
}

function notInflated(cause: unknown, maxBytes: number): RemotingError {
  const tooLarge = (cause as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE'
  const message = tooLarge ? `it unfolds to more than ${maxBytes} bytes` : 'it is no zlib stream'
  return new RemotingError('BAD_BODY', `a compressed registration cannot be read: ${message}`, { cause })
}

/**
 * Reads a registration in one go: JSON of any line, or compressed.
 * @throws RemotingError BAD_BODY
 */
export function decodeRegisterBroker(bytes: Uint8Array, options: RegistrationReadOptions): RegisterBrokerBody {
  const compressed = isCompressedRegistration(bytes, options.compressed)
  const plain = compressed ? inflateNow(bytes, options.maxInflatedBytes ?? MAX_INFLATED) : bytes
  return finish(readRegistration(plain, { ...options, compressed }))
}

/**
 * Reads a registration in slices, for large bodies. A compressed one must have been unfolded by `inflateRegistration`;
 * `compressed` then says that these bytes are its parts.
 */
export function readRegistration(plain: Uint8Array, options: RegistrationReadOptions): Sliced<RegisterBrokerBody> {
  return options.compressed ? readParts(plain, options) : readJson(plain, options)
}

const TOPICS_A_SLICE = 500

function tooMany(options: RegistrationReadOptions, count: number): void {
  const limit = options.maxTopics ?? MAX_TOPICS
  if (count > limit) throw new RemotingError('BAD_BODY', `a registration of ${count} topics, the limit is ${limit}`)
}

function* readJson(bytes: Uint8Array, options: RegistrationReadOptions): Sliced<RegisterBrokerBody> {
  const value = yield* readFastjsonInSlices(bytes, options.json)
  // Java answers `null` with a null pointer, both lines.
  if (value === null) throw new RemotingError('BAD_BODY', 'a registration that is null')
  const body = toObject(value, 'a registration')
  const bare = options.version < V3_0_11
  // A wrapper that is null stands for one without topics and version; one that is missing for a new one.
  const wrapper = bare
    ? body
    : body.get('topicConfigSerializeWrapper') === null
      ? null
      : (objectOf(body, 'topicConfigSerializeWrapper') ?? new Map())
  return {
    dataVersion: wrapper === null ? noDataVersion : versionOf(wrapper, options.now),
    topics: yield* topicsOf(wrapper ?? new Map(), options),
    topicQueueMappings: yield* mappingsOf(wrapper ?? new Map()),
    filterServers: bare ? null : filterServersOf(body),
  }
}

/** Null where Java would have no version at all: then it is equal to none a broker has. */
function versionOf(wrapper: JsonObject, now: number): DataVersion {
  if (wrapper.get('dataVersion') === null) return noDataVersion
  return readDataVersion(objectOf(wrapper, 'dataVersion') ?? new Map(), now)
}

function filterServersOf(body: JsonObject): readonly string[] | null {
  if (body.get('filterServerList') === null) return null
  return toTexts(listOf(body, 'filterServerList') ?? [])
}

function* topicsOf(wrapper: JsonObject, options: RegistrationReadOptions): Sliced<Map<string, TopicConfig>> {
  const table = objectOf(wrapper, 'topicConfigTable') ?? new Map<string, JsonValue>()
  tooMany(options, table.size)
  const topics = new Map<string, TopicConfig>()
  for (const [key, value] of table) {
    if (value === null) throw new RemotingError('BAD_BODY', 'a topic of a registration is null')
    const config = readTopicConfig(toObject(value, 'a topic of a registration'), toText(key))
    topics.set(config.topicName, config)
    if (topics.size % TOPICS_A_SLICE === 0) yield
  }
  return topics
}

function* mappingsOf(wrapper: JsonObject): Sliced<Map<string, TopicQueueMappingInfo>> {
  const mappings = new Map<string, TopicQueueMappingInfo>()
  for (const [key, value] of objectOf(wrapper, 'topicQueueMappingInfoMap') ?? []) {
    mappings.set(toText(key), readMapping(toObject(value, 'a queue mapping')))
    if (mappings.size % TOPICS_A_SLICE === 0) yield
  }
  return mappings
}

function* readParts(bytes: Uint8Array, options: RegistrationReadOptions): Sliced<RegisterBrokerBody> {
  const parts = new PartReader(bytes)
  const dataVersion = readDataVersion(toObject(readFastjson(parts.bytes(), options.json), 'DataVersion'), options.now)
  const topics = new Map<string, TopicConfig>()
  const count = parts.count()
  tooMany(options, count)
  for (let i = 1; i <= count; i++) {
    const config = readTopicConfigLine(parts.text())
    topics.set(config.topicName, config)
    if (i % TOPICS_A_SLICE === 0) yield
  }
  const filterServers = toTexts(readFastjson(parts.bytes(), options.json))
  const topicQueueMappings = new Map<string, TopicQueueMappingInfo>()
  // Older senders end here (Apache's RegisterBrokerBody.decode asks for V5_0_0).
  const mappings = options.version >= V5_0_0 && !parts.atEnd() ? parts.count() : 0
  tooMany(options, mappings)
  for (let i = 1; i <= mappings; i++) {
    const info = readMapping(toObject(readFastjson(parts.bytes(), options.json), 'TopicQueueMappingInfo'))
    topicQueueMappings.set(info.topic, info)
    if (i % TOPICS_A_SLICE === 0) yield
  }
  return { dataVersion, topics, topicQueueMappings, filterServers }
}

function wrapperBean(body: RegisterBrokerBody, modern: boolean): Bean {
  const topics = new Map([...body.topics].map(([name, config]) => [name, topicConfigBean(config, modern)]))
  const dataVersion = dataVersionBean(body.dataVersion, modern)
  if (!modern) return { dataVersion, topicConfigTable: topics }
  return {
    dataVersion,
    mappingDataVersion: dataVersionBean(body.mappingDataVersion ?? noDataVersion),
    topicConfigTable: topics,
    topicQueueMappingDetailMap: new Map(),
    topicQueueMappingInfoMap: mappingBeans(body.topicQueueMappings),
  }
}

/** Writes a registration as a broker of that version does. */
export function encodeRegisterBroker(body: RegisterBrokerBody, form: RegistrationForm): Buffer {
  const modern = form.version >= V5_0_0
  if (form.compressed) return deflateSync(writeParts(body, modern), { level: 9 })
  const wrapper = wrapperBean(body, modern)
  if (form.version < V3_0_11) return encodeFastjson(wrapper, 'fastjson')
  return encodeFastjson({ filterServerList: body.filterServers, topicConfigSerializeWrapper: wrapper }, 'fastjson')
}

function writeParts(body: RegisterBrokerBody, modern: boolean): Buffer {
  const parts = new PartWriter()
  parts.text(writeFastjson(dataVersionBean(body.dataVersion, modern), 'fastjson'))
  parts.count(body.topics.size)
  for (const config of body.topics.values()) parts.text(topicConfigLine(config, modern))
  parts.text(writeFastjson(body.filterServers ?? [], 'fastjson'))
  if (!modern) return parts.finish()
  parts.count(body.topicQueueMappings.size)
  for (const info of body.topicQueueMappings.values()) parts.text(writeFastjson(mappingBean(info), 'fastjson'))
  return parts.finish()
}
