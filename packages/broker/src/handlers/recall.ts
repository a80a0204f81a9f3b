import { PROPERTY, type RecallHandle, readRecallHandle, responseCodes, type sendRequests } from '@gantrymq/protocol'
import { type Call, type HandlersFor, type Peer, RemotingError, ResponseError } from '@gantrymq/remoting'
import { APPENDED } from '@gantrymq/store'
import type { BrokerContext } from '../context.ts'
import { memoryOf, type NewMessage } from '../sending/new-message.ts'
import { cancelKeyOf } from '../timers/timed-message.ts'

type Recall = Pick<typeof sendRequests, 'RECALL_MESSAGE'>
type Header = Call<Recall['RECALL_MESSAGE']>['header']

const { ILLEGAL_OPERATION, NO_PERMISSION, SERVICE_NOT_AVAILABLE, SYSTEM_ERROR, TOPIC_NOT_EXIST } = responseCodes

const NOT_AVAILABLE = 'recall failed, broker service not available'
const RECALL_TAG = '_RECALL_TAG_'

/** Cancels messages that wait for their time: Apache's RecallMessageProcessor. */
export const recallHandlers: HandlersFor<Recall, BrokerContext> = {
  async RECALL_MESSAGE({ header, peer }, context) {
    const handle = checkedHandle(header, context)
    const message = cancelling(handle, header, peer, context)
    const { status, topic, bytes, safe } = await context.waitingSends.write(memoryOf(message), () =>
      context.writer.write(message),
    )
    if (status !== APPENDED) throw new ResponseError(SYSTEM_ERROR, 'recall failed, execute error')
    await safe
    context.counts.stored(topic, 1, bytes)
    return { header: { msgId: handle.messageId, MSG_REGION: context.settings.options.regionId } }
  },
}

/** The checks in Apache's order. @throws ResponseError */
function checkedHandle(
  { topic, recallHandle }: Header,
  { settings, timers, topics, clock }: BrokerContext,
): RecallHandle {
  const { recallMessageEnable, startAcceptSendRequestTimeStamp, timerMaxDelaySec, brokerName } = settings.options
  if (!recallMessageEnable) throw new ResponseError(NO_PERMISSION, 'recall failed, operation is forbidden')
  if (timers === undefined) {
    const remark =
      'recall failed, operation is forbidden: in this broker, which has a folder, no message waits for its time'
    throw new ResponseError(NO_PERMISSION, remark)
  }
  if (clock.now() < startAcceptSendRequestTimeStamp) throw new ResponseError(SERVICE_NOT_AVAILABLE, NOT_AVAILABLE)
  if (!topics.has(topic)) throw new ResponseError(TOPIC_NOT_EXIST, `recall failed, the topic[${topic}] not exist`)
  const handle = handleOf(recallHandle)
  if (handle.topic !== topic) throw new ResponseError(ILLEGAL_OPERATION, 'recall failed, topic not match')
  if (handle.brokerName !== brokerName) throw new ResponseError(ILLEGAL_OPERATION, NOT_AVAILABLE)
  const left = Number(handle.deliverTime) - clock.now()
  if (left > 0 && left < timerMaxDelaySec * 1000) return handle
  throw new ResponseError(ILLEGAL_OPERATION, 'recall failed, timestamp invalid')
}

function handleOf(text: string): RecallHandle {
  try {
    return readRecallHandle(text)
  } catch (error) {
    if (error instanceof RemotingError) throw new ResponseError(ILLEGAL_OPERATION, error.message)
    throw error
  }
}

/** The message that cancels another one. Source: Apache's RecallMessageProcessor.buildMessage. */
function cancelling(handle: RecallHandle, { producerGroup }: Header, peer: Peer, context: BrokerContext): NewMessage {
  const { topic, messageId, deliverTime } = handle
  const now = context.clock.now()
  const properties = new Map<string, string>([
    [PROPERTY.TAGS, RECALL_TAG],
    [PROPERTY.TIMER_DEL_UNIQKEY, cancelKeyOf(topic, messageId)],
    [PROPERTY.UNIQ_KEY, messageId],
    [PROPERTY.TIMER_DELIVER_MS, deliverTime],
    [PROPERTY.BORN_TIMESTAMP, String(now)],
  ])
  if (producerGroup !== undefined) properties.set(PROPERTY.PRODUCER_GROUP, producerGroup)
  return {
    topic,
    queueId: 0,
    body: Buffer.from('0'),
    properties,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: now,
    bornHost: context.writer.bornHostOf(peer),
    reconsumeTimes: 0,
  }
}
