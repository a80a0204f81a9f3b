import {
  type BatchAck,
  matchesTags,
  type MessageQueue,
  popRequests,
  popTopic,
  responseCodes,
  type SubscriptionData,
  V5_0_0,
  writePopReceipt,
} from '@gantrymq/protocol'
import { type CallInput, REQUEST_CODE_NOT_SUPPORTED, type Reply, type RequestDeclaration } from '@gantrymq/remoting'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { pullChannel, tracePull } from '../../diagnostics.ts'
import { Deadline } from '../../deadline.ts'
import { ClientError, toClientError } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'
import { type BrokerOfTopic, findMaster } from '../../routes/find-broker.ts'
import { unpack } from '../queue/pull-call.ts'
import { type PoppedView, type Receipt, readPopReply } from './reply.ts'

/** Who pops. */
export interface PopContext {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
}

/** What to pop. */
export interface PopAsk {
  readonly subscription: SubscriptionData
  readonly brokerName: string
  /** -1: all queues of the broker. */
  readonly queueId: number
  /** 32 at most. */
  readonly max: number
  readonly invisibleMs: number
  /** How long the broker may hold the pop when there is nothing, milliseconds; 0: not at all. */
  readonly pollMs: number
  /** Where a group begins that has no offset: at the oldest message, or behind the newest. */
  readonly from: 'oldest' | 'newest'
}

/** The answer to a pop. */
export interface PopResult {
  readonly found: readonly PoppedView[]
  /** The broker holds too many pops: ask again later. */
  readonly isFull: boolean
}

/** All queues of a broker. */
export const ANY_QUEUE = -1
/** No pop may ask for more: brokers refuse it. */
export const MAX_POP = 32

/** The answer may take so much longer than the broker holds the pop, milliseconds. */
const GRACE_MS = 10_000
/** How long acknowledgements may take, milliseconds (Apache 3,000). */
const ACK_MS = 3000

/**
 * Pops once, within 10 s more than the broker may hold it, or less. What the filter does not want, which only this client can tell, is acknowledged at once.
 * @throws ClientError BROKER_MISSING, UNSUPPORTED for brokers of 4.9, and as `ClientInstance.call`
 */
export async function pop(context: PopContext, ask: PopAsk, given: CallOptions): Promise<PopResult> {
  const { timeoutMs = Number.POSITIVE_INFINITY, signal } = given
  const limits = { timeoutMs: Math.min(timeoutMs, ask.pollMs + GRACE_MS), signal }
  const reply = await traced(context, ask, limits)
  const { instance, group } = context
  const { brokerName, subscription } = ask
  const all = readReply(reply, brokerName, corrupt => {
    instance.log.error({ group, brokerName, topic: subscription.topic, ...corrupt }, 'corrupt message skipped')
  })
  const found = all.filter(({ view }) => matchesTags(subscription, view.property('TAGS')))
  if (found.length < all.length) void dropUnwanted(context, subscription.topic, all, found)
  await unpack(found.map(({ view }) => view))
  return { found, isFull: reply.code === responseCodes.POLLING_FULL }
}

function readReply(...args: Parameters<typeof readPopReply>): PoppedView[] {
  try {
    return readPopReply(...args)
  } catch (error) {
    throw toClientError(error)
  }
}

/** Never rejects: what is not acknowledged comes again, to be dropped again. */
async function dropUnwanted(
  context: PopContext,
  topic: string,
  all: readonly PoppedView[],
  found: readonly PoppedView[],
): Promise<void> {
  const unwanted = all.filter(each => !found.includes(each)).map(({ receipt }) => ({ topic, receipt }))
  await acknowledgeAll(context, unwanted).catch((error: unknown) => {
    context.instance.log.warn(
      { group: context.group, topic, error: String(error) },
      'unwanted message not acknowledged',
    )
  })
}

async function traced(context: PopContext, ask: PopAsk, limits: CallOptions) {
  if (!pullChannel.hasSubscribers) return await popAt(context, ask, limits)
  const { brokerName, queueId, subscription } = ask
  const { clientId, options } = context.instance
  const queue = { topic: subscription.topic, brokerName, queueId }
  const place = { clientId, namespace: options.namespace, group: context.group, queue, offset: -1 }
  return await tracePull(place, () => popAt(context, ask, limits))
}

async function popAt(context: PopContext, ask: PopAsk, limits: CallOptions) {
  const { subscription, brokerName, queueId, max, invisibleMs, pollMs, from } = ask
  const { topic } = subscription
  const header = {
    consumerGroup: context.group,
    topic,
    queueId,
    maxMsgNums: max,
    invisibleTime: invisibleMs,
    pollTime: pollMs,
    // The broker puts its own time in: by ours it would turn pops away while the clocks differ.
    bornTime: 0,
    initMode: from === 'oldest' ? 0 : 1,
    expType: subscription.expressionType,
    exp: subscription.subString,
    order: false,
    bname: brokerName,
  }
  return await askBroker(context.instance, { topic, brokerName }, popRequests.POP_MESSAGE, { header }, limits)
}

/** Waits until there may be something to pop. @throws ClientError as `pop` */
export async function awaitMessages(context: PopContext, ask: PopAsk, signal: AbortSignal): Promise<boolean> {
  const { subscription, brokerName, queueId, pollMs } = ask
  const { topic } = subscription
  const header = {
    consumerGroup: context.group,
    topic,
    queueId,
    pollTime: pollMs,
    bornTime: 0,
    order: false,
    expType: subscription.expressionType,
    exp: subscription.subString,
    bname: brokerName,
  }
  const options = { timeoutMs: pollMs + GRACE_MS, signal }
  const reply = await askBroker(context.instance, { topic, brokerName }, popRequests.NOTIFICATION, { header }, options)
  return reply.header.hasMsg
}

// -- Acknowledgements --------------------------------------------------------------------------------------------------

/** A popped message's receipt, and the topic it was sent to, with its namespace. */
export interface Acknowledgement {
  readonly topic: string
  readonly receipt: Receipt
}

/** Where a popped message lies. */
export function popQueueOf({ group }: PopContext, { topic, receipt }: Acknowledgement): MessageQueue {
  const { brokerName, queueId, retry } = receipt
  return { topic: popTopic(retry, topic, group), brokerName, queueId }
}

/** A message is done with. @throws ClientError */
export async function acknowledge(context: PopContext, done: Acknowledgement, options: CallOptions = {}) {
  await askBroker(
    context.instance,
    brokerOf(done),
    popRequests.ACK_MESSAGE,
    { header: headerOf(context, done) },
    { timeoutMs: ACK_MS, ...options },
  )
}

/**
 * Hides a message for so long from now on; 0 and little let it come again soon. The receipt of before is worth nothing
 * afterwards. @throws ClientError
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
  const reply = await askBroker(context.instance, brokerOf(message), declaration, { header }, limits)
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

/** Messages are done with: one request for each broker. @throws ClientError of the first broker that fails, when all were asked */
export async function acknowledgeAll(
  context: PopContext,
  done: readonly Acknowledgement[],
  options: CallOptions = {},
): Promise<void> {
  const byBroker = Map.groupBy(done, ({ receipt }) => receipt.brokerName)
  const answers = await Promise.allSettled(
    [...byBroker].map(([name, some]) => acknowledgeAt(context, name, some, options)),
  )
  for (const answer of answers) if (answer.status === 'rejected') throw answer.reason
}

async function acknowledgeAt(
  context: PopContext,
  brokerName: string,
  done: readonly Acknowledgement[],
  options: CallOptions,
): Promise<void> {
  const [first] = done
  if (first === undefined) return
  if (done.length === 1) return await acknowledge(context, first, options)
  const body = { brokerName, acks: batchAcks(context, done) }
  const limits = { timeoutMs: ACK_MS, ...options }
  try {
    await askBroker(context.instance, brokerOf(first), popRequests.BATCH_ACK_MESSAGE, { body }, limits)
  } catch (error) {
    // The first releases of 5 know only single ones.
    if (!(error instanceof ClientError) || error.code !== 'UNSUPPORTED') throw error
    await Promise.all(done.map(each => acknowledge(context, each, options)))
  }
}

/** Messages of the same pop and queue stand together, as bits counted from its first offset. */
function batchAcks({ group }: PopContext, done: readonly Acknowledgement[]): BatchAck[] {
  const acks = new Map<string, BatchAck & { readonly bits: number[] }>()
  for (const { topic, receipt } of done) {
    const { retry, startOffset, queueId, reviveQueueId, popTime, invisibleMs, queueOffset } = receipt
    const key = `${topic} ${retry} ${queueId} ${startOffset} ${popTime} ${invisibleMs} ${reviveQueueId}`
    const common = { consumerGroup: group, topic, retry, startOffset, queueId, reviveQueueId, popTime }
    const ack = acks.get(key) ?? { ...common, invisibleTime: invisibleMs, bits: [] }
    ack.bits.push(queueOffset - startOffset)
    acks.set(key, ack)
  }
  return [...acks.values()]
}

// -- Brokers -----------------------------------------------------------------------------------------------------------

/** Asks a broker's master what only 5.x knows. */
async function askBroker<const D extends RequestDeclaration>(
  instance: ClientInstance,
  broker: BrokerOfTopic,
  declaration: D,
  input: CallInput<D>,
  options: CallOptions,
): Promise<Reply<D>> {
  const { brokerName } = broker
  const deadline = Deadline.of(instance.clock, options, instance.options.requestTimeoutMs)
  const address = await findMaster(instance, broker, deadline)
  const version = instance.brokers.version(brokerName, address)
  if (version !== 0 && version < V5_0_0) throw unsupported(brokerName, address)
  try {
    return await instance.call(address, declaration, input, deadline.options())
  } catch (error) {
    const isUnknown = error instanceof ClientError && error.responseCode === REQUEST_CODE_NOT_SUPPORTED
    throw isUnknown ? unsupported(brokerName, address, error) : error
  }
}

function unsupported(brokerName: string, address: string, cause?: unknown): ClientError {
  const text = `broker ${brokerName} at ${address} does not know pop, which came with 5.0: use PushConsumer or LitePullConsumer`
  return new ClientError('UNSUPPORTED', text, { address, cause })
}
