import { crc32 } from 'node:zlib'
import {
  inflateRegistration,
  isCompressedRegistration,
  type nameServerRequests,
  noRegistration,
  responseCodes,
} from '@gantrymq/protocol'
import { type Answer, type Call, type HandlersFor, ipOf, ResponseError, type Sliced } from '@gantrymq/remoting'
import type { NameServerContext } from '../context.ts'
import { kvBodyOf } from '../answers/kv-body.ts'
import { ORDER_TOPICS } from '../kv/kv-config.ts'
import {
  type AppliedTopics,
  type RegistrationHead,
  RegistrationRefused,
  type RegistrationToken,
} from '../registry/registration.ts'
import type { ReadBody } from '../registration/body-difference.ts'
import {
  outlineOf,
  type RegistrationBodyForm,
  type RegistrationOutline,
  type RegistrationReading,
  readTopics,
} from '../registration/reader.ts'
import type { RouteTable } from '../registry/route-table.ts'
import { brokerMembers } from '../registry/route-queries.ts'

type BrokerRequests = Pick<
  typeof nameServerRequests,
  | 'REGISTER_BROKER'
  | 'UNREGISTER_BROKER'
  | 'QUERY_DATA_VERSION'
  | 'BROKER_HEARTBEAT'
  | 'GET_BROKER_MEMBER_GROUP'
  | 'WIPE_WRITE_PERM_OF_BROKER'
  | 'ADD_WRITE_PERM_OF_BROKER'
>
type Registering = Call<BrokerRequests['REGISTER_BROKER']>
type Registered = Answer<BrokerRequests['REGISTER_BROKER']>

const { SYSTEM_ERROR } = responseCodes
/** Topics checked or put into the table in one slice, which takes a quarter of a millisecond. */
const TOPICS_PER_SLICE = 250
/** Bytes whose checksum is computed in one slice. */
const CHECKSUM_BYTES = 1 << 20

/** Requests of and about brokers: Apache's DefaultRequestProcessor. */
export const brokerHandlers: HandlersFor<BrokerRequests, NameServerContext> = {
  REGISTER_BROKER(call, context) {
    return context.order.run(call.peer.id, () => register(call, context))
  },

  UNREGISTER_BROKER({ header, peer }, context) {
    return context.order.run(peer.id, () => {
      const removal = context.routes.unregister([header], peer.id)
      context.removed(removal)
      context.announce(removal.changes)
      return {}
    })
  },

  QUERY_DATA_VERSION({ header, body, peer }, { routes, clock }) {
    const { clusterName = '', brokerAddr = '' } = header
    const { changed, stored } = routes.queryDataVersion(
      clusterName,
      brokerAddr,
      body ?? undefined,
      clock.elapsed(),
      peer.id,
    )
    return { header: { changed }, body: stored ?? null }
  },

  BROKER_HEARTBEAT({ header, peer }, { routes, clock }) {
    routes.heartbeat(header.clusterName, header.brokerAddr, clock.elapsed(), peer.id)
    return {}
  },

  GET_BROKER_MEMBER_GROUP({ header: { clusterName = '', brokerName = '' } }, { routes }) {
    // Apache does not check the cluster; it only returns it.
    return { body: { cluster: clusterName, brokerName, brokerAddrs: brokerMembers(routes, brokerName) } }
  },

  WIPE_WRITE_PERM_OF_BROKER({ header: { brokerName = '' }, peer }, { routes, log, metrics }) {
    const wipeTopicCount = routes.wipeWritePermission(brokerName)
    metrics.configChanges.add({ kind: 'write_perm' })
    log.info({ brokerName, client: peer.remoteAddress, wipeTopicCount }, 'wipe write perm of broker')
    return { header: { wipeTopicCount } }
  },

  ADD_WRITE_PERM_OF_BROKER({ header: { brokerName = '' }, peer }, { routes, log, metrics }) {
    const addTopicCount = routes.addWritePermission(brokerName)
    metrics.configChanges.add({ kind: 'write_perm' })
    log.info({ brokerName, client: peer.remoteAddress, addTopicCount }, 'add write perm of broker')
    return { header: { addTopicCount } }
  },
}

function register(call: Registering, context: NameServerContext): Registered | Promise<Registered> {
  const { header, body, peer } = call
  const { turns } = context
  if (body === null || !isCompressedRegistration(body, header.compressed)) {
    return turns.run('registration', registering(call, context, body))
  }
  const { maxInflatedBodySize } = context.settings.options
  const inflated = context.inflationLimit.run(async () => {
    if (!peer.isOpen) return {}
    const checksum = await turns.run('registration', checkCrc(call, context))
    const plain = await inflateRegistration(body, maxInflatedBodySize)
    return turns.run('registration', registering(call, context, plain, checksum))
  })
  return inflated.catch((error: unknown) => {
    if (!(error instanceof ResponseError))
      context.registryLog.rejected(header.clusterName, peer.remoteAddress, String(error))
    throw error
  })
}

// The checksum is of the bytes as sent, without the sign bit; 0 means that there is none (Apache's UtilAll.crc32).
function* checkCrc({ header, body, peer }: Registering, { registryLog }: NameServerContext): Sliced<number> {
  const { bodyCrc32 } = header
  const size = body?.length ?? 0
  let checksum = 0
  for (let at = 0; at < size; at += CHECKSUM_BYTES) {
    if (at > 0) yield
    checksum = crc32((body as Buffer).subarray(at, at + CHECKSUM_BYTES), checksum)
  }
  checksum &= 0x7fffffff
  if (bodyCrc32 === 0 || bodyCrc32 === checksum) return checksum
  registryLog.rejected(header.clusterName, peer.remoteAddress, 'receive registerBroker request,crc32 not match')
  throw new ResponseError(SYSTEM_ERROR, 'crc32 not match')
}

/**
 * One registration, in as many slices as its size requires.
 * @param bytes The body; inflated if it was compressed.
 * @param checksum Of a compressed body, which has been checked.
 */
function* registering(
  call: Registering,
  context: NameServerContext,
  bytes: Buffer | null,
  checksum?: number,
): Sliced<Registered> {
  try {
    return yield* registerBody(call, context, {
      bytes,
      compressed: checksum !== undefined,
      checksum: checksum ?? (yield* checkCrc(call, context)),
    })
  } catch (error) {
    if (!(error instanceof RegistrationRefused)) throw error
    context.registryLog.rejected(call.header.clusterName, call.peer.remoteAddress, error.message)
    throw new ResponseError(SYSTEM_ERROR, `REGISTER_BROKER: ${error.message}`, { cause: error })
  }
}

interface RegistrationBody {
  /** Inflated if it was compressed. */
  readonly bytes: Buffer | null
  readonly compressed: boolean
  readonly checksum: number
}

function* registerBody(
  call: Registering,
  context: NameServerContext,
  { bytes, compressed, checksum }: RegistrationBody,
): Sliced<Registered> {
  const { routes, settings, clock, lastBodies } = context
  const form = {
    version: call.command.version,
    compressed,
    now: clock.now(),
    maxTopics: settings.options.maxTopicsPerRegistration,
  }
  // A body that arrived before, with a known data version, need not be read to its end.
  const outline = bytes === null ? undefined : yield* outlineOf(bytes, form)
  if (outline !== undefined) {
    const head = headOf(call, outline, checksum)
    if (!routes.needsTopics(head)) return (yield* begin(head, undefined, call, context)).answer
  }
  const { clusterName, brokerAddr } = call.header
  const lastBody = () =>
    settings.options.deleteTopicWithBrokerRegistration
      ? undefined
      : lastBodies.of(routes.brokers.find(clusterName, brokerAddr))
  const last = lastBody()
  let reading = yield* readAndCheck(bytes, form, last, routes)
  // The table may have changed since the first slice. If it no longer has exactly the last body's topics, the difference to
  // that body is not enough.
  if (reading.topics.length < reading.count && lastBody() !== last) {
    reading = yield* readAndCheck(bytes, form, undefined, routes)
  }
  const { answer, token } = yield* begin(headOf(call, reading, checksum), reading, call, context)
  if (token !== undefined) yield* applyTopics(token, reading, context)
  return answer
}

/** @throws RegistrationRefused */
function* readAndCheck(
  bytes: Buffer | null,
  form: RegistrationBodyForm,
  last: ReadBody | undefined,
  routes: RouteTable,
): Sliced<RegistrationReading> {
  const reading = bytes === null ? nothingRead : yield* readTopics(bytes, form, last)
  for (const topics of chunks(reading.topics)) {
    routes.checkTopics(topics, reading.count)
    yield
  }
  const mappings = [...reading.topicQueueMappings.values()]
  for (const some of chunks(mappings)) {
    routes.checkMappings(some, mappings.length)
    yield
  }
  return reading
}

const nothingRead: RegistrationReading = { ...noRegistration, topics: [], count: 0, read: undefined }

function headOf({ header, peer }: Registering, outline: RegistrationOutline, checksum: number): RegistrationHead {
  const { clusterName, brokerName, brokerAddr, brokerId, haServerAddr, heartbeatTimeoutMillis, enableActingMaster } =
    header
  return {
    clusterName,
    brokerName,
    brokerAddr,
    brokerId,
    haServerAddr,
    heartbeatTimeoutMillis,
    enableActingMaster,
    zoneName: header.__ZONE_NAME,
    peer: peer.id,
    host: ipOf(peer.remoteAddress),
    dataVersion: outline.dataVersion,
    checksum,
    filterServers: outline.filterServers,
  }
}

/** Begins a registration, and completes it if its topics are not needed. @throws RegistrationRefused */
function* begin(
  head: RegistrationHead,
  reading: RegistrationReading | undefined,
  call: Registering,
  context: NameServerContext,
): Sliced<{ answer: Registered; token?: RegistrationToken }> {
  const { routes, registryLog, clock } = context
  // The connection may have closed since the first slice, and its brokers have been removed. A broker that registered now
  // would stay until its timeout.
  if (!call.peer.isOpen) return { answer: {} }
  const begun = routes.beginRegistration(head, clock.elapsed())
  if (begun.result === 'ignored') {
    registryLog.ignored(head, begun.holderAddr)
    return { answer: { header: {} } }
  }
  registryLog.registered(head, begun)
  if (begun.replaced) context.removed(begun.replaced)
  context.announce(begun.changes)
  const { masterAddr, haServerAddr } = begun
  const answer = { header: { masterAddr, haServerAddr }, body: yield* orderTopics(context) }
  if (reading && (begun.topics !== 'none' || reading.count > 0)) return { answer, token: begun.token }
  yield* routes.completeInSlices(begun.token, clock.elapsed())
  return { answer }
}

// Without the namespace the reply must have no body: an empty table clears the order flag of the broker's topics.
function* orderTopics({ kv, settings }: NameServerContext): Sliced<readonly Buffer[] | null> {
  if (!settings.options.returnOrderTopicConfigToBroker) return null
  const entries = kv.current.namespace(ORDER_TOPICS)
  return entries === undefined ? null : yield* kvBodyOf(entries)
}

/** Ends early if the broker has left or registered again in the meantime. */
function* applyTopics(
  token: RegistrationToken,
  reading: RegistrationReading,
  context: NameServerContext,
): Sliced<void> {
  const { routes, registryLog, clock, lastBodies } = context
  const { brokerName } = token.head
  const applied: AppliedTopics = { added: [], changed: [] }
  const isWhole = yield* applyAll(token, reading, applied, context)
  registryLog.topicsApplied(brokerName, applied)
  if (!isWhole) return
  routes.skipTopics(token, reading.count - reading.topics.length)
  const completed = yield* routes.completeInSlices(token, clock.elapsed())
  if (completed === false) return
  registryLog.completed(brokerName, completed, clock.now())
  if (token.wanted !== 'none') lastBodies.keep(token.broker, routes.isUndisturbed(token) ? reading.read : undefined)
}

/** @param applied Gets what the topics have changed. @returns False if the token is no longer valid. */
function* applyAll(
  token: RegistrationToken,
  { topics, topicQueueMappings }: RegistrationReading,
  applied: AppliedTopics,
  { routes }: NameServerContext,
): Sliced<boolean> {
  for (const some of chunks(topics)) {
    const changes = routes.applyTopics(token, some)
    if (changes === false) return false
    applied.added.push(...changes.added)
    applied.changed.push(...changes.changed)
    yield
  }
  for (const some of chunks([...topicQueueMappings.values()])) {
    if (!routes.applyMappings(token, some)) return false
    yield
  }
  return true
}

/** The parts of a list that are processed in one slice each. */
function* chunks<T>(list: readonly T[]): Generator<readonly T[], void, void> {
  for (let at = 0; at < list.length; at += TOPICS_PER_SLICE) yield list.slice(at, at + TOPICS_PER_SLICE)
}
