import { popTopic, responseCodes, type TopicConfig, type topicRequests } from '@gantrymq/protocol'
import { type Call, type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { NO_BODY, systemTopicRemark } from '../remarks.ts'
import { alteredAttributes, AttributesRefused } from '../topics/topic-attributes.ts'
import { topicNameRemark } from '../topics/topic-name-check.ts'

type TopicRequests = Pick<
  typeof topicRequests,
  | 'UPDATE_AND_CREATE_TOPIC'
  | 'UPDATE_AND_CREATE_TOPIC_LIST'
  | 'DELETE_TOPIC_IN_BROKER'
  | 'GET_ALL_TOPIC_CONFIG'
  | 'GET_SYSTEM_TOPIC_LIST_FROM_BROKER'
  | 'GET_TOPIC_CONFIG'
>

const { INVALID_PARAMETER, SYSTEM_ERROR, TOPIC_NOT_EXIST } = responseCodes

type TopicGiven = Omit<Call<TopicRequests['UPDATE_AND_CREATE_TOPIC']>['header'], 'defaultTopic'>

/** Most queues of a topic; Apache has no limit, and each queue of a topic takes part in loops. */
const MAX_QUEUES = 65_536
/** How long the creation of a topic waits until name servers know it, milliseconds: less than mqadmin waits. */
const REGISTRATION_MS = 3000

/** Creating, showing and deleting topics: Apache's AdminBrokerProcessor. */
export const topicHandlers: HandlersFor<TopicRequests, BrokerContext> = {
  async UPDATE_AND_CREATE_TOPIC({ header, peer }, context) {
    const { topics, log, registered } = context
    log.info({ topic: header.topic, peer: peer.remoteAddress }, 'updateAndCreateTopic called')
    await topics.deletionOf(header.topic)
    const config = topicGiven(header, context)
    const isNew = !isKnown(config, context)
    if (isNew) topics.put(config)
    await topics.saved()
    if (!isNew) return {}
    await registered(REGISTRATION_MS)
    return {}
  },

  async UPDATE_AND_CREATE_TOPIC_LIST({ body, peer }, context) {
    const { topics, log, registered } = context
    log.info({ topics: body?.length, peer: peer.remoteAddress }, 'updateAndCreateTopicList called')
    if (body === null) throw new ResponseError(SYSTEM_ERROR, NO_BODY)
    for (const { topicName } of body) await topics.deletionOf(topicName)
    // All are checked before one of them is stored. Apache stores none if one of them is there already.
    const configs = body.map(config => topicGiven(changesIn(config), context))
    const changed = configs.filter(config => !isKnown(config, context))
    for (const config of changed) topics.put(config)
    await topics.saved()
    if (changed.length === 0) return {}
    await registered(REGISTRATION_MS)
    return {}
  },

  async DELETE_TOPIC_IN_BROKER({ header: { topic }, peer }, context) {
    const { topics, offsets, settings, log } = context
    log.info({ topic, peer: peer.remoteAddress }, 'deleteTopic called')
    if (topic.trim() === '') throw new ResponseError(INVALID_PARAMETER, 'The specified topic is blank.')
    if (settings.options.validateSystemTopicWhenUpdateTopic && topics.isSystem(topic)) {
      throw new ResponseError(INVALID_PARAMETER, systemTopicRemark(topic))
    }
    // As in 5.x (clearRetryTopicWhenDeleteTopic): messages of the topic that groups have popped and not acknowledged go with it.
    const groups = offsets.groupsOf(topic)
    const retryTopics = groups.flatMap(group => [popTopic('1', topic, group), popTopic('2', topic, group)])
    for (const name of [topic, ...retryTopics]) await deleteTopic(name, context)
    return {}
  },

  GET_ALL_TOPIC_CONFIG: (_call, { topics }) => ({ body: topics.content }),

  GET_SYSTEM_TOPIC_LIST_FROM_BROKER: (_call, { topics }) => ({ body: { topicList: [...topics.systemTopics] } }),

  GET_TOPIC_CONFIG({ header: { topic } }, { topics }) {
    const body = topics.get(topic)
    if (body !== undefined) return { body }
    throw new ResponseError(TOPIC_NOT_EXIST, `No topic in this broker. topic: ${topic}`)
  },
}

async function deleteTopic(topic: string, { topics, offsets, popping, counts, store }: BrokerContext): Promise<void> {
  // A deletion that failed, or after which the broker crashed, leaves queues and offsets without a topic: the next one takes them.
  const [queue] = store.queues(topic)
  const [group] = offsets.groupsOf(topic)
  if (!topics.has(topic) && queue === undefined && group === undefined) return
  offsets.removeTopic(topic)
  popping?.removeTopic(topic)
  counts.forgetTopic(topic)
  await topics.delete(topic, async () => {
    // The topic goes first: after a crash in between, its queues are without a topic, and not the other way round.
    await topics.saved()
    await store.deleteTopic(topic)
  })
}

/** The topic that a request asks for. @throws ResponseError */
function topicGiven(header: TopicGiven, context: BrokerContext): TopicConfig {
  const {
    topic,
    readQueueNums,
    writeQueueNums,
    perm,
    topicFilterType,
    topicSysFlag = 0,
    order,
    attributes = '',
  } = header
  const { topics, settings } = context
  const remark = topicNameRemark(topic)
  if (remark !== null) throw new ResponseError(INVALID_PARAMETER, remark)
  if (settings.options.validateSystemTopicWhenUpdateTopic && topics.isSystem(topic)) {
    throw new ResponseError(INVALID_PARAMETER, systemTopicRemark(topic))
  }
  if (topicFilterType !== 'SINGLE_TAG' && topicFilterType !== 'MULTI_TAG') {
    throw new ResponseError(SYSTEM_ERROR, `topicFilterType = [${topicFilterType}] value invalid`)
  }
  for (const queues of [readQueueNums, writeQueueNums]) {
    if (queues >= 0 && queues <= MAX_QUEUES) continue
    throw new ResponseError(INVALID_PARAMETER, `the topic[${topic}] may have 0 to ${MAX_QUEUES} queues, not ${queues}`)
  }
  return {
    topicName: topic,
    readQueueNums,
    writeQueueNums,
    perm,
    topicFilterType,
    topicSysFlag,
    order,
    attributes: attributesGiven(topic, attributes, context),
  }
}

function attributesGiven(
  topic: string,
  changes: string,
  { topics, settings }: BrokerContext,
): ReadonlyMap<string, string> {
  const known = topics.get(topic)
  try {
    const attributes = alteredAttributes(known && (known.attributes ?? new Map()), changes)
    // As in Apache, a topic that has it already keeps it.
    const becomesMixed = isMixed(attributes) && !isMixed(known?.attributes)
    if (!becomesMixed || settings.options.enableMixedMessageType) return attributes
  } catch (error) {
    if (error instanceof AttributesRefused) throw new ResponseError(SYSTEM_ERROR, error.message)
    throw error
  }
  throw new ResponseError(INVALID_PARAMETER, 'MIXED message type is not supported.')
}

function isMixed(attributes: ReadonlyMap<string, string> | undefined): boolean {
  return attributes?.get('message.type') === 'MIXED'
}

/** A topic of a list as in a request for it alone: its attributes are changes, `+key` or `-key`. */
function changesIn({ topicName, topicFilterType, attributes, ...config }: TopicConfig): TopicGiven {
  const changes = [...(attributes ?? [])].map(([key, value]) => (key.startsWith('-') ? key : `${key}=${value}`)).join(',') // biome-ignore format: one thought
  return { ...config, topic: topicName, topicFilterType, attributes: changes }
}

function isKnown(config: TopicConfig, { topics }: BrokerContext): boolean {
  const known = topics.get(config.topicName)
  return known !== undefined && isSame(known, config)
}

function isSame(a: TopicConfig, b: TopicConfig): boolean {
  return (
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.perm === b.perm &&
    a.topicFilterType === b.topicFilterType &&
    a.topicSysFlag === b.topicSysFlag &&
    a.order === b.order &&
    sameAttributes(a.attributes ?? new Map(), b.attributes ?? new Map())
  )
}

function sameAttributes(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value)
}
