import {
  consumeRequests,
  matchesTags,
  type MessageView,
  PROPERTY,
  pullFlags,
  readMessages,
  responseCodes,
  type SubscriptionData,
  V5_0_0,
} from '@gantrymq/protocol'
import type { Long, Reply } from '@gantrymq/remoting'
import { Deadline } from '../../deadline.ts'
import { pullChannel, tracePull } from '../../diagnostics.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { CallOptions, MessageQueue } from '../../message/message.ts'
import type { MessageMaker, ReceivedMessage } from '../../message/received-message.ts'
import { findReadAddress } from '../../routes/find-broker.ts'
import type { ConsumptionStats } from './consumption-stats.ts'

/**
 * What a pull found: messages (FOUND), nothing at or after the offset (NO_NEW_MSG), nothing that matches the filter as far as
 * the broker looked (NO_MATCHED_MSG), or that the queue has no such offset (OFFSET_ILLEGAL; `nextOffset` says where to go
 * on). Apache's PullStatus.
 */
export type PullStatus = 'FOUND' | 'NO_NEW_MSG' | 'NO_MATCHED_MSG' | 'OFFSET_ILLEGAL'

/** The result of a pull. */
export interface PullResult<Body> {
  readonly status: PullStatus
  /** The offset to pull next. */
  readonly nextOffset: number
  /** The offset of the queue's oldest message. */
  readonly minOffset: number
  /** The offset that the queue's next message will get. */
  readonly maxOffset: number
  /** Can be empty although the status is FOUND: messages whose tag only has the same hash as a wanted one are left out. */
  readonly messages: readonly ReceivedMessage<Body>[]
}

/** The consumer that pulls. */
export interface PullContext<Body> {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  readonly stats: ConsumptionStats
  readonly toMessage: MessageMaker<Body>
}

/** What to pull. */
export interface PullRequest {
  readonly queue: MessageQueue
  readonly subscription: SubscriptionData
  readonly offset: number
  readonly max: number
  readonly maxBytes: number | undefined
  /** How long the broker may hold the pull if it finds nothing, in milliseconds; 0: it answers at once. */
  readonly suspendMs: number
  /** The id of the broker that the last reply suggested; 0 is the master. */
  readonly brokerId: Long
  /** Marks the pull as a lite pull, which brokers of 5.x count and limit separately. */
  readonly isLite: boolean
}

export type PullReply = Reply<typeof consumeRequests.PULL_MESSAGE>

const STATUSES: Readonly<Record<number, PullStatus>> = {
  [responseCodes.SUCCESS]: 'FOUND',
  [responseCodes.PULL_NOT_FOUND]: 'NO_NEW_MSG',
  [responseCodes.PULL_RETRY_IMMEDIATELY]: 'NO_MATCHED_MSG',
  [responseCodes.PULL_OFFSET_MOVED]: 'OFFSET_ILLEGAL',
}

/**
 * Pulls once. It commits no offset.
 * @throws ClientError BROKER_MISSING, and as `ClientInstance.call`
 */
export async function pullQueue<Body>(
  context: PullContext<Body>,
  request: PullRequest,
  options: CallOptions,
): Promise<PullResult<Body> & { readonly suggestedBrokerId: number }> {
  const { stats, instance } = context
  const started = instance.clock.elapsed()
  const reply = await traced(context, request, options)
  const { header, code } = reply
  const { views, nextOffset } = readPulled(context, request, reply)
  await decompress(views)
  const messages = views.map(view => context.toMessage(view, request.queue))
  stats.pulled(request.queue.topic, messages.length, instance.clock.elapsed() - started)
  return {
    status: STATUSES[code] ?? 'NO_NEW_MSG',
    nextOffset,
    minOffset: header.minOffset,
    maxOffset: header.maxOffset,
    suggestedBrokerId: header.suggestWhichBrokerId,
    messages,
  }
}

/** The messages of a reply that match the filter, and the offset to pull next. Messages that cannot be read are reported. */
export function readPulled(
  { instance, group, stats }: Pick<PullContext<never>, 'instance' | 'group' | 'stats'>,
  { queue, subscription, offset }: Pick<PullRequest, 'queue' | 'subscription' | 'offset'>,
  { header, body, code }: PullReply,
): { readonly views: readonly MessageView[]; readonly nextOffset: number } {
  const nextOffset = header.nextBeginOffset
  if (body === null || code !== responseCodes.SUCCESS) return { views: [], nextOffset }
  let isCutOff = false
  const all = readMessages(body, corrupt => {
    stats.skipped++
    instance.log.error({ group, ...queue, ...corrupt }, 'corrupt message skipped')
    if (corrupt.queueOffset === undefined) isCutOff = true
  })
  const views =
    subscription.tagsSet.length === 0
      ? all
      : all.filter(view => matchesTags(subscription, view.property(PROPERTY.TAGS)))
  if (!isCutOff) return { views, nextOffset }
  // The rest of the body cannot be read. It is pulled again, except for one message if not even the first can be read.
  return { views, nextOffset: Math.min(nextOffset, (all.at(-1)?.queueOffset ?? offset) + 1) }
}

async function traced<Body>(
  context: PullContext<Body>,
  request: PullRequest,
  options: CallOptions,
): Promise<PullReply> {
  if (!pullChannel.hasSubscribers) return await call(context, request, options)
  const { instance, group } = context
  const { clientId } = instance
  const { namespace } = instance.options
  const { queue, offset } = request
  return await tracePull({ clientId, namespace, group, queue, offset }, () => call(context, request, options))
}

async function call<Body>(context: PullContext<Body>, request: PullRequest, options: CallOptions): Promise<PullReply> {
  const { instance, group } = context
  const { queue, subscription, suspendMs, isLite } = request
  const { topic, queueId, brokerName } = queue
  const { clock, options: own } = instance
  const deadline = Deadline.of(clock, options, own.requestTimeoutMs)
  const { address, version } = await findReadAddress(instance, queue, request.brokerId, deadline)
  const header = {
    consumerGroup: group,
    topic,
    queueId,
    queueOffset: request.offset,
    maxMsgNums: request.max,
    sysFlag: pullFlags.subscription | (suspendMs > 0 ? pullFlags.suspend : 0) | (isLite ? pullFlags.litePull : 0),
    commitOffset: 0,
    suspendTimeoutMillis: suspendMs,
    subscription: subscription.subString,
    subVersion: subscription.expressionType === 'TAG' ? 0 : subscription.subVersion,
    expressionType: subscription.expressionType,
    maxMsgBytes: request.maxBytes,
    bname: brokerName,
  }
  // The version is unknown before the first heartbeat, and every broker accepts the plain pull.
  const { LITE_PULL_MESSAGE, PULL_MESSAGE } = consumeRequests
  const declaration = isLite && version >= V5_0_0 ? LITE_PULL_MESSAGE : PULL_MESSAGE
  const reply = await instance.call(address, declaration, { header }, deadline.options())
  instance.brokers.setVersion(brokerName, address, reply.command.version)
  return reply
}

/** Decompresses bodies in the thread pool. A body that cannot be decompressed is left alone: reading it throws the reason. */
export async function decompress(views: readonly MessageView[]): Promise<void> {
  for (const view of views) if (view.compression !== null) await view.readBody().catch(() => {})
}
