import {
  INNER_PRODUCER_GROUP,
  retryTopicOf,
  sendRequests,
  wrapNamespace,
  writeMessageProperties,
} from '@gantrymq/protocol'
import type { ClientInstance } from '../instance/client-instance.ts'
import { checkedCall, Deadline } from '../deadline.ts'
import type { CallOptions } from './message.ts'
import type { PreparedMessage } from '../producer/prepared-message.ts'
import { producerOptions, type ProducerSettings } from '../producer/producer-options.ts'
import { QueuePicker } from '../producer/queue-picker.ts'
import { type Sender, sendWithRetries, singleForm } from '../producer/send-loop.ts'
import { readOptions } from '../options.ts'
import { findMaster } from '../routes/find-broker.ts'
import type { ReceivedMessage } from './received-message.ts'

/** What a retry is for. */
export interface RetryContext {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  /** Deliveries before the dead letters. */
  readonly maxReconsumeTimes: number
}

/** For each of the two ways, milliseconds. */
const SEND_BACK_MS = 5000
const WHAT = 'giving a message back'
/** Level of the first retry by the broker's table: 10 s. */
const FIRST_LEVEL = 3

/**
 * Has a message delivered again later: the broker that has it puts it into the group's retry topic, or among the dead
 * letters. Level 0 leaves the delay to the broker, -1 means the dead letters at once. When that broker cannot, the message
 * is sent to the retry topic as a new one.
 * @throws ClientError if that fails too, and BAD_OPTION, TIMEOUT, ABORTED
 */
export async function sendBack(
  context: RetryContext,
  message: ReceivedMessage<unknown>,
  delayLevel: number,
  options: CallOptions = {},
): Promise<void> {
  const { timeoutMs, signal } = checkedCall(WHAT, options, 2 * SEND_BACK_MS)
  const deadline = new Deadline(context.instance.clock, timeoutMs, signal)
  deadline.check(WHAT)
  try {
    await askBroker(context, message, delayLevel, new Deadline(context.instance.clock, timeoutMs / 2, signal))
  } catch (error) {
    deadline.check(WHAT)
    context.instance.log.warn({ messageId: message.messageId, error: String(error) }, 'message not taken back')
    await sendAgain(context, message, delayLevel, deadline)
  }
}

async function askBroker(
  context: RetryContext,
  message: ReceivedMessage<unknown>,
  delayLevel: number,
  deadline: Deadline,
): Promise<void> {
  const { instance, group, maxReconsumeTimes } = context
  const { brokerName } = message.queue
  const address = await findMaster(instance, { topic: message.view.topic, brokerName }, deadline)
  const header = {
    offset: message.commitLogOffset,
    group,
    delayLevel,
    originMsgId: message.messageId,
    originTopic: wrapNamespace(instance.options.namespace, message.topic),
    maxReconsumeTimes,
    bname: brokerName,
  }
  await instance.call(address, sendRequests.CONSUMER_SEND_MSG_BACK, { header }, deadline.options())
}

/** The message as a new one for the retry topic, which the broker counts and delays (spec client 4.10). */
function asRetry(
  context: RetryContext,
  message: ReceivedMessage<unknown>,
  delayLevel: number,
  now: number,
): PreparedMessage {
  const { view, reconsumeTimes } = message
  const properties = new Map(view.properties)
  const first = properties.get('RETRY_TOPIC') ?? view.topic
  properties.delete('TRAN_MSG')
  properties.set('RETRY_TOPIC', first)
  properties.set('ORIGIN_MESSAGE_ID', properties.get('ORIGIN_MESSAGE_ID') ?? message.messageId)
  properties.set('RECONSUME_TIME', String(reconsumeTimes + 1))
  properties.set('MAX_RECONSUME_TIMES', String(limitOf(context, delayLevel)))
  // Brokers of 4.9 delay dead letters too, where they are told to.
  if (delayLevel < 0) properties.delete('DELAY')
  else properties.set('DELAY', String(delayLevel > 0 ? delayLevel : FIRST_LEVEL + reconsumeTimes))
  return {
    topic: retryTopicOf(context.group),
    body: view.storedBody,
    flag: message.flag,
    // How the body is compressed stays; transaction bits do not.
    sysFlag: view.sysFlag & (0x1 | 0x700),
    messageId: message.messageId,
    properties: writeMessageProperties(properties),
    bornTimestamp: now,
  }
}

/** Dead letters are what was tried more often than this: 4.9 takes what was tried as often, 5.x only what was more. */
function limitOf({ maxReconsumeTimes }: RetryContext, delayLevel: number): number {
  return delayLevel < 0 ? 0 : maxReconsumeTimes
}

/** Sends it to the retry topic. @throws ClientError */
async function sendAgain(
  context: RetryContext,
  message: ReceivedMessage<unknown>,
  delayLevel: number,
  deadline: Deadline,
): Promise<void> {
  const { instance } = context
  const prepared = asRetry(context, message, delayLevel, instance.clock.now())
  const known = await instance.routes.get(prepared.topic, deadline.options())
  const form = {
    ...singleForm,
    reconsumeTimes: message.reconsumeTimes + 1,
    maxReconsumeTimes: limitOf(context, delayLevel),
  }
  await sendWithRetries(innerSender(instance), prepared, known, form, deadline)
}

const senders = new WeakMap<ClientInstance, Sender>()

function innerSender(instance: ClientInstance): Sender {
  const known = senders.get(instance)
  if (known !== undefined) return known
  const settings: ProducerSettings = { ...instance.options, ...readOptions('retry', producerOptions, {}) }
  const sender = {
    instance,
    group: INNER_PRODUCER_GROUP,
    settings,
    picker: new QueuePicker(Math.random),
    faults: undefined,
  }
  senders.set(instance, sender)
  return sender
}
