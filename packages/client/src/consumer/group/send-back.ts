import {
  COMPRESSION_BITS,
  INNER_PRODUCER_GROUP,
  PROPERTY,
  retryTopicOf,
  sendRequests,
  wrapNamespace,
  writeMessageProperties,
} from '@gantrymq/protocol'
import { checkedCall, Deadline } from '../../deadline.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { CallOptions } from '../../message/message.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { readOptions } from '../../options.ts'
import type { PreparedMessage } from '../../producer/prepared-message.ts'
import { producerOptions, type ProducerSettings } from '../../producer/producer-options.ts'
import { QueuePicker } from '../../producer/queue-picker.ts'
import { type Sender, sendWithRetries, singleForm } from '../../producer/send-loop.ts'
import { findMaster } from '../../routes/find-broker.ts'

/** The group that a message is sent back for. */
export interface SendBackContext {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  /** Redeliveries before the message becomes a dead letter. */
  readonly maxReconsumeTimes: number
}

/** The delay level that moves a message to the dead letters at once. */
export const DEAD_LETTER_LEVEL = -1
/** Redeliveries before the dead letters if the user sets no number: Apache's default for concurrent consumers. */
export const DEFAULT_RECONSUME_TIMES = 16

/** Time for each of the two ways below, in milliseconds. */
const SEND_BACK_MS = 5000
const WHAT = 'sending a message back'
/** The level of the first retry: 10 s by the broker's table. */
const FIRST_LEVEL = 3

/**
 * Has a message delivered again later: the broker that stores it puts it into the group's retry topic, or among the dead
 * letters. Level 0 leaves the delay to the broker, -1 means the dead letters at once. If that broker cannot do it, the
 * message is sent to the retry topic as a new one (Apache's DefaultMQPushConsumerImpl.sendMessageBack).
 * @throws ClientError if both ways fail; BAD_OPTION, TIMEOUT, ABORTED
 */
export async function sendBack(
  context: SendBackContext,
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
    context.instance.log.warn(
      { messageId: message.messageId, error: String(error) },
      'broker did not take a message back: sending it to the retry topic',
    )
    await sendAgain(context, message, delayLevel, deadline)
  }
}

async function askBroker(
  context: SendBackContext,
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

/** The message as a new one for the retry topic, which the broker counts and delays. */
function retryMessage(
  context: SendBackContext,
  message: ReceivedMessage<unknown>,
  delayLevel: number,
  now: number,
): PreparedMessage {
  const { view, reconsumeTimes } = message
  const properties = new Map(view.properties)
  const originalTopic = properties.get(PROPERTY.RETRY_TOPIC) ?? view.topic
  properties.delete(PROPERTY.TRANSACTION_MESSAGE)
  properties.set(PROPERTY.RETRY_TOPIC, originalTopic)
  properties.set(PROPERTY.ORIGIN_MESSAGE_ID, properties.get(PROPERTY.ORIGIN_MESSAGE_ID) ?? message.messageId)
  properties.set(PROPERTY.RECONSUME_TIME, String(reconsumeTimes + 1))
  properties.set(PROPERTY.MAX_RECONSUME_TIMES, String(deliveryLimit(context, delayLevel)))
  // Brokers of 4.9 would delay dead letters too if the property were set.
  if (delayLevel < 0) properties.delete(PROPERTY.DELAY)
  else properties.set(PROPERTY.DELAY, String(delayLevel > 0 ? delayLevel : FIRST_LEVEL + reconsumeTimes))
  return {
    topic: retryTopicOf(context.group),
    body: view.storedBody,
    flag: message.flag,
    // Without the bits of transactions.
    sysFlag: view.sysFlag & COMPRESSION_BITS,
    messageId: message.messageId,
    properties: writeMessageProperties(properties),
    bornTimestamp: now,
    isTimed: false,
  }
}

/** Brokers of 4.9 make a message a dead letter once it was delivered this often, those of 5.x once it was delivered more often. */
function deliveryLimit({ maxReconsumeTimes }: SendBackContext, delayLevel: number): number {
  return delayLevel < 0 ? 0 : maxReconsumeTimes
}

/** Sends the message to the retry topic. @throws ClientError */
async function sendAgain(
  context: SendBackContext,
  message: ReceivedMessage<unknown>,
  delayLevel: number,
  deadline: Deadline,
): Promise<void> {
  const { instance } = context
  const prepared = retryMessage(context, message, delayLevel, instance.clock.now())
  const known = await instance.routes.get(prepared.topic, deadline.options())
  const form = {
    ...singleForm,
    reconsumeTimes: message.reconsumeTimes + 1,
    maxReconsumeTimes: deliveryLimit(context, delayLevel),
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
