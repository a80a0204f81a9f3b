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

/** The body of a broker's registration: Apache's RegisterBrokerBody. */
export interface RegisterBrokerBody {
  readonly dataVersion: DataVersion
  /** By topic name. */
  readonly topics: ReadonlyMap<string, TopicConfig>
  /** 5.x, static topics; by topic name. */
  readonly topicQueueMappings: ReadonlyMap<string, TopicQueueMappingInfo>
  /** Null: the broker is too old for filter servers, and the name server keeps their table. */
  readonly filterServers: readonly string[] | null
  /** 5.x: version of the static topics. It is written, but name servers do not use it. */
  readonly mappingDataVersion?: DataVersion
}

/** The content of a registration without a body. */
export const noRegistration: RegisterBrokerBody = {
  dataVersion: noDataVersion,
  topics: new Map(),
  topicQueueMappings: new Map(),
  filterServers: [],
}

export interface RegistrationForm {
  /** The sender's version. Below 37 the body is just the topic table; from 413 on it has the members of 5.x. */
  readonly version: number
  /** Whether it is one zlib stream of parts instead of JSON. */
  readonly compressed: boolean
}

export interface RegistrationReadOptions extends RegistrationForm {
  /** Milliseconds since the epoch. Replaces a missing timestamp of the data version, as in Java. */
  readonly now: number
  /** Most bytes of a compressed body after decompression. Default 64 MiB. */
  readonly maxInflatedBytes?: number
  /** Most topics in one body. Default 200,000. */
  readonly maxTopics?: number
  /** Limits of the JSON. */
  readonly json?: ReadOptions
}

const MAX_INFLATED = 64 << 20
const MAX_TOPICS = 200_000

/**
 * Whether the bytes of a registration are compressed, even if its header denies it: brokers of 5.x with `compressedRegister`
 * compress the body and send `compressed=false`. JSON never begins with a zlib header.
 */
export function isCompressedRegistration(bytes: Uint8Array, compressed: boolean): boolean {
  const [method = 0, flags = 0] = bytes
  return compressed || (method === 0x78 && (method * 256 + flags) % 31 === 0)
}

/**
 * Decompresses a registration in the thread pool.
 * @throws RemotingError BAD_BODY if it is not a zlib stream or too large
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
  const message = tooLarge ? `it is larger than ${maxBytes} bytes when decompressed` : 'it is not a zlib stream'
  return new RemotingError('BAD_BODY', `a compressed registration cannot be read: ${message}`, { cause })
}

/**
 * Reads a whole registration at once: JSON of either line, or compressed.
 * @throws RemotingError BAD_BODY
 */
export function decodeRegisterBroker(bytes: Uint8Array, options: RegistrationReadOptions): RegisterBrokerBody {
  const compressed = isCompressedRegistration(bytes, options.compressed)
  const plain = compressed ? inflateNow(bytes, options.maxInflatedBytes ?? MAX_INFLATED) : bytes
  return finish(readRegistration(plain, { ...options, compressed }))
}

/**
 * Reads a registration in slices, for large bodies. `inflateRegistration` must have decompressed a compressed one; then
 * `compressed` says that these bytes are its parts.
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
  // Both Java lines fail with a NullPointerException for `null`.
  if (value === null) throw new RemotingError('BAD_BODY', 'a registration that is null')
  const body = toObject(value, 'a registration')
  const bare = options.version < V3_0_11
  // A wrapper that is null has no topics and no version; a missing wrapper counts as an empty one.
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

/** The data version of a body. If it is null, Java has no version: then it equals no version that a broker has. */
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
  // The body of an older sender ends here (Apache's RegisterBrokerBody.decode checks for V5_0_0).
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

/** Writes a registration as a broker of the version in `form` does. */
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
