import {
  consumeRequests,
  matchesTags,
  type MessageView,
  readMessages,
  responseCodes,
  type SubscriptionData,
  V5_0_0,
} from '@gantrymq/protocol'
import type { Long, Reply } from '@gantrymq/remoting'
import { findReadAddress } from '../../routes/find-broker.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { pullChannel, tracePull } from '../../diagnostics.ts'
import { Deadline } from '../../deadline.ts'
import type { CallOptions, MessageQueue } from '../../message/message.ts'
import type { ConsumeStats } from './consume-stats.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'

/**
 * What a pull found: messages; nothing from this offset on; nothing that the filter wants, as far as the broker looked; or
 * no such offset, with one to go on from. Apache's PullStatus.
 */
export type PullStatus = 'FOUND' | 'NO_NEW_MSG' | 'NO_MATCHED_MSG' | 'OFFSET_ILLEGAL'

/** The answer to a pull. */
export interface PullResult<Body> {
  readonly status: PullStatus
  /** Where to pull next. */
  readonly nextOffset: number
  /** Offset of the queue's oldest message. */
  readonly minOffset: number
  /** Offset that its next message will have. */
  readonly maxOffset: number
  /** May be empty although the status is FOUND: what only shared the hash of a wanted tag is left out. */
  readonly messages: readonly ReceivedMessage<Body>[]
}

/** Who pulls. */
export interface PullContext<Body> {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  readonly stats: ConsumeStats
  readonly toMessage: (view: MessageView, queue: MessageQueue) => ReceivedMessage<Body>
}

/** What to pull. */
export interface PullAsk {
  readonly queue: MessageQueue
  readonly subscription: SubscriptionData
  readonly offset: number
  readonly max: number
  readonly maxBytes: number | undefined
  /** How long the broker may hold the pull when there is nothing, milliseconds; 0: not at all. */
  readonly suspendMs: number
  /** The broker that the last pull of the queue suggested; 0 is the master. */
  readonly brokerId: Long
  /** Told as a lite pull, which brokers of 5.x count and limit apart. */
  readonly isLite: boolean
}

type PullReply = Reply<typeof consumeRequests.PULL_MESSAGE>

const SUSPEND = 2
const WITH_SUBSCRIPTION = 4
const LITE = 16

const STATUSES: Readonly<Record<number, PullStatus>> = {
  [responseCodes.SUCCESS]: 'FOUND',
  [responseCodes.PULL_NOT_FOUND]: 'NO_NEW_MSG',
  [responseCodes.PULL_RETRY_IMMEDIATELY]: 'NO_MATCHED_MSG',
  [responseCodes.PULL_OFFSET_MOVED]: 'OFFSET_ILLEGAL',
}

/**
 * Pulls once. Nothing is committed by it.
 * @throws ClientError BROKER_MISSING, and as `ClientInstance.call`
 */
export async function pullQueue<Body>(
  context: PullContext<Body>,
  ask: PullAsk,
  options: CallOptions,
): Promise<PullResult<Body> & { readonly suggestedBrokerId: number }> {
  const { stats, instance } = context
  const started = instance.clock.elapsed()
  const { header, body, code } = await traced(context, ask, options)
  const isFound = code === responseCodes.SUCCESS && body !== null
  const messages = isFound ? await messagesOf(context, ask, body) : []
  stats.pulled(ask.queue.topic, messages.length, instance.clock.elapsed() - started)
  return {
    status: STATUSES[code] ?? 'NO_NEW_MSG',
    nextOffset: header.nextBeginOffset,
    minOffset: header.minOffset,
    maxOffset: header.maxOffset,
    suggestedBrokerId: header.suggestWhichBrokerId,
    messages,
  }
}

async function traced<Body>(context: PullContext<Body>, ask: PullAsk, options: CallOptions): Promise<PullReply> {
  if (!pullChannel.hasSubscribers) return await call(context, ask, options)
  const { instance, group } = context
  const { clientId } = instance
  const { namespace } = instance.options
  const { queue, offset } = ask
  return await tracePull({ clientId, namespace, group, queue, offset }, () => call(context, ask, options))
}

async function call<Body>(context: PullContext<Body>, ask: PullAsk, options: CallOptions): Promise<PullReply> {
  const { instance, group } = context
  const { queue, subscription, suspendMs, isLite } = ask
  const { topic, queueId, brokerName } = queue
  const { clock, options: own } = instance
  const deadline = Deadline.of(clock, options, own.requestTimeoutMs)
  const { address, version } = await findReadAddress(instance, queue, ask.brokerId, deadline)
  const header = {
    consumerGroup: group,
    topic,
    queueId,
    queueOffset: ask.offset,
    maxMsgNums: ask.max,
    sysFlag: WITH_SUBSCRIPTION | (suspendMs > 0 ? SUSPEND : 0) | (isLite ? LITE : 0),
    commitOffset: 0,
    suspendTimeoutMillis: suspendMs,
    subscription: subscription.subString,
    subVersion: subscription.expressionType === 'TAG' ? 0 : subscription.subVersion,
    expressionType: subscription.expressionType,
    maxMsgBytes: ask.maxBytes,
    bname: brokerName,
  }
  // Before the first heartbeat the version is not known: all brokers know the plain pull.
  const { LITE_PULL_MESSAGE, PULL_MESSAGE } = consumeRequests
  const declaration = isLite && version >= V5_0_0 ? LITE_PULL_MESSAGE : PULL_MESSAGE
  const reply = await instance.call(address, declaration, { header }, deadline.options())
  instance.brokers.setVersion(brokerName, address, reply.command.version)
  return reply
}

async function messagesOf<Body>(
  { instance, group, stats, toMessage }: PullContext<Body>,
  { queue, subscription }: PullAsk,
  body: Buffer,
): Promise<ReceivedMessage<Body>[]> {
  const views = readMessages(body, corrupt => {
    stats.skipped++
    instance.log.error({ group, ...queue, ...corrupt }, 'corrupt message skipped')
  })
  const { tagsSet } = subscription
  const wanted = tagsSet.length === 0 ? views : views.filter(view => matchesTags(subscription, view.property('TAGS')))
  await unpack(wanted)
  return wanted.map(view => toMessage(view, queue))
}

/** Decompresses bodies beside the event loop. What cannot be is left: its `body` says why. */
export async function unpack(views: readonly MessageView[]): Promise<void> {
  for (const view of views) if (view.compression !== null) await view.readBody().catch(() => {})
}
