import { type consumeRequests, isReadable, pullFlags, responseCodes } from '@gantrymq/protocol'
import { type Call, type Eventual, type HandlersFor, held, type Peer, ResponseError } from '@gantrymq/remoting'
import { Found } from '@gantrymq/store'
import type { ConsumerGroup } from '../clients/client-registry.ts'
import type { BrokerContext } from '../context.ts'
import { isToolGroup } from '../groups/group-table.ts'
import type { TryReason } from '../held-requests.ts'
import { FAQ } from '../remarks.ts'
import { coldBusy } from '../pulling/cold-reads.ts'
import { type HeldPull, heldPullOf, textLengthOf } from '../pulling/held-pull.ts'
import { checkPull, forbiddenBy, type PullAllowed } from '../pulling/pull-checks.ts'
import {
  bodyBytes,
  type PullAnswer,
  type PullHeader,
  type PullRefusal,
  pullReply,
  refusedPull,
  resetReply,
} from '../pulling/pull-reply.ts'

type PullRequests = Pick<typeof consumeRequests, 'PULL_MESSAGE' | 'LITE_PULL_MESSAGE'>

const { NO_PERMISSION, PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY, SUBSCRIPTION_NOT_EXIST, SYSTEM_BUSY } = responseCodes

/** Requests that read messages, and may wait for them: Apache's PullMessageProcessor. */
export const pullHandlers: HandlersFor<PullRequests, BrokerContext> = {
  PULL_MESSAGE: pull,

  LITE_PULL_MESSAGE(call, context) {
    const { litePullMessageEnable, brokerPermission } = context.settings.options
    if (litePullMessageEnable || !isReadable(brokerPermission)) return pull(call, context)
    const remark = `the broker[${context.host()}] for lite pull consumer is forbidden`
    return refusedPull({ code: NO_PERMISSION, remark, forbiddenType: forbiddenBy.broker })
  },
}

/** Most characters of the texts of all held pulls, which consumers make as long as they like: of 200,000 pulls, 335 of each. */
const MAX_HELD_TEXT = 64 << 20

/** One result for all reads: what was found is copied in the same turn. */
const found = new Found()

function pull(
  { header, peer }: Pick<Call<PullRequests['PULL_MESSAGE']>, 'header' | 'peer'>,
  context: BrokerContext,
): Eventual<PullAnswer> {
  const allowed = checkedPull(header, peer, context)
  if ('code' in allowed) return allowed
  commitAlong(header, context)
  const answer = read({ header, peer, offset: header.queueOffset }, allowed, context)
  return answer instanceof Promise
    ? answer.then(settled => heldIfEmpty(settled, header, peer, context))
    : heldIfEmpty(answer, header, peer, context)
}

/**
 * Commits the offset that comes along with a pull. As an offset of its own request, it must not undo a reset that the consumer does not
 * know yet: in Apache it does.
 */
function commitAlong(header: PullHeader, { offsets, settings }: BrokerContext): void {
  const { topic, consumerGroup, queueId, sysFlag, commitOffset } = header
  if ((sysFlag & pullFlags.commitOffset) === 0) return
  if (settings.options.useServerSideResetOffset && offsets.isReset(topic, consumerGroup, queueId)) return
  offsets.commit(topic, consumerGroup, queueId, commitOffset)
}

function heldIfEmpty(answer: PullAnswer, header: PullHeader, peer: Peer, context: BrokerContext): Eventual<PullAnswer> {
  const { heldPulls, settings, clock } = context
  const { longPollingEnable, shortPollingTimeMills, maxHeldPulls } = settings.options
  if (answer.code !== PULL_NOT_FOUND || (header.sysFlag & pullFlags.suspend) === 0) return answer
  // Closed while its pull was read from the disk: it would be held until its time is over.
  if (!peer.isOpen) return answer
  // Answered with PULL_NOT_FOUND, the consumer would pull again at once.
  const isFull = heldPulls.size >= maxHeldPulls || heldPulls.textLength + textLengthOf(header) > MAX_HELD_TEXT
  if (!peer.mayHold || isFull) throw tooManyHeld(heldPulls.size)
  const forMs = longPollingEnable ? header.suspendTimeoutMillis : shortPollingTimeMills
  return held(heldPulls.hold(heldPullOf(header, peer), clock.elapsed(), forMs))
}

function tooManyHeld(count: number): ResponseError {
  const remark = `[OVERLOAD]system busy, start flow control for a while: ${count} pulls wait for messages`
  return new ResponseError(SYSTEM_BUSY, remark)
}

/** Tries to answer a pull that waits for messages, with all checks again: much may have changed. */
export function tryHeldPull(
  pull: HeldPull,
  reason: TryReason,
  context: BrokerContext,
): PullAnswer | undefined | Promise<PullAnswer | undefined> {
  const { header, peer } = pull
  const allowed = checkedPull(header, peer, context)
  if ('code' in allowed) return allowed
  for (;;) {
    const { scanFrom: offset } = pull
    const answer = read({ header, peer, offset }, allowed, context)
    if (answer instanceof Promise) {
      return answer.then(settled => {
        const toSend = answerToHeld(settled, pull, reason)
        return toSend === undefined && hasMore(settled, offset, pull) ? tryHeldPull(pull, reason, context) : toSend
      })
    }
    const toSend = answerToHeld(answer, pull, reason)
    if (toSend !== undefined || !hasMore(answer, offset, pull)) return toSend
  }
}

/** Whether a read from `offset` passed over messages and stopped before the end: one read looks at a limited number of messages. */
function hasMore({ header }: PullAnswer, offset: number, { scanFrom }: HeldPull): boolean {
  return scanFrom > offset && scanFrom < (header?.maxOffset ?? 0)
}

/** The answer, or undefined if the pull waits on. Messages that the consumer does not want answer no pull, but are passed over. */
function answerToHeld(answer: PullAnswer, pull: HeldPull, reason: TryReason): PullAnswer | undefined {
  if (answer.code === PULL_RETRY_IMMEDIATELY && reason === 'arrival') {
    pull.scanFrom = answer.header?.nextBeginOffset ?? pull.scanFrom
    return undefined
  }
  if (answer.code !== PULL_NOT_FOUND) return answer
  if (reason === 'arrival') return undefined
  if (pull.scanFrom === pull.header.queueOffset) return answer
  return { ...answer, code: PULL_RETRY_IMMEDIATELY, remark: 'NO_MATCHED_MESSAGE' }
}

/** What a pull may read, or the answer that refuses it. */
function checkedPull(header: PullHeader, peer: Peer, context: BrokerContext): PullAllowed | PullRefusal {
  const { groups, topics, clients, settings } = context
  const { topic, consumerGroup } = header
  const { brokerPermission, rejectPullConsumerEnable } = settings.options
  const consumers = clients.consumerGroup(consumerGroup)
  const allowed = checkPull(header, {
    brokerPermission,
    brokerIp: context.host(),
    group: groups.find(consumerGroup),
    topic: topics.get(topic),
    consumers,
    isForbidden: groups.isForbidden(consumerGroup, topic),
    consumer: peer.remoteAddress,
  })
  if ('remark' in allowed) return refusedPull(allowed)
  if (!rejectPullConsumerEnable || mayPull(consumerGroup, consumers, peer)) return allowed
  const remark = `the consumer's group info not exist, or the pull consumer is rejected by server.${FAQ}`
  return { code: SUBSCRIPTION_NOT_EXIST, remark }
}

/** Whether a peer may pull for a group in spite of rejectPullConsumerEnable: Apache's last check of a pull. */
function mayPull(group: string, consumers: ConsumerGroup | undefined, peer: Peer): boolean {
  return (
    consumers?.consumeType === 'CONSUME_PASSIVELY' || consumers?.clients.has(peer.id) === true || isToolGroup(group)
  )
}

/** What to read for a pull. */
interface PullRead {
  readonly header: PullHeader
  readonly peer: Peer
  readonly offset: number
}

/** Reads from an offset. A promise, if messages must be read from the disk first. @throws ResponseError if too many wait for it */
function read(pull: PullRead, allowed: PullAllowed, context: BrokerContext): PullAnswer | Promise<PullAnswer> {
  const { coldReads } = context
  const { peer } = pull
  const answer = readLoaded(pull, allowed, context, coldReads.mayWait(peer.id))
  if (!(answer instanceof Promise)) return answer
  return coldReads.answer(peer.id, answer, () => readLoaded(pull, allowed, context, true), bodyBytes)
}

/** Reads what is in memory. A promise for what must be loaded before. @throws ResponseError if nothing may be loaded */
function readLoaded(
  { header, offset }: PullRead,
  { group, topic, accepts }: PullAllowed,
  { store, offsets, counts, settings }: BrokerContext,
  mayLoad: boolean,
): PullAnswer | Promise<void> {
  const { topic: topicName, consumerGroup, queueId, maxMsgNums, maxMsgBytes } = header
  const { slaveReadEnable, useServerSideResetOffset } = settings.options
  const rules = { group, slaveReadEnable, topicSysFlag: topic.topicSysFlag }
  // Looked up at each read: the topic may have been deleted, and created again, while the pull waited.
  const queue = store.queueFor(topicName, queueId)
  const reset = useServerSideResetOffset ? offsets.takeReset(topicName, consumerGroup, queueId) : undefined
  if (reset !== undefined) return resetReply(reset, queue, rules)
  const maxBytes = maxMsgBytes ?? Number.MAX_SAFE_INTEGER
  if (store.read({ queue, offset, maxMessages: maxMsgNums, maxBytes, accepts, mayLoad }, found) === 'LOADING') {
    if (found.loading === undefined) throw coldBusy()
    return found.loading
  }
  if (found.count > 0) counts.delivered(topicName, consumerGroup, found.count, found.bytes)
  else counts.foundNone()
  return pullReply(found, offset, rules)
}
