import {
  type Bean,
  type BodyCodec,
  boolOf,
  type Dialect,
  intOf,
  type JsonObject,
  type JsonValue,
  listOf,
  type Long,
  longOf,
  objectOf,
  readFastjson,
  readFastjsonInSlices,
  type Sliced,
  textOf,
  toInt,
  toLongKey,
  toObject,
  toText,
  toTexts,
  writeFastjson,
} from '@gantrymq/remoting'
/** The queues of a topic on one broker group: Apache's QueueData. */
export interface QueueData {
  readonly brokerName: string
  readonly readQueueNums: number
  readonly writeQueueNums: number
  readonly perm: number
  readonly topicSysFlag: number
}

/** A master and its slaves: Apache's BrokerData. */
export interface BrokerData {
  readonly cluster: string
  readonly brokerName: string
  /** Broker id to `ip:port`; the master has id 0. */
  readonly brokerAddrs: ReadonlyMap<Long, string>
  /** 5.x. */
  readonly enableActingMaster: boolean
  /** 5.x. */
  readonly zoneName?: string
}

/** The part of a static topic that one broker group serves: Apache's TopicQueueMappingInfo (5.x). */
export interface TopicQueueMappingInfo {
  readonly topic: string
  readonly scope: string
  readonly totalQueues: number
  /** Name of the broker group. */
  readonly bname: string
  readonly epoch: Long
  readonly dirty: boolean
  /** Logical to physical queue id. */
  readonly currIdMap: ReadonlyMap<number, number>
}

/** The queues of a topic and the addresses of their brokers: Apache's TopicRouteData. */
export interface TopicRoute {
  /** `broker:queues;broker:queues`; only if the name server has order messages enabled. */
  readonly orderTopicConf?: string
  readonly queueDatas: readonly QueueData[]
  readonly brokerDatas: readonly BrokerData[]
  /** Broker address to filter servers; empty with every current broker. */
  readonly filterServerTable: ReadonlyMap<string, readonly string[]>
  readonly topicQueueMappingByBroker?: ReadonlyMap<string, TopicQueueMappingInfo>
}

function brokerBean(broker: BrokerData): Bean {
  return {
    brokerAddrs: broker.brokerAddrs,
    brokerName: broker.brokerName,
    cluster: broker.cluster,
    // 4.9 does not write this member; its clients ignore it.
    enableActingMaster: broker.enableActingMaster,
    zoneName: broker.zoneName,
  }
}

export function mappingBean(info: TopicQueueMappingInfo): Bean {
  return {
    bname: info.bname,
    currIdMap: info.currIdMap,
    dirty: info.dirty,
    epoch: info.epoch,
    scope: info.scope,
    topic: info.topic,
    totalQueues: info.totalQueues,
  }
}

export function mappingBeans(mappings: ReadonlyMap<string, TopicQueueMappingInfo>): Map<string, Bean> {
  return new Map([...mappings].map(([key, info]) => [key, mappingBean(info)]))
}

/**
 * Writes a route for a caller: in `standard` for callers of version 401 (4.9.4) and later or with `acceptStandardJsonOnly`,
 * in `fastjson` for older ones (Apache's ClientRequestProcessor).
 */
export function encodeTopicRoute(route: TopicRoute, dialect: Dialect): Buffer {
  const { brokerDatas, queueDatas, filterServerTable, orderTopicConf, topicQueueMappingByBroker: mappings } = route
  // Written by hand: for a route of hundreds of brokers the general writer would block the event loop for a millisecond.
  let text = `{"brokerDatas":[${brokerDatas.map(broker => brokerText(broker, dialect)).join(',')}]`
  text += `,"filterServerTable":${writeFastjson(filterServerTable, dialect)}`
  if (orderTopicConf !== undefined) text += `,"orderTopicConf":${writeFastjson(orderTopicConf, dialect)}`
  text += `,"queueDatas":[${queueDatas.map(queue => queueText(queue, dialect)).join(',')}]`
  if (mappings) text += `,"topicQueueMappingByBroker":${writeFastjson(mappingBeans(mappings), dialect)}`
  return Buffer.from(`${text}}`)
}

/** Records as JSON text. Records never change, and in a name server all topics of a broker share them. */
const brokerTexts: Readonly<Record<Dialect, WeakMap<BrokerData, string>>> = {
  fastjson: new WeakMap(),
  standard: new WeakMap(),
}
const queueTexts: Readonly<Record<Dialect, WeakMap<QueueData, string>>> = {
  fastjson: new WeakMap(),
  standard: new WeakMap(),
}

/** A record as JSON text. It is written once, as records never change. */
export function brokerText(broker: BrokerData, dialect: Dialect): string {
  const known = brokerTexts[dialect].get(broker)
  if (known !== undefined) return known
  const text = writeFastjson(brokerBean(broker), dialect)
  brokerTexts[dialect].set(broker, text)
  return text
}

function queueText(queue: QueueData, dialect: Dialect): string {
  const known = queueTexts[dialect].get(queue)
  if (known !== undefined) return known
  const { brokerName, perm, readQueueNums, topicSysFlag, writeQueueNums } = queue
  const text = writeFastjson({ brokerName, perm, readQueueNums, topicSysFlag, writeQueueNums }, dialect)
  queueTexts[dialect].set(queue, text)
  return text
}

/** The number of queues if the record has none: the default of Java's int. */
const NO_QUEUES = 0

function readQueue(value: JsonValue): QueueData {
  const object = toObject(value, 'queueDatas')
  return {
    brokerName: textOf(object, 'brokerName') ?? '',
    readQueueNums: intOf(object, 'readQueueNums', NO_QUEUES),
    writeQueueNums: intOf(object, 'writeQueueNums', NO_QUEUES),
    perm: intOf(object, 'perm', 0),
    // Old releases wrote topicSynFlag instead of topicSysFlag.
    topicSysFlag: intOf(object, 'topicSysFlag', intOf(object, 'topicSynFlag', 0)),
  }
}

/** Broker addresses by id. Ids may be quoted or bare. */
function readBrokerAddrs(object: JsonObject): Map<Long, string> {
  const addresses = new Map<Long, string>()
  for (const [id, address] of objectOf(object, 'brokerAddrs') ?? []) {
    if (address !== null) addresses.set(toLongKey(id, 'a broker id'), toText(address))
  }
  return addresses
}

export function readBroker(object: JsonObject): BrokerData {
  const zoneName = textOf(object, 'zoneName')
  return {
    cluster: textOf(object, 'cluster') ?? '',
    brokerName: textOf(object, 'brokerName') ?? '',
    brokerAddrs: readBrokerAddrs(object),
    enableActingMaster: boolOf(object, 'enableActingMaster', false),
    ...(zoneName === undefined ? undefined : { zoneName }),
  }
}

export function readMapping(object: JsonObject): TopicQueueMappingInfo {
  const currIdMap = new Map<number, number>()
  for (const [id, value] of objectOf(object, 'currIdMap') ?? []) {
    currIdMap.set(toInt(toText(id), 'a key of currIdMap'), toInt(value, 'a value of currIdMap'))
  }
  return {
    topic: textOf(object, 'topic') ?? '',
    scope: textOf(object, 'scope') ?? '__global__',
    totalQueues: intOf(object, 'totalQueues', 0),
    bname: textOf(object, 'bname') ?? '',
    epoch: longOf(object, 'epoch', 0),
    dirty: boolOf(object, 'dirty', false),
    currIdMap,
  }
}

/** Mapping infos by the key of the table, which is a topic or a broker name. */
function readMappings(object: JsonObject): Map<string, TopicQueueMappingInfo> {
  const mappings = new Map<string, TopicQueueMappingInfo>()
  for (const [key, value] of object) mappings.set(toText(key), readMapping(toObject(value, 'a queue mapping')))
  return mappings
}

function readFilterServers(object: JsonObject): Map<string, readonly string[]> {
  const servers = new Map<string, readonly string[]>()
  for (const [address, list] of objectOf(object, 'filterServerTable') ?? []) {
    servers.set(toText(address), toTexts(list))
  }
  return servers
}

function readTopicRoute(object: JsonObject): TopicRoute {
  const orderTopicConf = textOf(object, 'orderTopicConf')
  const mappings = objectOf(object, 'topicQueueMappingByBroker')
  return {
    ...(orderTopicConf === undefined ? undefined : { orderTopicConf }),
    queueDatas: (listOf(object, 'queueDatas') ?? []).map(readQueue),
    brokerDatas: (listOf(object, 'brokerDatas') ?? []).map(value => readBroker(toObject(value, 'brokerDatas'))),
    filterServerTable: readFilterServers(object),
    ...(mappings === null ? undefined : { topicQueueMappingByBroker: readMappings(mappings) }),
  }
}

/** Queues that are read in one slice. */
const QUEUES_PER_SLICE = 250

/**
 * Reads the queues of a route in slices, for routes that may be large. Of two entries for a broker name the later counts.
 * @throws RemotingError BAD_BODY
 */
export function* readQueueDatas(bytes: Uint8Array): Sliced<QueueData[]> {
  const object = toObject(yield* readFastjsonInSlices(bytes), 'TopicRouteData')
  const queues = new Map<string, QueueData>()
  for (const [index, value] of (listOf(object, 'queueDatas') ?? []).entries()) {
    const queue = readQueue(value)
    queues.set(queue.brokerName, queue)
    if (index % QUEUES_PER_SLICE === QUEUES_PER_SLICE - 1) yield
  }
  return [...queues.values()]
}

/** Written in the `standard` dialect, which every client reads; see `encodeTopicRoute`. */
export const topicRouteBody: BodyCodec<TopicRoute> = {
  name: 'TopicRouteData',
  encode: route => encodeTopicRoute(route, 'standard'),
  decode: bytes => readTopicRoute(toObject(readFastjson(bytes), 'TopicRouteData')),
}
