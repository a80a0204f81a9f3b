import {
  type consumeRequests,
  groupProblem,
  type offsetRequests,
  responseCodes,
  type TopicConfig,
} from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { illegalQueueRemark } from '../remarks.ts'

type OffsetRequests = Pick<typeof consumeRequests, 'QUERY_CONSUMER_OFFSET' | 'UPDATE_CONSUMER_OFFSET'> &
  Pick<
    typeof offsetRequests,
    'GET_ALL_CONSUMER_OFFSET' | 'GET_ALL_DELAY_OFFSET' | 'QUERY_CORRECTION_OFFSET' | 'CLONE_GROUP_OFFSET'
  >

const { INVALID_PARAMETER, QUERY_NOT_FOUND, SUBSCRIPTION_GROUP_NOT_EXIST, TOPIC_NOT_EXIST } = responseCodes

/** Reading and committing the offsets of groups: Apache's ConsumerManageProcessor. */
export const offsetHandlers: HandlersFor<OffsetRequests, BrokerContext> = {
  async QUERY_CONSUMER_OFFSET({ header: { topic, consumerGroup, queueId, setZeroIfNotFound }, peer }, context) {
    const known = context.offsets.get(topic, consumerGroup, queueId)
    if (known !== undefined && known >= 0) return { header: { offset: known } }
    if (setZeroIfNotFound === false) {
      throw new ResponseError(QUERY_NOT_FOUND, 'Not found, do not set to zero, maybe this group boot first')
    }
    if (await context.coldReads.look(peer.id, () => beginsAtZero(topic, queueId, context)))
      return { header: { offset: 0 } }
    throw new ResponseError(QUERY_NOT_FOUND, 'Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first')
  },

  UPDATE_CONSUMER_OFFSET({ header: { topic, consumerGroup, queueId, commitOffset }, peer }, context) {
    const { groups, topics, offsets, settings, log } = context
    if (!groups.has(consumerGroup)) {
      throw new ResponseError(SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${consumerGroup} not exist!`)
    }
    const config = topics.get(topic)
    if (config === undefined) throw new ResponseError(TOPIC_NOT_EXIST, `Topic ${topic} not exist!`)
    if (offsets.get(topic, consumerGroup, queueId) === undefined && !hasQueue(config, queueId, context)) {
      throw new ResponseError(INVALID_PARAMETER, illegalQueueRemark(queueId, config, peer.remoteAddress))
    }
    if (settings.options.useServerSideResetOffset && offsets.isReset(topic, consumerGroup, queueId)) {
      return { remark: 'Offset has been previously reset' }
    }
    const before = offsets.commit(topic, consumerGroup, queueId, commitOffset)
    if (before !== undefined && commitOffset < before) {
      const fields = { peer: peer.remoteAddress, topic, consumerGroup, queueId, commitOffset, before }
      log.warn(fields, '[NOTIFYME]update consumer offset less than store')
    }
    return {}
  },

  GET_ALL_CONSUMER_OFFSET: (_call, { offsets }) => ({ body: offsets.all }),

  GET_ALL_DELAY_OFFSET: (_call, { delays }) => ({ body: delays.offsets }),

  // Apache also deletes the offsets of the groups that are left out, in all topics. It looks for those of `compareGroup` under
  // the wrong key, so that they never change the answer.
  QUERY_CORRECTION_OFFSET({ header: { topic, filterGroups = '' } }, { offsets, store }) {
    const leftOut = new Set(filterGroups.split(','))
    const lowest = new Map<number, number>()
    for (const group of offsets.groupsOf(topic)) {
      if (leftOut.has(group)) continue
      for (const [queueId, offset] of offsets.queues(topic, group) ?? []) {
        const isGone = offset < (store.queue(topic, queueId)?.minOffset ?? 0)
        if (!isGone) lowest.set(queueId, Math.min(offset, lowest.get(queueId) ?? offset))
      }
    }
    return { body: lowest }
  },

  CLONE_GROUP_OFFSET({ header: { srcGroup, destGroup, topic = '', offline }, peer }, context) {
    const { offsets, topics, groups, clients, settings, log } = context
    const { maxGroups } = settings.options
    // As in Apache the group need not exist yet; but names without end would fill the table.
    const isFull = !groups.has(destGroup) && offsets.topicsOf(destGroup).length === 0 && offsets.groupCount >= maxGroups
    const problem = groupProblem(destGroup) ?? (isFull ? `${maxGroups} groups have offsets (maxGroups)` : null)
    if (problem !== null) throw new ResponseError(INVALID_PARAMETER, `${problem}; no offset was copied`)
    const isOnline = clients.consumerGroup(srcGroup) !== undefined
    // Without a topic Apache goes through all topics of the group, and copies nothing.
    for (const name of topic === '' ? offsets.topicsOf(srcGroup) : [topic]) {
      const mayCopy = offline || !isOnline || clients.subscription(srcGroup, name) !== undefined
      if (!topics.has(name) || !mayCopy) continue
      offsets.copy(name, srcGroup, destGroup)
      log.info({ topic: name, srcGroup, destGroup, peer: peer.remoteAddress }, 'the offsets of a group were copied')
    }
    return {}
  },
}

/**
 * Whether a topic has a queue, or had it before its number of queues was reduced: consumers still read the rest of such a queue, and
 * commit its offsets. Apache takes offsets of any number, so that one client can fill the table and its file.
 */
export function hasQueue(topic: TopicConfig, queueId: number, { store }: Pick<BrokerContext, 'store'>): boolean {
  const { topicName, readQueueNums, writeQueueNums } = topic
  if (queueId >= 0 && queueId < Math.max(readQueueNums, writeQueueNums)) return true
  return store.queue(topicName, queueId) !== undefined
}

/**
 * Whether a new group begins with the first message of a queue, whatever it asks for: if that message is the first one ever, and
 * still in memory. So a group that starts together with its topic misses nothing.
 */
async function beginsAtZero(topic: string, queueId: number, { store, memoryBytes }: BrokerContext): Promise<boolean> {
  const queue = store.queue(topic, queueId)
  if (queue === undefined) return true
  if (queue.minOffset > 0) return false
  const first = await store.unitAt(queue, 0)
  return first === undefined || store.end - first.position <= memoryBytes
}
