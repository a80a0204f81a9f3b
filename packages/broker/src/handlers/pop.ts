import {
  type BatchAck,
  POP_ORDER_REVIVE_QUEUE,
  popTopic,
  type popRequests,
  readPopReceipt,
  responseCodes,
} from '@gantrymq/protocol'
import { type Call, type Eventual, type HandlersFor, held, type Peer, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { checkAck, checkChange, checkPeek, checkPop, type PopTarget } from '../popping/pop-checks.ts'
import type { PopQueue } from '../popping/pop-ledger.ts'
import type { PopRequest } from '../popping/pop-reader.ts'
import { fullReply, type PopAnswer, popReply } from '../popping/pop-reply.ts'
import type { NotificationAnswer, Popping } from '../popping/popping.ts'
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
    const endsAt = bornTime + header.pollTime - BEFORE_END_MS
    const first = pop(request, popping, context)
    return first instanceof Promise
      ? first.then(answer => heldIfEmpty(answer, request, { peer, endsAt, pollMs: header.pollTime }, context))
      : heldIfEmpty(first, request, { peer, endsAt, pollMs: header.pollTime }, context)
  },

  ACK_MESSAGE({ header: { topic, consumerGroup: group, queueId, offset, extraInfo }, peer }, context) {
    const popping = poppingOf(context)
    const queue = { topic, group, queueId }
    const range = rangeOf(queue, context)
    refuse(checkAck({ topic, queueId, offset }, context.topics.get(topic), range, peer.remoteAddress))
    const { popTime, reviveQueueId } = readPopReceipt(extraInfo)
    if (reviveQueueId === POP_ORDER_REVIVE_QUEUE) ackOrdered(queue, offset, popTime, peer, popping, context)
    else popping.acknowledge(queue, offset, popTime)
    return {}
  },

  BATCH_ACK_MESSAGE({ body, peer }, context) {
    const popping = poppingOf(context)
    if (body === null || body.acks.length === 0) throw new ResponseError(NO_MESSAGE, '')
    for (const ack of body.acks) acknowledgeAll(ack, peer, popping, context)
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
    allowed(checkPeek(header, rulesOf(header, peer, context)))
    const { topic, consumerGroup: group, queueId, maxMsgNums: max } = header
    const { rest, records } = await popping.reader.peek({ topic, group, queueId, max })
    if (records.length === 0) return { code: PULL_NOT_FOUND, remark: 'NO_MESSAGE_IN_QUEUE', header: { restNum: rest } }
    const body = Buffer.concat(records)
    context.counts.delivered(topic, group, records.length, body.length)
    return { code: SUCCESS, remark: 'FOUND', header: { restNum: rest }, body }
  },

  NOTIFICATION({ header, peer }, context) {
    const popping = poppingOf(context)
    allowed(checkPeek(header, rulesOf(header, peer, context)))
    return notify(header, peer, popping, context)
  },

  POLLING_INFO({ header, peer }, context) {
    const popping = poppingOf(context)
    allowed(checkPeek(header, rulesOf(header, peer, context)))
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

/** Pops until there is an answer: a promise, if messages must be read from the disk first. */
function pop(request: PopRequest, popping: Popping, context: BrokerContext): PopAnswer | Promise<PopAnswer> {
  const { clock, settings } = context
  const result = popping.reader.pop(request, { now: clock.now(), elapsed: clock.elapsed() })
  if (result instanceof Promise) return result.then(() => pop(request, popping, context))
  return popReply(result, request.topic, settings.options.brokerName)
}

/** Until when a request may wait. */
interface MayWait {
  readonly peer: Peer
  /** Milliseconds since the epoch. */
  readonly endsAt: number
  readonly pollMs: number
}

function heldIfEmpty(
  first: PopAnswer,
  request: PopRequest,
  { peer, endsAt, pollMs }: MayWait,
  context: BrokerContext,
): Eventual<PopAnswer> {
  // biome-ignore format: one thought
  const popping = poppingOf(context)
  const { clock } = context
  const leftMs = endsAt - clock.now()
  if (first.code === SUCCESS || pollMs <= 0 || leftMs <= 0) return first
  const waiting = {
    ...whoWaits(request, peer, popping),
    attempt: (reason: 'arrival' | 'last') => {
      const answer = pop(request, popping, context)
      if (answer instanceof Promise) return answer.then(settled => ifFound(settled, reason))
      return ifFound(answer, reason)
    },
  }
  if (!peer.mayHold || popping.pops.isFull(waiting)) return fullReply(first)
  return held(popping.pops.hold(waiting, clock.elapsed() + leftMs, clock.elapsed()))
}

function ifFound(answer: PopAnswer, reason: 'arrival' | 'last'): PopAnswer | undefined {
  return answer.code === SUCCESS || reason === 'last' ? answer : undefined
}

function notify(
  header: Call<Notification>['header'],
  peer: Peer,
  popping: Popping,
  context: BrokerContext,
): Eventual<NotificationAnswer> {
  // biome-ignore format: one thought
  const { clock } = context
  const { topic, consumerGroup: group, queueId, order: isOrdered, attemptId, pollTime } = header
  const request = { topic, group, queueId, isOrdered, attemptId }
  const hasMessages = (): boolean => popping.reader.hasMessages(request, clock.elapsed())
  const leftMs = (header.bornTime || clock.now()) + pollTime - BEFORE_END_MS - clock.now()
  const hasMsg = hasMessages()
  if (hasMsg || pollTime <= 0 || leftMs <= 0) return { header: { hasMsg } }
  const waiting = {
    ...whoWaits(request, peer, popping),
    attempt(reason: 'arrival' | 'last') {
      const answer = { header: { hasMsg: hasMessages() } }
      return answer.header.hasMsg || reason === 'last' ? answer : undefined
    },
  }
  if (!peer.mayHold || popping.notifications.isFull(waiting)) return { header: { hasMsg, pollingFull: true } }
  return held(popping.notifications.hold(waiting, clock.elapsed() + leftMs, clock.elapsed()))
}

function whoWaits(
  { topic, group, queueId, isOrdered }: Pick<PopRequest, 'topic' | 'group' | 'queueId' | 'isOrdered'>,
  { id }: Peer,
  popping: Popping,
) {
  // biome-ignore format: one thought
  return { topic, group, queueId, peerId: id, retryTopics: isOrdered ? [] : popping.retryTopicsOf(topic, group) }
}

/** Acknowledges messages of one pop and queue. Offsets that the queue does not have are passed over, as in Apache. */
function acknowledgeAll(ack: BatchAck, peer: Peer, popping: Popping, context: BrokerContext): void {
  const { consumerGroup: group, queueId, startOffset, popTime, reviveQueueId, bits } = ack
  const retry = ack.retry === '1' || ack.retry === '2' ? ack.retry : '0'
  const queue = { topic: popTopic(retry, ack.topic, group), group, queueId }
  const { minOffset, maxOffset } = rangeOf(queue, context)
  for (const bit of bits) {
    const offset = startOffset + bit
    if (offset < minOffset || offset > maxOffset) continue
    if (reviveQueueId === POP_ORDER_REVIVE_QUEUE) ackOrdered(queue, offset, popTime, peer, popping, context)
    else popping.acknowledge(queue, offset, popTime)
  }
}

/** Source: Apache's AckMessageProcessor.ackOrderly. @throws ResponseError */
function ackOrdered(
  queue: PopQueue,
  offset: number,
  popTime: number,
  peer: Peer,
  popping: Popping,
  context: BrokerContext,
): void {
  // biome-ignore format: one thought
  const { offsets } = context
  const { topic, group, queueId } = queue
  const committed = offsets.get(topic, group, queueId) ?? -1
  if (offset < committed) return
  const result = popping.acknowledgeOrdered(queue, offset, popTime)
  if (result === 'stale') return
  if (result === 'unknown') {
    const key = `${topic}@${group}@${queueId}`
    const remark = `offset is illegal, key:${key}, old:${committed}, commit:${offset}, next:-1, /${peer.remoteAddress}`
    throw new ResponseError(MESSAGE_ILLEGAL, remark)
  }
  if (!offsets.isReset(topic, group, queueId)) offsets.commit(topic, group, queueId, result.next)
  popping.freed(queue)
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
  // biome-ignore format: one thought
  return store.queue(topic, queueId) ?? { minOffset: 0, maxOffset: 0 }
}

function allowed<T extends object>(checked: T | Refused): T {
  if ('remark' in checked) throw new ResponseError(checked.code, checked.remark)
  return checked
}

function refuse(refused: Refused | undefined): void {
  if (refused !== undefined) throw new ResponseError(refused.code, refused.remark)
}
