import {
  type consumeRequests,
  isRetryTopic,
  matchesTags,
  responseCodes as codes,
  type StoredMessage,
  type SubscriptionData,
  subscriptionOf,
} from '@gantrymq/protocol'
import { type Answer, type Call, type HandlersFor, type Held, held, type Peer, ResponseError } from '@gantrymq/remoting'
import { type BrokerState, FAQ, offsetKey } from './broker-state.ts'
import { readQueue } from './read-queue.ts'

type Table = typeof consumeRequests
type Pull = Table['PULL_MESSAGE']

type PullHeader = Call<Pull>['header']
type PullAnswer = Pick<Answer<Pull>, 'code' | 'remark' | 'header' | 'body'>

const COMMIT_OFFSET = 1
const MAY_WAIT = 2
const WITH_SUBSCRIPTION = 4
/** How often Apache checks held requests, milliseconds: PullRequestHoldService. */
const HOLD_EVERY_MS = 5000

export const consumeHandlers: HandlersFor<Table, BrokerState> = {
  PULL_MESSAGE: pull,
  LITE_PULL_MESSAGE: pull,

  QUERY_CONSUMER_OFFSET({ header: { topic, consumerGroup, queueId, setZeroIfNotFound } }, state) {
    const known = state.offsets.get(offsetKey(topic, consumerGroup, queueId))
    if (known !== undefined) return { header: { offset: known } }
    if (setZeroIfNotFound === false) {
      const remark = 'Not found, do not set to zero, maybe this group boot first'
      throw new ResponseError(codes.QUERY_NOT_FOUND, remark)
    }
    // The queue still has its first message, so the group starts at 0: ConsumerManageProcessor.queryConsumerOffset.
    if (state.settings.startsAtZero && state.log.minOffset(topic, queueId) === 0) return { header: { offset: 0 } }
    throw new ResponseError(codes.QUERY_NOT_FOUND, 'Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first')
  },

  UPDATE_CONSUMER_OFFSET({ header: { topic, consumerGroup, queueId, commitOffset } }, state) {
    if (state.isModern && state.topic(topic) === undefined) {
      throw new ResponseError(codes.TOPIC_NOT_EXIST, `Topic ${topic} not exist!`)
    }
    state.offsets.set(offsetKey(topic, consumerGroup, queueId), commitOffset)
    return {}
  },

  LOCK_BATCH_MQ({ body }, state) {
    if (body === null) throw new ResponseError(codes.SYSTEM_ERROR, 'no body')
    const { clientId, consumerGroup, mqSet } = body
    const lockOKMQSet = mqSet.filter(({ topic, queueId }) =>
      state.locks.lock(offsetKey(topic, consumerGroup, queueId), clientId, state.now),
    )
    return { body: { lockOKMQSet } }
  },

  UNLOCK_BATCH_MQ({ body }, state) {
    if (body === null) throw new ResponseError(codes.SYSTEM_ERROR, 'no body')
    const { clientId, consumerGroup, mqSet } = body
    for (const { topic, queueId } of mqSet) state.locks.unlock(offsetKey(topic, consumerGroup, queueId), clientId)
    return {}
  },
}

function pull(
  { header, peer }: { readonly header: PullHeader; readonly peer: Peer },
  state: BrokerState,
): PullAnswer | Held<PullAnswer> {
  const { topic, consumerGroup, queueId, sysFlag, commitOffset, suspendTimeoutMillis } = header
  const matches = pullFilter(state, header)
  // Apache commits the offset before the wait, also if there is no message.
  if ((sysFlag & COMMIT_OFFSET) !== 0) state.offsets.set(offsetKey(topic, consumerGroup, queueId), commitOffset)
  const first = read(state, header, matches)
  if (first.code !== codes.PULL_NOT_FOUND || (sysFlag & MAY_WAIT) === 0 || !peer.mayHold) return first
  const waiting = new Promise<PullAnswer>(resolve => {
    const key = `pull ${topic}@${queueId}`
    const wait = { key, peerId: peer.id, everyMs: HOLD_EVERY_MS, timeoutMs: suspendTimeoutMillis }
    state.waiting.hold(wait, reason => {
      const now = read(state, header, matches)
      const isNothing = now.code === codes.PULL_NOT_FOUND
      // A message that does not match answers no request, but the next check skips it.
      if (reason !== 'last' && (isNothing || (reason === 'arrival' && now.code !== codes.SUCCESS))) return false
      resolve(now)
      return true
    })
  })
  return held(waiting)
}

function read(
  state: BrokerState,
  { topic, queueId, queueOffset, maxMsgNums }: PullHeader,
  matches: (message: StoredMessage) => boolean,
): PullAnswer {
  const { log } = state
  const found = readQueue(log, { topic, queueId, offset: queueOffset, max: maxMsgNums, matches })
  return {
    code: found.code,
    remark: found.status,
    header: {
      suggestWhichBrokerId: state.settings.suggests,
      nextBeginOffset: found.nextOffset,
      minOffset: log.minOffset(topic, queueId),
      maxOffset: log.maxOffset(topic, queueId),
    },
    body: found.entries.length === 0 ? null : Buffer.concat(found.entries.map(({ bytes }) => bytes)),
  }
}

/** Makes the checks of Apache's PullMessageProcessor. Returns the filter of the subscription. */
function pullFilter(state: BrokerState, header: PullHeader): (message: StoredMessage) => boolean {
  const { topic, consumerGroup, queueId, sysFlag, subscription = '', expressionType = 'TAG' } = header
  if (!state.group(consumerGroup).consumeEnable) {
    throw new ResponseError(codes.NO_PERMISSION, `subscription group no permission, ${consumerGroup}`)
  }
  checkReadable(state, topic, queueId)
  if ((sysFlag & WITH_SUBSCRIPTION) !== 0) return filterOf(topic, subscription, expressionType)
  const data = knownSubscription(state, header)
  return filterOf(topic, data.subString, data.expressionType)
}

/** The filter of an expression. SQL matches everything, and so does a retry topic: its messages were filtered before. */
export function filterOf(topic: string, expression: string, type: string): (message: StoredMessage) => boolean {
  if (type !== 'TAG' || isRetryTopic(topic)) return () => true
  const subscription = subscriptionOf(topic, expression, 0)
  // Apache's broker compares the hash codes of tags, this one the tags.
  return message => matchesTags(subscription, message.properties.get('TAGS'))
}

/** @throws ResponseError for a topic that does not exist or has no read permission, or a queue that it does not have */
export function checkReadable(state: BrokerState, name: string, queueId: number): void {
  const topic = state.topic(name)
  if (topic === undefined) {
    throw new ResponseError(codes.TOPIC_NOT_EXIST, `topic[${name}] not exist, apply first please! ${FAQ}`)
  }
  if ((topic.perm & 4) === 0) {
    throw new ResponseError(codes.NO_PERMISSION, `the topic[${name}] pulling message is forbidden`)
  }
  if (queueId >= topic.readQueues) {
    const illegal = state.isModern ? codes.INVALID_PARAMETER : codes.SYSTEM_ERROR
    const text = `queueId[${queueId}] is illegal, topic:[${name}] topicConfig.readQueueNums:[${topic.readQueues}]`
    throw new ResponseError(illegal, text)
  }
}

function knownSubscription(state: BrokerState, { topic, consumerGroup, subVersion }: PullHeader) {
  const group = state.members.consumers.get(consumerGroup)
  if (group === undefined) {
    throw new ResponseError(codes.SUBSCRIPTION_NOT_EXIST, `the consumer's group info not exist${FAQ}`)
  }
  const known: SubscriptionData | undefined = group.subscriptions.get(topic)
  if (known === undefined) {
    throw new ResponseError(codes.SUBSCRIPTION_NOT_EXIST, `the consumer's subscription not exist${FAQ}`)
  }
  if (known.subVersion < subVersion) {
    throw new ResponseError(codes.SUBSCRIPTION_NOT_LATEST, `the consumer's subscription not latest`)
  }
  return known
}
