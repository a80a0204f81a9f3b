import {
  type BatchAck,
  POP_ORDER_REVIVE_QUEUE,
  popTopic,
  type popRequests,
  readPopReceipt,
  responseCodes,
} from '@gantrymq/protocol'
import {
  type Call,
  type Eventual,
  type HandlersFor,
  type Held,
  held,
  type Peer,
  ResponseError,
} from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import type { HeldRequest, TryReason } from '../held-requests.ts'
import { checkAck, checkChange, checkPeek, checkPop, type PopTarget } from '../popping/pop-checks.ts'
import type { PopQueue } from '../popping/pop-ledger.ts'
import type { PopRequest } from '../popping/pop-reader.ts'
import { fullReply, type PopAnswer, popReply } from '../popping/pop-reply.ts'
import { isFull, type NotificationAnswer, type Popping } from '../popping/popping.ts'
import { coldBusy } from '../pulling/cold-reads.ts'
import { refusal } from '../sending/incoming-message.ts'
import type { Refused } from '../sending/send-checks.ts'

type Notification = (typeof popRequests)['NOTIFICATION']
type PopHandlers = HandlersFor<
  Pick<
    typeof popRequests,
    | 'POP_MESSAGE'
    | 'ACK_MESSAGE'
    | 'BATCH_ACK_MESSAGE'
    | 'CHANGE_MESSAGE_INVISIBLETIME'
    | 'PEEK_MESSAGE'
    | 'NOTIFICATION'
    | 'POLLING_INFO'
  >,
  BrokerContext
>

const { MESSAGE_ILLEGAL, NO_MESSAGE, PULL_NOT_FOUND, SUCCESS, SYSTEM_ERROR } = responseCodes

/** A waiting request is answered this long before its consumer gives up, milliseconds (Apache's PopRequest.isTimeout). */
const BEFORE_END_MS = 50

/**
 * Consumption by pop: Apache's PopMessageProcessor, AckMessageProcessor, ChangeInvisibleTimeProcessor, PeekMessageProcessor,
 * NotificationProcessor and PollingInfoProcessor. A broker with a folder refuses it.
 */
export const popHandlers: PopHandlers = {
  POP_MESSAGE({ header, peer }, context) {
    const popping = poppingOf(context)
    const bornTime = header.bornTime || context.clock.now()
    const { accepts } = allowed(checkPop({ ...header, bornTime }, rulesOf(header, peer, context), context.clock.now()))
    const request = {
      topic: header.topic,
      group: header.consumerGroup,
      queueId: header.queueId,
      max: header.maxMsgNums,
      invisibleMs: header.invisibleTime,
      initMode: header.initMode,
      isOrdered: header.order,
      attemptId: header.attemptId,
      accepts,
    }
    const waits = { peer, pollMs: header.pollTime, endsAt: bornTime + header.pollTime - BEFORE_END_MS }
    return popOrHold(request, waits, popping, context)
  },

  ACK_MESSAGE({ header: { topic, consumerGroup: group, queueId, offset, extraInfo }, peer }, context) {
    const popping = poppingOf(context)
    const queue = { topic, group, queueId }
    const range = rangeOf(queue, context)
    refuse(checkAck({ topic, queueId, offset }, context.topics.get(topic), range, peer.remoteAddress))
    const { popTime, reviveQueueId } = readPopReceipt(extraInfo)
    const isOrdered = reviveQueueId === POP_ORDER_REVIVE_QUEUE
    const unknown = acknowledge({ queue, offset, popTime, isOrdered }, peer, popping, context)
    if (unknown !== undefined) throw unknown
    return {}
  },

  BATCH_ACK_MESSAGE({ body, peer }, context) {
    const popping = poppingOf(context)
    if (body === null || body.acks.length === 0) throw new ResponseError(NO_MESSAGE, '')
    let unknown: ResponseError | undefined
    for (const ack of body.acks) {
      for (const each of acksIn(ack, context)) unknown = acknowledge(each, peer, popping, context) ?? unknown
    }
    // As in Apache, all others are acknowledged.
    if (unknown !== undefined) throw unknown
    return {}
  },

  CHANGE_MESSAGE_INVISIBLETIME({ header, peer }, context) {
    const popping = poppingOf(context)
    const { topic, consumerGroup: group, queueId, offset, extraInfo, invisibleTime } = header
    const queue = { topic, group, queueId }
    const { topics, offsets, clock } = context
    refuse(checkChange({ topic, queueId, offset }, topics.get(topic), rangeOf(queue, context), peer.remoteAddress))
    const { popTime, reviveQueueId } = readPopReceipt(extraInfo)
    const now = clock.now()
    if (reviveQueueId !== POP_ORDER_REVIVE_QUEUE) {
      popping.postpone(queue, offset, popTime, { popTime: now, invisibleMs: invisibleTime })
      return { header: { popTime: now, invisibleTime, reviveQid: reviveQueueId } }
    }
    if (offset < (offsets.get(topic, group, queueId) ?? 0)) return {}
    popping.postponeOrdered(queue, offset, popTime, invisibleTime)
    return { header: { popTime, invisibleTime: now + invisibleTime - popTime, reviveQid: reviveQueueId } }
  },

  async PEEK_MESSAGE({ header, peer }, context) {
    const popping = poppingOf(context)
    refuse(checkPeek(header, rulesOf(header, peer, context)))
    const { topic, consumerGroup: group, queueId, maxMsgNums: max } = header
    const peek = () => popping.reader.peek({ topic, group, queueId, max })
    const { rest, records } = await context.coldReads.query(peer.id, peek)
    if (records.length === 0) return { code: PULL_NOT_FOUND, remark: 'NO_MESSAGE_IN_QUEUE', header: { restNum: rest } }
    const body = Buffer.concat(records)
    context.counts.delivered(topic, group, records.length, body.length)
    return { code: SUCCESS, remark: 'FOUND', header: { restNum: rest }, body }
  },

  NOTIFICATION({ header, peer }, context) {
    const popping = poppingOf(context)
    refuse(checkPeek(header, rulesOf(header, peer, context)))
    return notify(header, peer, popping, context)
  },

  POLLING_INFO({ header, peer }, context) {
    const popping = poppingOf(context)
    refuse(checkPeek(header, rulesOf(header, peer, context)))
    return { header: { pollingNum: popping.pops.count(header.topic, header.consumerGroup, header.queueId) } }
  },
}

/** Why a broker with a folder does not pop. */
const IN_MEMORY_ONLY =
  'this broker keeps its messages in a folder, and what was popped only in memory; consumers can pull, or start a broker with --memory'

/** @throws ResponseError with the code of an Apache broker whose timerWheelEnable is false */
export function poppingOf({ popping, host }: BrokerContext): Popping {
  if (popping !== undefined) return popping
  const remark = `the broker[${host()}] pop message is forbidden because timerWheelEnable is false: ${IN_MEMORY_ONLY}`
  throw new ResponseError(SYSTEM_ERROR, remark)
}

/** Pops once. A promise, if messages must be read from the disk first: then try again. */
function pop(request: PopRequest, popping: Popping, { clock, settings }: BrokerContext): PopAnswer | Promise<void> {
  const result = popping.reader.pop(request, { now: clock.now(), elapsed: clock.elapsed() })
  return result instanceof Promise ? result : popReply(result, request.topic, settings.options.brokerName)
}

/** How long a request may wait. */
interface Waits {
  readonly peer: Peer
  /** Milliseconds; 0 or less: not at all. */
  readonly pollMs: number
  /** Milliseconds since the epoch. */
  readonly endsAt: number
}

/** Pops. A request whose messages must be read from the disk first waits for them like a pull. */
function popOrHold(request: PopRequest, waits: Waits, popping: Popping, context: BrokerContext): Eventual<PopAnswer> {
  const { coldReads } = context
  const { id } = waits.peer
  const attempt = (): PopAnswer | Held<PopAnswer> | Promise<void> => {
    const answer = pop(request, popping, context)
    return answer instanceof Promise ? answer : heldIfEmpty(answer, request, waits, popping, context)
  }
  const first = attempt()
  if (!(first instanceof Promise)) return first
  if (coldReads.mayWait(id)) return coldReads.answer(id, first, attempt, bytesOf)
  first.catch(() => {})
  throw coldBusy()
}

/** Holds a pop without messages. It is called in the turn of the pop, so that the pop misses no arrival. */
function heldIfEmpty(
  answer: PopAnswer,
  request: PopRequest,
  waits: Waits,
  popping: Popping,
  context: BrokerContext,
): PopAnswer | Held<PopAnswer> {
  const { clock } = context
  const leftMs = waits.endsAt - clock.now()
  if (answer.code === SUCCESS || waits.pollMs <= 0 || leftMs <= 0) return answer
  // Closed while its pop was read from the disk: it would be held until its time is over.
  if (!waits.peer.isOpen) return answer
  const attempt = (reason: TryReason): PopAnswer | undefined | Promise<PopAnswer | undefined> => {
    const again = pop(request, popping, context)
    return again instanceof Promise ? again.then(() => attempt(reason)) : ifFound(again, reason)
  }
  const waiting = { ...heldRequest(request, waits.peer, popping), attempt }
  if (!waits.peer.mayHold || isFull(popping.pops, waiting)) return fullReply(answer)
  return held(popping.pops.hold(waiting, clock.elapsed(), leftMs))
}

/** Of an answer; one that is held has none yet. */
function bytesOf(answer: PopAnswer | Held<PopAnswer>): number {
  return 'body' in answer ? (answer.body?.length ?? 0) : 0
}

function ifFound(answer: PopAnswer, reason: TryReason): PopAnswer | undefined {
  return answer.code === SUCCESS || reason === 'last' ? answer : undefined
}

function notify(
  header: Call<Notification>['header'],
  peer: Peer,
  popping: Popping,
  context: BrokerContext,
): Eventual<NotificationAnswer> {
  const { clock } = context
  const { topic, consumerGroup: group, queueId, order: isOrdered, attemptId, pollTime } = header
  const request = { topic, group, queueId, isOrdered, attemptId }
  const hasMessages = (): boolean => popping.reader.hasMessages(request, clock.elapsed())
  const leftMs = (header.bornTime || clock.now()) + pollTime - BEFORE_END_MS - clock.now()
  const hasMsg = hasMessages()
  if (hasMsg || pollTime <= 0 || leftMs <= 0) return { header: { hasMsg } }
  const waiting = {
    ...heldRequest(request, peer, popping),
    attempt(reason: TryReason) {
      const answer = { header: { hasMsg: hasMessages() } }
      return answer.header.hasMsg || reason === 'last' ? answer : undefined
    },
  }
  if (!peer.mayHold || isFull(popping.notifications, waiting)) return { header: { hasMsg, pollingFull: true } }
  return held(popping.notifications.hold(waiting, clock.elapsed(), leftMs))
}

function heldRequest(
  { topic, group, queueId, isOrdered }: Pick<PopRequest, 'topic' | 'group' | 'queueId' | 'isOrdered'>,
  peer: Peer,
  popping: Popping,
): HeldRequest {
  return { topic, group, queueId, peer, retryTopics: isOrdered ? [] : popping.retryTopicsOf(topic, group) }
}

/** An acknowledged message. */
interface Ack {
  readonly queue: PopQueue
  readonly offset: number
  readonly popTime: number
  readonly isOrdered: boolean
}

/** The messages that one entry of a batch acknowledges. Offsets that the queue does not have are left out, as in Apache. */
function* acksIn(ack: BatchAck, context: BrokerContext): Generator<Ack> {
  const { consumerGroup: group, queueId, startOffset, popTime, reviveQueueId, bits } = ack
  const retry = ack.retry === '1' || ack.retry === '2' ? ack.retry : '0'
  const queue = { topic: popTopic(retry, ack.topic, group), group, queueId }
  const { minOffset, maxOffset } = rangeOf(queue, context)
  const isOrdered = reviveQueueId === POP_ORDER_REVIVE_QUEUE
  for (const bit of bits) {
    const offset = startOffset + bit
    if (offset >= minOffset && offset <= maxOffset) yield { queue, offset, popTime, isOrdered }
  }
}

/** @returns the refusal of an ordered message that the group has not popped */
function acknowledge(ack: Ack, peer: Peer, popping: Popping, context: BrokerContext): ResponseError | undefined {
  if (ack.isOrdered) return acknowledgeOrdered(ack, peer, popping, context)
  popping.acknowledge(ack.queue, ack.offset, ack.popTime)
  return undefined
}

/** Source: Apache's AckMessageProcessor.ackOrderly. */
function acknowledgeOrdered(
  { queue, offset, popTime }: Ack,
  { remoteAddress }: Peer,
  popping: Popping,
  { offsets }: BrokerContext,
): ResponseError | undefined {
  const { topic, group, queueId } = queue
  const committed = offsets.get(topic, group, queueId) ?? -1
  if (offset < committed) return undefined
  const result = popping.acknowledgeOrdered(queue, offset, popTime)
  if (result === 'stale') return undefined
  if (result === 'unknown') {
    const key = `${topic}@${group}@${queueId}`
    const remark = `offset is illegal, key:${key}, old:${committed}, commit:${offset}, next:-1, /${remoteAddress}`
    return new ResponseError(MESSAGE_ILLEGAL, remark)
  }
  if (!offsets.isReset(topic, group, queueId)) offsets.commit(topic, group, queueId, result.next)
  popping.freed(queue)
  return undefined
}

function rulesOf({ topic, consumerGroup }: PopTarget, peer: Peer, { settings, host, groups, topics }: BrokerContext) {
  const { brokerPermission } = settings.options
  const group = groups.find(consumerGroup)
  return { brokerPermission, brokerIp: host(), group, topic: topics.get(topic), consumer: peer.remoteAddress }
}

function rangeOf(
  { topic, queueId }: PopQueue,
  { store }: BrokerContext,
): { readonly minOffset: number; readonly maxOffset: number } {
  return store.queue(topic, queueId) ?? { minOffset: 0, maxOffset: 0 }
}

function allowed<T extends object>(checked: T | Refused): T {
  if ('remark' in checked) throw refusal(checked)
  return checked
}

function refuse(refused: Refused | undefined): void {
  if (refused !== undefined) throw refusal(refused)
}
