import {
  isRetryTopic,
  MULTI_TAGS,
  PERM_READ,
  PERM_WRITE,
  PROPERTY,
  readMessageProperties,
  type sendRequests,
  type TopicConfig,
} from '@gantrymq/protocol'
import { type Call, type Peer, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import type { NewMessage } from './new-message.ts'
import { queueOf, type Refused, refusedBeforeTopic, topicMissing, topicSysFlagOf } from './send-checks.ts'
import type { SendHeader } from './send-header.ts'

/** A send with its header in long names. */
export interface Send {
  readonly header: SendHeader
  readonly body: Buffer
  readonly peer: Peer
  /** Of the client, see `maxRetries`. */
  readonly version: number
}

/** Where a message goes. */
export interface Target {
  readonly topic: TopicConfig
  readonly queueId: number
}

const NO_BYTES = Buffer.alloc(0)

/** @param header In long names, see `withLongNames`. */
export function sendOf(
  header: SendHeader,
  { body, peer, command }: Omit<Call<(typeof sendRequests)['SEND_MESSAGE']>, 'header'>,
): Send {
  return { header, body: body ?? NO_BYTES, peer, version: command.version }
}

/** Where the message of a send goes: to its topic, which is created if it may be, and a queue of it. @throws ResponseError */
export function targetOf(given: Send, context: BrokerContext): Target {
  const topic = topicOfSend(given, context)
  const queueId = queueOf(given.header.queueId, topic, given.peer.remoteAddress, context.random())
  if (typeof queueId !== 'number') throw refusal(queueId)
  return { topic, queueId }
}

function topicOfSend({ header, peer }: Send, context: BrokerContext): TopicConfig {
  const { topic, defaultTopic, defaultTopicQueueNums: queueNums } = header
  const { topics, settings, clock } = context
  const known = topics.get(topic)
  const { brokerPermission, startAcceptSendRequestTimeStamp } = settings.options
  const rules = { brokerPermission, startAcceptSendRequestTimeStamp, brokerIp: context.host(), now: clock.now() }
  const refused = refusedBeforeTopic(topic, known, rules)
  if (refused !== undefined) throw refusal(refused)
  if (known !== undefined) return known
  const sysFlag = topicSysFlagOf(header)
  const created = topics.createForSend({ topic, defaultTopic, queueNums, sysFlag }, peer.remoteAddress)
  if (created !== undefined) return created
  const perm = PERM_READ | PERM_WRITE
  const retryTopic = isRetryTopic(topic) ? topics.inner({ topic, queueNums: 1, perm, sysFlag }) : undefined
  if (retryTopic === undefined) throw refusal(topicMissing(topic))
  return retryTopic
}

/** What a request says about its message. A consumer's copy of a popped message loses its receipt. */
export function messageOf(
  { header, body, peer }: Send,
  { topic, queueId }: Target,
  context: BrokerContext,
): NewMessage {
  const properties = readMessageProperties(header.properties ?? '')
  properties.delete(PROPERTY.POP_CK)
  if (!header.batch && !properties.has(PROPERTY.UNIQ_KEY)) properties.set(PROPERTY.UNIQ_KEY, context.uniqueIds.next())
  const { brokerClusterName, regionId, traceOn } = context.settings.options
  properties.set(PROPERTY.CLUSTER, brokerClusterName)
  // As in 5.x, whose consumers trace nothing without a region.
  properties.set(PROPERTY.MSG_REGION, regionId).set(PROPERTY.TRACE_ON, String(traceOn))
  return {
    topic: topic.topicName,
    queueId,
    body,
    properties,
    flag: header.flag,
    sysFlag: topic.topicFilterType === 'MULTI_TAG' ? header.sysFlag | MULTI_TAGS : header.sysFlag,
    bornTimestamp: header.bornTimestamp,
    bornHost: context.writer.bornHostOf(peer),
    reconsumeTimes: header.reconsumeTimes ?? 0,
  }
}

export function refusal({ code, remark }: Refused): ResponseError {
  return new ResponseError(code, remark)
}
