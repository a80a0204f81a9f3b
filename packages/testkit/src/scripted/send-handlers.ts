import {
  decodeBatch,
  isClosedTopic,
  isRetryTopic,
  offsetMessageId,
  RETRY_PREFIX,
  responseCodes as codes,
  type sendRequests,
  topicProblem,
} from '@gantrymq/protocol'
import { type Answer, type Call, type HandlersFor, type Peer, ResponseError } from '@gantrymq/remoting'
import { type BrokerState, FAQ, hostOf, propertiesOf } from './broker-state.ts'
import type { LogEntry, NewMessage, Topic } from './message-log.ts'
import { pushReply } from './reply-push.ts'
import { endTransaction, storeHalf } from './transactions.ts'

type Table = typeof sendRequests
type SendHeader = Call<Table['SEND_MESSAGE']>['header']
type SendHeaderV2 = Call<Table['SEND_MESSAGE_V2']>['header']
type SendAnswer = Pick<Answer<Table['SEND_MESSAGE']>, 'header'>

function longNames(short: SendHeaderV2): SendHeader {
  return {
    producerGroup: short.a,
    topic: short.b,
    defaultTopic: short.c,
    defaultTopicQueueNums: short.d,
    queueId: short.e,
    sysFlag: short.f,
    bornTimestamp: short.g,
    flag: short.h,
    properties: short.i ?? '',
    reconsumeTimes: short.j ?? 0,
    batch: short.m ?? false,
    ...(short.l === undefined ? undefined : { maxReconsumeTimes: short.l }),
  }
}

export const sendHandlers: HandlersFor<Table, BrokerState> = {
  SEND_MESSAGE: ({ header, body, peer }, state) => send(state, header, body, peer),
  SEND_MESSAGE_V2: ({ header, body, peer }, state) => send(state, longNames(header), body, peer),
  SEND_BATCH_MESSAGE: ({ header, body, peer }, state) => send(state, longNames(header), body, peer),
  SEND_REPLY_MESSAGE: ({ header, body, peer }, state) => pushReply(state, header, body, peer),
  SEND_REPLY_MESSAGE_V2: ({ header, body, peer }, state) => pushReply(state, longNames(header), body, peer),
  CONSUMER_SEND_MSG_BACK: ({ header }, state) => sendBack(state, header),
  END_TRANSACTION: ({ header }, state) => endTransaction(state, header),

  RECALL_MESSAGE({ header: { topic, recallHandle } }, state) {
    const [version, handleTopic, brokerName, , msgId = ''] = Buffer.from(recallHandle, 'base64url')
      .toString()
      .split(' ')
    if (version !== 'v1') throw new ResponseError(codes.ILLEGAL_OPERATION, 'recall handle is invalid')
    if (handleTopic !== topic) throw new ResponseError(codes.ILLEGAL_OPERATION, 'recall failed, topic not match')
    if (brokerName !== state.settings.name) {
      throw new ResponseError(codes.ILLEGAL_OPERATION, 'recall failed, broker service not available')
    }
    state.delayed = state.delayed.filter(({ properties }) => properties.get('UNIQ_KEY') !== msgId)
    return { header: { msgId } }
  },
}

/** The checks of Apache's AbstractSendMessageProcessor.msgCheck, in its order. */
function topicFor(state: BrokerState, header: SendHeader): Topic {
  const { topic: name, queueId, defaultTopicQueueNums } = header
  const illegal = state.isModern ? codes.INVALID_PARAMETER : codes.SYSTEM_ERROR
  const problem = topicProblem(name)
  if (problem !== null) throw new ResponseError(illegal, problem)
  if (isClosedTopic(name)) {
    throw new ResponseError(codes.NO_PERMISSION, `Sending message to topic[${name}] is forbidden.`)
  }
  if (state.topic(name) === undefined && isRetryTopic(name)) state.log.setTopic(name, { readQueues: 1 })
  if (state.topic(name) === undefined && state.settings.autoCreateTopics) {
    state.log.setTopic(name, { readQueues: Math.min(defaultTopicQueueNums, 8) })
  }
  const topic = state.topic(name)
  if (topic === undefined) {
    throw new ResponseError(codes.TOPIC_NOT_EXIST, `topic[${name}] not exist, apply first please!${FAQ}`)
  }
  if (queueId >= Math.max(topic.writeQueues, topic.readQueues)) {
    throw new ResponseError(illegal, `request queueId[${queueId}] is illegal, ${name}`)
  }
  return topic
}

function send(state: BrokerState, header: SendHeader, body: Buffer | null, peer: Peer): SendAnswer {
  const topic = topicFor(state, header)
  // Apache picks a random queue for -1; a test needs a fixed one.
  const queueId = Math.max(header.queueId, 0)
  const message: NewMessage = {
    topic: topic.name,
    queueId,
    body: body ?? Buffer.alloc(0),
    properties: stored(state, propertiesOf(header.properties)),
    flag: header.flag,
    sysFlag: header.sysFlag,
    bornTimestamp: header.bornTimestamp,
    bornHost: hostOf(peer.remoteAddress),
    reconsumeTimes: header.reconsumeTimes ?? 0,
  }
  if (header.batch) return sendBatch(state, message)
  if (message.properties.get('TRAN_MSG') === 'true') return sent(state, storeHalf(state, message), queueId)
  return sent(state, state.put(withRetryLimit(state, message, header.maxReconsumeTimes)), queueId)
}

function sendBatch(state: BrokerState, message: NewMessage): SendAnswer {
  const entries = decodeBatch(message.body).map(({ body, flag, properties }) =>
    state.put({ ...message, body, flag, properties: stored(state, properties) }),
  )
  const [first] = entries
  if (first === undefined) throw new ResponseError(codes.MESSAGE_ILLEGAL, 'a batch without messages')
  const answer = sent(state, first, message.queueId)
  const msgId = entries.map(entry => idOf(state, entry)).join(',')
  return { ...answer, header: { ...(answer.header as NonNullable<SendAnswer['header']>), msgId } }
}

function stored(state: BrokerState, properties: ReadonlyMap<string, string>): Map<string, string> {
  const kept = new Map(properties)
  kept.delete('WAIT')
  kept.delete('POP_CK')
  return kept.set('CLUSTER', state.settings.cluster)
}

/** Moves a message to the dead letter topic after its last retry. 5.x allows one retry more than 4.9. */
function withRetryLimit(state: BrokerState, message: NewMessage, given: number | undefined): NewMessage {
  if (!isRetryTopic(message.topic)) return message
  const group = message.topic.slice(RETRY_PREFIX.length)
  const max = given ?? state.group(group).retryMaxTimes
  const times = message.reconsumeTimes ?? 0
  if (state.isModern ? times <= max : times < max) return message
  const properties = new Map(message.properties)
  properties.delete('DELAY')
  return { ...message, topic: state.deadLetterTopic(group), queueId: 0, properties }
}

function idOf(state: BrokerState, { physicalOffset }: LogEntry): string {
  return offsetMessageId(state.host(), physicalOffset)
}

function sent(state: BrokerState, entry: LogEntry, queueId: number): SendAnswer {
  const { properties } = entry.message
  const unique = properties.get('UNIQ_KEY')
  const deliverAt = properties.get('TIMER_DELIVER_MS')
  const handle = `v1 ${properties.get('REAL_TOPIC')} ${state.settings.name} ${deliverAt} ${unique}`
  return {
    header: {
      msgId: idOf(state, entry),
      queueId,
      queueOffset: entry.queueOffset,
      transactionId: state.isModern ? unique : undefined,
      recallHandle: deliverAt === undefined ? undefined : Buffer.from(handle).toString('base64url'),
      MSG_REGION: 'DefaultRegion',
      TRACE_ON: true,
    },
  }
}

/** Apache's AbstractSendMessageProcessor.consumerSendMsgBack. */
function sendBack(
  state: BrokerState,
  header: Call<Table['CONSUMER_SEND_MSG_BACK']>['header'],
): Answer<Table['CONSUMER_SEND_MSG_BACK']> {
  const { group, offset, delayLevel, maxReconsumeTimes } = header
  const entry = state.log.at(offset)
  if (entry === undefined) {
    throw new ResponseError(codes.SYSTEM_ERROR, `look message by offset failed, ${offset}`)
  }
  const { message } = entry
  const properties = new Map(message.properties)
  if (!properties.has('RETRY_TOPIC')) properties.set('RETRY_TOPIC', message.topic)
  if (!properties.has('ORIGIN_MESSAGE_ID')) properties.set('ORIGIN_MESSAGE_ID', idOf(state, entry))
  const times = message.reconsumeTimes
  const isDead = delayLevel < 0 || times >= (maxReconsumeTimes ?? state.group(group).retryMaxTimes)
  if (!isDead) properties.set('DELAY', String(delayLevel === 0 ? 3 + times : delayLevel))
  state.put({
    topic: isDead ? state.deadLetterTopic(group) : state.retryTopic(group),
    queueId: 0,
    body: message.body,
    properties,
    flag: message.flag,
    sysFlag: message.sysFlag,
    bornTimestamp: Number(message.bornTimestamp),
    bornHost: message.bornHost,
    reconsumeTimes: times + 1,
  })
  return {}
}
