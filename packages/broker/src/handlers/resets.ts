import { type offsetRequests, type QueueOffset, responseCodes, type TopicConfig } from '@gantrymq/protocol'
import { type Call, type HandlersFor, type Long, type Peer, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { illegalQueueRemark } from '../remarks.ts'
import { hasQueue } from './offsets.ts'

type ResetRequests = Pick<typeof offsetRequests, 'INVOKE_BROKER_TO_RESET_OFFSET'>
type ResetHeader = Call<ResetRequests['INVOKE_BROKER_TO_RESET_OFFSET']>['header']

const { CONSUMER_NOT_ONLINE, INVALID_PARAMETER, SUBSCRIPTION_GROUP_NOT_EXIST, SYSTEM_ERROR, TOPIC_NOT_EXIST } =
  responseCodes

/** Moving groups to other offsets: Apache's AdminBrokerProcessor.resetOffset and Broker2Client.resetOffset. */
export const resetHandlers: HandlersFor<ResetRequests, BrokerContext> = {
  async INVOKE_BROKER_TO_RESET_OFFSET({ header, peer }, context) {
    const { topic, group, timestamp } = header
    context.log.info({ topic, group, timestamp, peer: peer.remoteAddress }, '[reset-offset] reset offset started')
    const inBroker = context.settings.options.useServerSideResetOffset
    const offsetTable = inBroker
      ? await resetInBroker(header, peer, context)
      : await resetAtConsumers(header, peer, context)
    context.log.info({ topic, group, queues: offsetTable.length }, '[reset-offset] offsets were reset')
    return { body: { offsetTable } }
  },
}

/** Stores the new offsets; the next pull of each queue is answered with its one (5.x). */
async function resetInBroker(header: ResetHeader, peer: Peer, context: BrokerContext): Promise<QueueOffset[]> {
  const { topic, group, queueId } = header
  const { topics, groups, offsets, heldPulls, clock } = context
  const known = (): TopicConfig => {
    const found = topics.get(topic)
    if (found === undefined) throw new ResponseError(TOPIC_NOT_EXIST, `Topic ${topic} does not exist`)
    if (!groups.has(group)) throw new ResponseError(SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} does not exist`)
    return found
  }
  const config = known()
  if (queueId >= 0 && !hasQueue(config, queueId, context)) {
    throw new ResponseError(INVALID_PARAMETER, illegalQueueRemark(queueId, config, peer.remoteAddress))
  }
  const ids = queueId >= 0 ? [queueId] : Array.from({ length: config.readQueueNums }, (_, id) => id)
  if (ids.length === 0) throw new ResponseError(SYSTEM_ERROR, 'No queues to reset.')
  // Nothing is reset for a request that waits for the disk too long, and is refused.
  const reset = await context.coldReads.look(peer.id, async () => {
    const targets: QueueOffset[] = []
    for (const id of ids) targets.push(queueOffset(id, await targetOf(header, id, context), header, context))
    return targets
  })
  // Deleted meanwhile, the topic would get offsets that hide the first messages of the next one of its name.
  known()
  for (const { queue, offset } of reset) {
    offsets.reset(topic, group, queue.queueId, offset)
    heldPulls.arrived(topic, queue.queueId, clock.elapsed())
  }
  return reset
}

/** Tells the consumers of the group to go on at other offsets, as 4.9 does; the broker's own table changes when they commit. */
async function resetAtConsumers(header: ResetHeader, peer: Peer, context: BrokerContext): Promise<QueueOffset[]> {
  const { topic, group, timestamp } = header
  const { topics, clients, notices, coldReads } = context
  const config = topics.get(topic)
  if (config === undefined) {
    const remark = `[reset-offset] reset offset failed, no topic in this broker. topic=${topic}`
    throw new ResponseError(SYSTEM_ERROR, remark)
  }
  const reset = await coldReads.look(peer.id, () => targetsOfConsumers(header, config, context))
  if (clients.consumerGroup(group) === undefined) {
    const remark = `Consumer not online, so can not reset offset, Group: ${group} Topic: ${topic} Timestamp: ${timestamp}`
    throw new ResponseError(CONSUMER_NOT_ONLINE, remark)
  }
  notices.offsetsReset(topic, group, timestamp, reset)
  return reset
}

async function targetsOfConsumers(
  header: ResetHeader,
  { writeQueueNums }: TopicConfig,
  context: BrokerContext,
): Promise<QueueOffset[]> {
  const { topic, group, timestamp, isForce } = header
  const targets: QueueOffset[] = []
  for (let id = 0; id < writeQueueNums; id++) {
    const known = context.offsets.get(topic, group, id)
    if (known === undefined) throw new ResponseError(SYSTEM_ERROR, `THe consumer group <${group}> not exist`)
    const target = await offsetOfTime(id, timestamp, header, context)
    targets.push(queueOffset(id, isForce || target < known ? target : known, header, context))
  }
  return targets
}

async function targetOf(header: ResetHeader, id: number, context: BrokerContext): Promise<number> {
  const { topic, queueId, offset, timestamp } = header
  if (queueId < 0 || offset === undefined || offset === -1) return offsetOfTime(id, timestamp, header, context)
  const queue = context.store.queue(topic, id)
  const [min, max] = [queue?.minOffset ?? 0, queue?.maxOffset ?? 0]
  if (offset >= min && offset <= max + 1) return offset
  throw new ResponseError(SYSTEM_ERROR, `Target offset ${offset} not in consume queue range [${min}-${max}]`)
}

/** A negative time is the end of the queue. */
async function offsetOfTime(
  id: number,
  timestamp: Long,
  { topic }: ResetHeader,
  { store }: BrokerContext,
): Promise<number> {
  const queue = store.queue(topic, id)
  if (queue === undefined) return 0
  return timestamp < 0 ? queue.maxOffset : store.offsetByTime(queue, Number(timestamp), 'lower')
}

function queueOffset(
  queueId: number,
  offset: number,
  { topic }: ResetHeader,
  { settings }: BrokerContext,
): QueueOffset {
  return { queue: { topic, brokerName: settings.options.brokerName, queueId }, offset: Math.max(offset, 0) }
}
