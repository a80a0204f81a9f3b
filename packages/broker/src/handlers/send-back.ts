import {
  deadLetterTopicOf,
  decodeMessage,
  isWriteable,
  PERM_READ,
  PERM_WRITE,
  responseCodes,
  retryTopicOf,
  type sendRequests,
  type SubscriptionGroupConfig,
  type TopicConfig,
} from '@gantrymq/protocol'
import { type Call, type HandlersFor, type Peer, ResponseError } from '@gantrymq/remoting'
import { APPENDED, TOPIC_TOO_LONG } from '@gantrymq/store'
import type { BrokerContext } from '../context.ts'
import { storedRecord } from '../pulling/stored-record.ts'
import { groupMissingRemark } from '../remarks.ts'
import { isStorable, memoryOf, type NewMessage } from '../sending/new-message.ts'
import { brokerForbidden, topicSysFlagOf } from '../sending/send-checks.ts'
import { isDeadLetter, maxRetries, originalTopicOf, type SendBack, sentBack } from '../sending/send-back.ts'
import { statusName } from '../sending/send-reply.ts'

type SendBackRequests = Pick<typeof sendRequests, 'CONSUMER_SEND_MSG_BACK'>
type Header = Call<SendBackRequests['CONSUMER_SEND_MSG_BACK']>['header']

const { NO_PERMISSION, SUBSCRIPTION_GROUP_NOT_EXIST, SYSTEM_ERROR } = responseCodes

/** Messages that consumers could not consume: Apache's AbstractSendMessageProcessor.consumerSendMsgBack. */
export const sendBackHandlers: HandlersFor<SendBackRequests, BrokerContext> = {
  async CONSUMER_SEND_MSG_BACK({ header, command, peer }, context) {
    const group = groupOf(header.group, context)
    // As in Apache: a group without retry queues wants no retries.
    if (group.retryQueueNums <= 0) return {}
    checkRetryTopic(header, group, context)
    const message = await messageAt(header.offset, peer, context)
    const back: SendBack = {
      group: header.group,
      delayLevel: header.delayLevel,
      maxRetries: maxRetries(group, command.version, header.maxReconsumeTimes),
      queueId: Math.floor(context.random() * group.retryQueueNums),
    }
    if (isDeadLetter(message, back)) deadLetterTopic(header.group, context)
    await store(sentBack(message, back), context)
    const topic = originalTopicOf(message)
    // A message may name any topic: counts of all these names would fill the memory.
    if (context.topics.has(topic)) context.counts.sentBack(topic, header.group, message.body.length)
    return {}
  },
}

/** The topic of the dead letters of a group, created with its first one. @throws ResponseError */
export function deadLetterTopic(group: string, { topics }: BrokerContext): TopicConfig {
  const topic = deadLetterTopicOf(group)
  const config = topics.inner({ topic, queueNums: 1, perm: PERM_READ | PERM_WRITE })
  if (config === undefined) throw new ResponseError(SYSTEM_ERROR, `topic[${topic}] not exist`)
  return config
}

function groupOf(name: string, { groups, settings, host }: BrokerContext): SubscriptionGroupConfig {
  const group = groups.find(name)
  if (group === undefined) throw new ResponseError(SUBSCRIPTION_GROUP_NOT_EXIST, groupMissingRemark(name))
  if (isWriteable(settings.options.brokerPermission)) return group
  throw new ResponseError(NO_PERMISSION, brokerForbidden(host()))
}

function checkRetryTopic(
  { group, unitMode }: Header,
  { retryQueueNums: queueNums }: SubscriptionGroupConfig,
  { topics }: BrokerContext,
): void {
  const topic = retryTopicOf(group)
  if (!isStorable(topic)) throw new ResponseError(SYSTEM_ERROR, statusName(TOPIC_TOO_LONG))
  const config = topics.inner({ topic, queueNums, perm: PERM_READ | PERM_WRITE, sysFlag: topicSysFlagOf({ topic, unitMode }) }) // biome-ignore format: one thought
  if (config === undefined) throw new ResponseError(SYSTEM_ERROR, `topic[${topic}] not exist`)
  if (isWriteable(config.perm)) return
  throw new ResponseError(NO_PERMISSION, `the topic[${topic}] sending message is forbidden`)
}

async function messageAt(position: number, peer: Peer, context: BrokerContext) {
  const bytes = await storedRecord(position, peer, context)
  if (bytes !== undefined) return decodeMessage(bytes)
  throw new ResponseError(SYSTEM_ERROR, `look message by offset failed, ${position}`)
}

async function store(message: NewMessage, { writer, waitingSends, topics, counts }: BrokerContext): Promise<void> {
  const { status, topic, bytes, safe } = await waitingSends.write(memoryOf(message), () => writer.write(message))
  if (status !== APPENDED) throw new ResponseError(SYSTEM_ERROR, statusName(status))
  try {
    await safe
    await topics.saved()
  } catch (error) {
    throw new ResponseError(SYSTEM_ERROR, 'SERVICE_NOT_AVAILABLE', { cause: error })
  }
  counts.stored(topic, 1, bytes)
}
