import { matchesTags, popRequests, PROPERTY, responseCodes, type SubscriptionData } from '@gantrymq/protocol'
import { pullChannel, tracePull } from '../../diagnostics.ts'
import { asClientErrors } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'
import { decompress } from '../queue/pull-call.ts'
import { acknowledgeAll } from './acknowledge.ts'
import { callMaster, type PopContext } from './call-master.ts'
import { type PoppedView, type PopReply, readPopReply } from './reply.ts'

/** What to pop. */
export interface PopRequest {
  readonly subscription: SubscriptionData
  readonly brokerName: string
  /** -1: all queues of the broker. */
  readonly queueId: number
  /** 32 at most. */
  readonly max: number
  readonly invisibleMs: number
  /** How long the broker may hold the pop if it finds nothing, in milliseconds; 0: it answers at once. */
  readonly pollMs: number
  /** Where a group without offsets starts: at the oldest message, or after the newest. */
  readonly from: 'oldest' | 'newest'
}

/** The result of a pop. */
export interface PopResult {
  readonly found: readonly PoppedView[]
  /** The broker holds too many pops already. */
  readonly isFull: boolean
}

/** The queue id that stands for all queues of a broker. */
export const ANY_QUEUE = -1
/** The most messages in one pop: brokers refuse more. */
export const MAX_POP = 32

/** How much later than `pollMs` the reply may arrive, in milliseconds. */
const GRACE_MS = 10_000

/**
 * Pops once. It takes at most 10 s more than `pollMs`, or less with `timeoutMs`. Messages that only this client can tell do not
 * match the filter are acknowledged at once.
 * @throws ClientError as `callMaster`
 */
export async function pop(context: PopContext, request: PopRequest, given: CallOptions): Promise<PopResult> {
  const { timeoutMs = Number.POSITIVE_INFINITY, signal } = given
  const limits = { timeoutMs: Math.min(timeoutMs, request.pollMs + GRACE_MS), signal }
  const reply = await traced(context, request, limits)
  const { instance, group } = context
  const { brokerName, subscription } = request
  const reportCorrupt = (corrupt: object): void =>
    instance.log.error({ group, brokerName, topic: subscription.topic, ...corrupt }, 'corrupt message skipped')
  const all = asClientErrors(() => readPopReply(reply, brokerName, reportCorrupt))
  const found = all.filter(({ view }) => matchesTags(subscription, view.property(PROPERTY.TAGS)))
  if (found.length < all.length) void acknowledgeUnwanted(context, subscription.topic, all, found)
  await decompress(found.map(({ view }) => view))
  return { found, isFull: reply.code === responseCodes.POLLING_FULL }
}

/** Never rejects: a message that cannot be acknowledged is popped again later, and acknowledged then. */
async function acknowledgeUnwanted(
  context: PopContext,
  topic: string,
  all: readonly PoppedView[],
  found: readonly PoppedView[],
): Promise<void> {
  const unwanted = all.filter(each => !found.includes(each)).map(({ receipt }) => ({ topic, receipt }))
  await acknowledgeAll(context, unwanted).catch((error: unknown) => {
    const { instance, group } = context
    instance.log.warn({ group, topic, error: String(error) }, 'cannot acknowledge a message that the filter excludes')
  })
}

async function traced(context: PopContext, request: PopRequest, limits: CallOptions): Promise<PopReply> {
  if (!pullChannel.hasSubscribers) return await callPop(context, request, limits)
  const { brokerName, queueId, subscription } = request
  const { clientId, options } = context.instance
  const queue = { topic: subscription.topic, brokerName, queueId }
  const subject = { clientId, namespace: options.namespace, group: context.group, queue, offset: -1 }
  return await tracePull(subject, () => callPop(context, request, limits))
}

async function callPop(context: PopContext, request: PopRequest, limits: CallOptions): Promise<PopReply> {
  const { subscription, brokerName, queueId, max, invisibleMs, pollMs, from } = request
  const { topic } = subscription
  const header = {
    consumerGroup: context.group,
    topic,
    queueId,
    maxMsgNums: max,
    invisibleTime: invisibleMs,
    pollTime: pollMs,
    // 0 makes the broker use its own clock. With ours it would refuse pops while the clocks differ.
    bornTime: 0,
    initMode: from === 'oldest' ? 0 : 1,
    expType: subscription.expressionType,
    exp: subscription.subString,
    order: false,
    bname: brokerName,
  }
  return await callMaster(context.instance, { topic, brokerName }, popRequests.POP_MESSAGE, { header }, limits)
}

/** Waits until a pop may find messages, up to `pollMs`. False if not. @throws ClientError as `pop` */
export async function awaitMessages(context: PopContext, request: PopRequest, signal: AbortSignal): Promise<boolean> {
  const { subscription, brokerName, queueId, pollMs } = request
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
  const reply = await callMaster(context.instance, { topic, brokerName }, popRequests.NOTIFICATION, { header }, options)
  return reply.header.hasMsg
}
