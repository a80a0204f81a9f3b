import { crc32 } from 'node:zlib'
import { inTurns } from '@gantrymq/daemon'
import {
  inflateRegistration,
  isCompressedRegistration,
  type nameServerRequests,
  noRegistration,
  responseCodes,
} from '@gantrymq/protocol'
import { type Answer, type Call, type HandlersFor, ipOf, ResponseError, type Sliced } from '@gantrymq/remoting'
import type { NameServerContext } from '../context.ts'
import { ORDER_TOPICS } from '../kv/kv-config.ts'
import { type RegistrationHead, RegistrationRefused, type RegistrationToken } from '../registry/registration.ts'
import { outlineOf, type RegistrationOutline, type RegistrationReading, readTopics } from '../registration/reader.ts'
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
/** Topics put into the table in one slice, which takes about 2 ms. */
const TOPICS_PER_SLICE = 4000

/** Requests of and about brokers: Apache's DefaultRequestProcessor. */
export const brokerHandlers: HandlersFor<BrokerRequests, NameServerContext> = {
  REGISTER_BROKER(call, context) {
    return context.order.run(call.peer.id, () => register(call, context))
  },

  UNREGISTER_BROKER({ header, peer }, context) {
    return context.order.run(peer.id, () => {
      const removal = context.routes.unregister([header], peer.id)
      context.registryLog.removed(removal, context.clock.now())
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
  const checksum = checkCrc(call, context)
  if (body === null || !isCompressedRegistration(body, header.compressed)) {
    return inTurns(registering(call, context, { bytes: body, compressed: false, checksum }))
  }
  const { maxInflatedBodySize } = context.settings.options
  const inflated = context.inflationLimit.run(async () => {
    if (!peer.isOpen) return {}
    const plain = await inflateRegistration(body, maxInflatedBodySize)
    return inTurns(registering(call, context, { bytes: plain, compressed: true, checksum }))
  })
  return inflated.catch((error: unknown) => {
    if (!(error instanceof ResponseError))
      context.registryLog.rejected(header.clusterName, peer.remoteAddress, String(error))
    throw error
  })
}

// The checksum is of the bytes as sent, without the sign bit; 0 means that there is none (Apache's UtilAll.crc32).
function checkCrc({ header, body, peer }: Registering, { registryLog }: NameServerContext): number {
  const { bodyCrc32 } = header
  const checksum = crc32(body ?? '') & 0x7fffffff
  if (bodyCrc32 === 0 || bodyCrc32 === checksum) return checksum
  registryLog.rejected(header.clusterName, peer.remoteAddress, 'receive registerBroker request,crc32 not match')
  throw new ResponseError(SYSTEM_ERROR, 'crc32 not match')
}

interface RegistrationBody {
  /** Inflated if it was compressed. */
  readonly bytes: Buffer | null
  readonly compressed: boolean
  readonly checksum: number
}

/** One registration, in as many slices as its size requires. */
function* registering(
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
  const outline = bytes === null ? undefined : outlineOf(bytes, form)
  if (outline !== undefined) {
    const head = headOf(call, outline, checksum)
    if (!routes.needsTopics(head)) return begin(head, undefined, call, context).answer
  }
  const { clusterName, brokerAddr } = call.header
  const broker = routes.brokers.find(clusterName, brokerAddr)
  const last = settings.options.deleteTopicWithBrokerRegistration ? undefined : lastBodies.of(broker)
  const reading = bytes === null ? nothingRead : yield* readTopics(bytes, form, last)
  const head = headOf(call, reading, checksum)
  // The connection may have closed while the body was read in slices, and its brokers have been removed. A broker that
  // registered now would stay until its timeout.
  if (!call.peer.isOpen) return {}
  const { answer, token } = begin(head, reading, call, context)
  if (token !== undefined) yield* applyTopics(token, reading, context)
  return answer
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

/** Begins a registration, and completes it if its topics are not needed. */
function begin(
  head: RegistrationHead,
  reading: RegistrationReading | undefined,
  call: Registering,
  context: NameServerContext,
): { answer: Registered; token?: RegistrationToken } {
  const { routes, registryLog, clock } = context
  try {
    if (reading) routes.checkTopics(reading.topics, reading.count, reading.topicQueueMappings)
    const begun = routes.beginRegistration(head, clock.elapsed())
    if (begun.result === 'ignored') {
      registryLog.ignored(head, begun.holderAddr)
      return { answer: { header: {} } }
    }
    registryLog.registered(head, begun)
    if (begun.replaced) registryLog.removed(begun.replaced, clock.now())
    context.announce(begun.changes)
    const { masterAddr, haServerAddr } = begun
    const answer = { header: { masterAddr, haServerAddr }, body: orderTopics(context) }
    if (reading && (begun.topics !== 'none' || reading.count > 0)) return { answer, token: begun.token }
    routes.completeRegistration(begun.token, clock.elapsed())
    return { answer }
  } catch (error) {
    if (!(error instanceof RegistrationRefused)) throw error
    registryLog.rejected(head.clusterName, call.peer.remoteAddress, error.message)
    throw new ResponseError(SYSTEM_ERROR, `REGISTER_BROKER: ${error.message}`, { cause: error })
  }
}

// Without the namespace the reply must have no body: an empty table clears the order flag of the broker's topics.
function orderTopics({ kv, settings }: NameServerContext): ReadonlyMap<string, string> | null {
  if (!settings.options.returnOrderTopicConfigToBroker) return null
  return kv.current.namespace(ORDER_TOPICS) ?? null
}

/** Ends early if the broker has left or registered again in the meantime. */
function* applyTopics(
  token: RegistrationToken,
  { topics, count, topicQueueMappings, read }: RegistrationReading,
  { routes, registryLog, clock, lastBodies }: NameServerContext,
): Sliced<void> {
  const { brokerName } = token.head
  for (let at = 0; at < topics.length; at += TOPICS_PER_SLICE) {
    if (at > 0) yield
    const applied = routes.applyTopics(token, topics.slice(at, at + TOPICS_PER_SLICE))
    if (applied === false) return
    registryLog.topicsApplied(brokerName, applied)
  }
  routes.skipTopics(token, count - topics.length)
  routes.applyMappings(token, topicQueueMappings.values())
  const completed = routes.completeRegistration(token, clock.elapsed())
  if (completed === false) return
  registryLog.completed(brokerName, completed, clock.now())
  if (token.wanted !== 'none') lastBodies.keep(token.broker, read)
}
