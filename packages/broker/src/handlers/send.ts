import {
  groupOfRetryTopic,
  INNER_BATCH,
  isRetryTopic,
  NEED_UNWRAP,
  PROPERTY,
  responseCodes,
  type sendRequests,
  transactionPart,
  writeRecallHandle,
} from '@gantrymq/protocol'
import { type HandlersFor, RemotingError, ResponseError, within } from '@gantrymq/remoting'
import { APPENDED } from '@gantrymq/store'
import type { BrokerContext } from '../context.ts'
import { delayProblem } from '../delays/delayed-message.ts'
import { groupMissingRemark } from '../remarks.ts'
import { asksForDelay, messagesOfBatch } from '../sending/batch.ts'
import { messageOf, refusal, type Send, sendOf, targetOf } from '../sending/incoming-message.ts'
import type { Written } from '../sending/message-writer.ts'
import { memoryOf, type NewMessage } from '../sending/new-message.ts'
import { asDeadLetter, maxRetries } from '../sending/send-back.ts'
import { type Refused, topicMissing } from '../sending/send-checks.ts'
import { withLongNames } from '../sending/send-header.ts'
import { illegalMessage, lostBy, refusedByStore, type SendAnswer, sendReply } from '../sending/send-reply.ts'
import { isTimed } from '../timers/timed-message.ts'
import { isHalf } from '../transactions/half-messages.ts'
import { deadLetterTopic } from './send-back.ts'

type SendRequests = Pick<typeof sendRequests, 'SEND_MESSAGE' | 'SEND_MESSAGE_V2' | 'SEND_BATCH_MESSAGE'>

/** Requests that store messages: Apache's SendMessageProcessor. */
export const sendHandlers: HandlersFor<SendRequests, BrokerContext> = {
  SEND_MESSAGE: ({ header, ...call }, context) => send(sendOf(header, call), context),
  SEND_MESSAGE_V2: ({ header, ...call }, context) => send(sendOf(withLongNames(header), call), context),
  SEND_BATCH_MESSAGE: ({ header, ...call }, context) => send(sendOf(withLongNames(header), call), context),
}

function send(given: Send, context: BrokerContext): Promise<SendAnswer> {
  const target = targetOf(given, context)
  const { queueId } = target
  const message = messageOf(given, target, context)
  // The flag in the header decides, not the request code, as in Apache.
  const { write, bytes } = given.header.batch ? batchWriter(message, context) : singleWriter(message, given, context)
  const { topic } = message
  // An operator may delete the topic while the send waits for the store: no one could read the message.
  const writeIfThere = (): Written => {
    if (context.topics.has(topic)) return write()
    throw refusal(topicMissing(topic))
  }
  return answer(context.waitingSends.write(bytes, writeIfThere), message, queueId, context)
}

/** What stores a send. */
interface Writer {
  /** May be called again while the store is busy. */
  readonly write: () => Written
  /** See `memoryOf`. */
  readonly bytes: number
}

/** The checks of one message in Apache's order. @throws ResponseError */
function singleWriter(message: NewMessage, given: Send, context: BrokerContext): Writer {
  const stored = retried(message, given, context)
  const bytes = memoryOf(stored)
  if (!isHalf(stored)) {
    checkMessage(stored, context)
    return { write: () => context.writer.write(stored), bytes }
  }
  if (context.settings.options.rejectTransactionMessage) {
    const remark = `the broker[${context.host()}] sending transaction message is forbidden`
    throw new ResponseError(responseCodes.NO_PERMISSION, remark)
  }
  checkMessage(stored, context)
  return { write: () => context.transactions.begin(stored), bytes }
}

/** A consumer may send a message that it could not consume as a new one: after too many times it becomes a dead letter. */
function retried(message: NewMessage, { header, version }: Send, context: BrokerContext): NewMessage {
  if (!isRetryTopic(message.topic)) return message
  const name = groupOfRetryTopic(message.topic)
  const group = context.groups.find(name)
  if (group === undefined) throw new ResponseError(responseCodes.SUBSCRIPTION_GROUP_NOT_EXIST, groupMissingRemark(name))
  const isOver = message.reconsumeTimes > maxRetries(group, version, header.maxReconsumeTimes)
  // A group that consumes in order has had its retries in the consumer.
  if (!isOver && !context.locks.hasLocks(name, context.clock.elapsed())) return message
  deadLetterTopic(name, context)
  return asDeadLetter(message, name)
}

/** @throws ResponseError for a message that no store of Apache's would take (HookUtils.checkBeforePutMessage, checkInnerBatch) */
function checkMessage({ body, sysFlag, properties }: NewMessage, { settings, timers }: BrokerContext): void {
  if (body.length === 0 || isInnerBatch({ sysFlag, properties }))
    throw refusal(illegalMessage(settings.options.maxMessageSize))
  checkDelay(properties)
  if (timers === undefined && isTimed({ properties, sysFlag: 0 })) throw refusal(NO_TIMERS)
}

/** Whether a message says that it is a batch itself (5.x): consumers would take it apart. No topic here has queues for such ones. */
function isInnerBatch({ sysFlag, properties }: Pick<NewMessage, 'sysFlag' | 'properties'>): boolean {
  return (sysFlag & (INNER_BATCH | NEED_UNWRAP)) !== 0 || properties.has(PROPERTY.INNER_NUM)
}

/** @throws ResponseError with a code on which producers do not try another broker; Apache's is SYSTEM_ERROR */
function checkDelay(properties: ReadonlyMap<string, string>): void {
  const problem = delayProblem(properties)
  if (problem !== undefined) throw new ResponseError(responseCodes.MESSAGE_ILLEGAL, problem)
}

const NO_DELAYED_BATCH =
  'a batch cannot be delivered later: send messages with a delay level (DELAY) or a time (TIMER_DELAY_SEC, TIMER_DELAY_MS, ' +
  'TIMER_DELIVER_MS) one by one'

/** As an Apache broker whose timerWheelEnable is false. */
const NO_TIMERS: Refused = {
  code: responseCodes.SYSTEM_ERROR,
  remark:
    'accurate timer message is not enabled, timerWheelEnable is false: this broker keeps its messages in a folder, and their times ' +
    'only in memory; use a delay level, or start a broker with --memory',
}

function batchWriter(message: NewMessage, context: BrokerContext): Writer {
  const { topic, sysFlag } = message
  const { maxMessageSize } = context.settings.options
  if (isRetryTopic(topic)) {
    const remark = `batch request does not support retry group ${topic}`
    throw new ResponseError(responseCodes.MESSAGE_ILLEGAL, remark)
  }
  // Before the batch is taken apart: a message of a few bytes becomes an object of some hundred.
  if (message.body.length > maxMessageSize) throw refusal(illegalMessage(maxMessageSize))
  const messages = messagesIn(message, maxMessageSize)
  if (transactionPart(sysFlag) !== 0 || messages.length === 0) throw refusal(illegalMessage(maxMessageSize))
  for (const each of [message, ...messages]) {
    const { properties } = each
    if (isInnerBatch(each)) throw refusal(illegalMessage(maxMessageSize))
    checkDelay(properties)
    if (asksForDelay(properties)) throw new ResponseError(responseCodes.MESSAGE_ILLEGAL, NO_DELAYED_BATCH)
  }
  const bytes = messages.reduce((sum, each) => sum + memoryOf(each), memoryOf(message))
  return { write: () => context.writer.writeBatch(messages), bytes }
}

function messagesIn(message: NewMessage, maxMessageSize: number): NewMessage[] {
  try {
    return messagesOfBatch(message)
  } catch (error) {
    if (error instanceof RemotingError && error.code === 'BAD_BODY') throw refusal(illegalMessage(maxMessageSize))
    throw error
  }
}

/** Answers when the message is safe, and its topic is stored too. */
async function answer(
  written: Written | Promise<Written>,
  message: NewMessage,
  queueId: number,
  context: BrokerContext,
): Promise<SendAnswer> {
  const { store, settings, topics, counts, clock } = context
  const { brokerName, regionId, traceOn, flushDiskType, syncFlushTimeout } = settings.options
  const settled = written instanceof Promise ? await written : written
  const { status, topic, positions, queueOffset, bytes, outMs, safe } = settled
  const isSync = flushDiskType === 'SYNC_FLUSH'
  if (status !== APPENDED) {
    counts.notStored()
    throw refusal(refusedByStore(status, settings.options, store.whyNotWritable))
  }
  const storeHost = context.storeHost()
  const transactionId = message.properties.get(PROPERTY.UNIQ_KEY)
  let code: number = responseCodes.SUCCESS
  try {
    await (isSync ? within(clock, safe, { timeoutMs: syncFlushTimeout }, 'the flush') : safe)
    await topics.saved()
  } catch (error) {
    // The message is appended, and will be flushed: its sender need not send it again.
    if (!(error instanceof RemotingError && error.code === 'TIMEOUT')) {
      counts.notStored()
      throw refusal(lostBy(error))
    }
    code = responseCodes.FLUSH_DISK_TIMEOUT
  }
  counts.stored(topic, positions.length, bytes)
  const recallHandle = outMs === undefined ? undefined : recallHandleOf(message, outMs, brokerName)
  const receipt = { storeHost, positions, queueId, queueOffset, transactionId, recallHandle, regionId, traceOn }
  return sendReply(receipt, code)
}

/** Source: Apache's SendMessageProcessor.attachRecallHandle. */
function recallHandleOf({ topic, properties }: NewMessage, outMs: number, brokerName: string): string | undefined {
  const messageId = properties.get(PROPERTY.UNIQ_KEY)
  if (messageId === undefined || isRetryTopic(topic)) return undefined
  // One more, because the time of the message that cancels is rounded down, too.
  return writeRecallHandle({ topic, brokerName, deliverTime: String(outMs + 1), messageId })
}
