import { type BatchAck, type MessageQueue, popRequests, popTopic, writePopReceipt } from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'
import type { BrokerOfTopic } from '../../routes/find-broker.ts'
import { callMaster, type PopContext } from './call-master.ts'
import type { Receipt } from './reply.ts'

/** How long an acknowledgement may take, in milliseconds, as in Apache's client. */
const ACK_MS = 3000

/** What acknowledges a popped message: its receipt, and the topic it was sent to, with its namespace. */
export interface Acknowledgement {
  readonly topic: string
  readonly receipt: Receipt
}

/** The queue a popped message is stored in. */
export function popQueueOf({ group }: PopContext, { topic, receipt }: Acknowledgement): MessageQueue {
  const { brokerName, queueId, retry } = receipt
  return { topic: popTopic(retry, topic, group), brokerName, queueId }
}

/** Acknowledges a message. @throws ClientError */
export async function acknowledge(
  context: PopContext,
  message: Acknowledgement,
  options: CallOptions = {},
): Promise<void> {
  await callMaster(
    context.instance,
    brokerOf(message),
    popRequests.ACK_MESSAGE,
    { header: headerOf(context, message) },
    { timeoutMs: ACK_MS, ...options },
  )
}

/** Acknowledges messages, with one request to each broker. @throws ClientError of the first broker that fails, after all were asked */
export async function acknowledgeAll(
  context: PopContext,
  messages: readonly Acknowledgement[],
  options: CallOptions = {},
): Promise<void> {
  const byBroker = Map.groupBy(messages, ({ receipt }) => receipt.brokerName)
  const replies = await Promise.allSettled(
    [...byBroker].map(([name, some]) => acknowledgeAt(context, name, some, options)),
  )
  for (const reply of replies) if (reply.status === 'rejected') throw reply.reason
}

async function acknowledgeAt(
  context: PopContext,
  brokerName: string,
  messages: readonly Acknowledgement[],
  options: CallOptions,
): Promise<void> {
  const [first] = messages
  if (first === undefined) return
  if (messages.length === 1) return await acknowledge(context, first, options)
  const body = { brokerName, acks: batchAcks(context, messages) }
  const limits = { timeoutMs: ACK_MS, ...options }
  try {
    await callMaster(context.instance, brokerOf(first), popRequests.BATCH_ACK_MESSAGE, { body }, limits)
  } catch (error) {
    // The first releases of 5.x do not know the batch request.
    if (!(error instanceof ClientError) || error.code !== 'UNSUPPORTED') throw error
    await Promise.all(messages.map(each => acknowledge(context, each, options)))
  }
}

/** Messages of the same pop and queue form one entry, as bits counted from the first offset of the pop. */
function batchAcks({ group }: PopContext, messages: readonly Acknowledgement[]): BatchAck[] {
  const acks = new Map<string, BatchAck & { readonly bits: number[] }>()
  for (const { topic, receipt } of messages) {
    const { retry, startOffset, queueId, reviveQueueId, popTime, invisibleMs, queueOffset } = receipt
    const key = `${topic} ${retry} ${queueId} ${startOffset} ${popTime} ${invisibleMs} ${reviveQueueId}`
    const common = { consumerGroup: group, topic, retry, startOffset, queueId, reviveQueueId, popTime }
    const ack = acks.get(key) ?? { ...common, invisibleTime: invisibleMs, bits: [] }
    ack.bits.push(queueOffset - startOffset)
    acks.set(key, ack)
  }
  return [...acks.values()]
}

/**
 * Makes a message invisible for `invisibleMs` from now on; with a small value it is redelivered soon. The returned receipt
 * replaces the message's, which is no longer valid.
 * @throws ClientError
 */
export async function changeInvisible(
  context: PopContext,
  message: Acknowledgement,
  invisibleMs: number,
  options: CallOptions = {},
): Promise<Receipt> {
  const { receipt } = message
  const header = { ...headerOf(context, message), invisibleTime: invisibleMs }
  const declaration = popRequests.CHANGE_MESSAGE_INVISIBLETIME
  const limits = { timeoutMs: ACK_MS, ...options }
  const reply = await callMaster(context.instance, brokerOf(message), declaration, { header }, limits)
  const { popTime, invisibleTime, reviveQid } = reply.header
  return {
    ...receipt,
    startOffset: receipt.queueOffset,
    popTime,
    invisibleMs: invisibleTime,
    reviveQueueId: reviveQid,
  }
}

function brokerOf({ topic, receipt }: Acknowledgement): BrokerOfTopic {
  return { topic, brokerName: receipt.brokerName }
}

function headerOf(context: PopContext, message: Acknowledgement) {
  const { topic, queueId, brokerName } = popQueueOf(context, message)
  const { receipt } = message
  const extraInfo = writePopReceipt(receipt)
  return { consumerGroup: context.group, topic, queueId, extraInfo, offset: receipt.queueOffset, bname: brokerName }
}
