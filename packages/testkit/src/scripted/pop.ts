import { encodeMessage, isRetryTopic, type popRequests, RETRY_PREFIX, responseCodes as codes } from '@gantrymq/protocol'
import type { Answer, Call } from '@gantrymq/remoting'
import { type BrokerState, offsetKey } from './broker-state.ts'
import { filterOf } from './consume-handlers.ts'
import type { PopQueue } from './pop-ledger.ts'
import { type Found, readQueue } from './read-queue.ts'

type Pop = (typeof popRequests)['POP_MESSAGE']
export type PopHeader = Call<Pop>['header']

/** The revive queue id of ordered pops. */
const ORDERLY = 999

/** The retry topic for popped messages of a topic, in version 1 of its name. */
export function popRetryTopic(topic: string, group: string): string {
  return `${RETRY_PREFIX}${group}_${topic}`
}

/** The popped messages of one queue. */
interface PoppedPart extends PopQueue {
  readonly startOffset: number
  readonly offsets: readonly number[]
  readonly bytes: readonly Buffer[]
}

/** Moves messages that were not acknowledged in time to retry topics: Apache's PopReviveService. */
export function revive(state: BrokerState): void {
  for (const { entry, group, popTime, ...queue } of state.pops.takeExpired(state.now)) {
    const topic = isRetryTopic(queue.topic) ? queue.topic : popRetryTopic(queue.topic, group)
    if (state.topic(topic) === undefined) state.log.setTopic(topic, { readQueues: 1 })
    const { message } = entry
    const properties = new Map(message.properties)
    properties.delete('POP_CK')
    if (!properties.has('1ST_POP_TIME')) properties.set('1ST_POP_TIME', String(popTime))
    const bornTimestamp = Number(message.bornTimestamp)
    const { body, flag, sysFlag, bornHost, reconsumeTimes } = message
    state.put({
      topic,
      queueId: 0,
      body,
      properties,
      flag,
      sysFlag,
      bornTimestamp,
      bornHost,
      reconsumeTimes: reconsumeTimes + 1,
    })
    commitDone(state, { ...queue, group })
  }
}

/** Commits the offset of the group before which all messages are acknowledged. */
export function commitDone(state: BrokerState, queue: PopQueue): void {
  state.offsets.set(offsetKey(queue.topic, queue.group, queue.queueId), state.pops.doneUpTo(queue))
}

/** Pops messages. Retried messages come first; Apache decides that at random. */
export function pop(state: BrokerState, header: PopHeader): Answer<Pop> {
  revive(state)
  const parts: PoppedPart[] = []
  let left = header.maxMsgNums
  for (const queue of queuesOf(state, header)) {
    if (left === 0 || (header.order && state.pops.isBlocked(queue))) continue
    const part = popQueue(state, header, queue, left)
    if (part === null) continue
    parts.push(part)
    left -= part.offsets.length
  }
  const isEmpty = parts.length === 0
  return {
    code: isEmpty ? codes.POLLING_TIMEOUT : codes.SUCCESS,
    remark: isEmpty ? 'NO_MESSAGE_IN_QUEUE' : 'FOUND',
    header: {
      popTime: state.now,
      invisibleTime: header.invisibleTime,
      reviveQid: header.order ? ORDERLY : 0,
      restNum: queuesOf(state, header).reduce((sum, queue) => sum + rest(state, header, queue), 0),
      startOffsetInfo: parts.map(part => `${retryMark(part)} ${part.queueId} ${part.startOffset}`).join(';'),
      msgOffsetInfo: parts.map(part => `${retryMark(part)} ${part.queueId} ${part.offsets.join(',')}`).join(';'),
    },
    body: isEmpty ? null : Buffer.concat(parts.flatMap(({ bytes }) => bytes)),
  }
}

function retryMark({ topic }: PopQueue): string {
  return isRetryTopic(topic) ? '1' : '0'
}

function queuesOf(state: BrokerState, { topic, consumerGroup: group, queueId, order }: PopHeader): PopQueue[] {
  const retry = popRetryTopic(topic, group)
  const retries = order || state.topic(retry) === undefined ? [] : [{ topic: retry, group, queueId: 0 }]
  const count = state.topic(topic)?.readQueues ?? 0
  const ids = queueId >= 0 ? [queueId] : Array.from({ length: count }, (_, id) => id)
  return [...retries, ...ids.map(id => ({ topic, group, queueId: id }))]
}

function popQueue(state: BrokerState, header: PopHeader, queue: PopQueue, max: number): PoppedPart | null {
  const matches = filterOf(queue.topic, header.exp ?? '*', header.expType ?? 'TAG')
  const read = (offset: number): Found => readQueue(state.log, { ...queue, offset, max, matches })
  const first = read(position(state, header, queue))
  const found = first.code === codes.PULL_OFFSET_MOVED ? read(first.nextOffset) : first
  state.pops.skipTo(queue, found.nextOffset)
  for (const entry of found.entries) {
    state.pops.handOut(queue, entry, header.order, state.now, header.invisibleTime)
  }
  commitDone(state, queue)
  const [start] = found.entries
  if (start === undefined) return null
  const offsets = found.entries.map(({ queueOffset }) => queueOffset)
  const part = { ...queue, startOffset: start.queueOffset, offsets }
  return { ...part, bytes: found.entries.map(entry => bytesOf(state, header, part, entry)) }
}

/** The offset at which the pop reads a queue: after the last pop, or the start offset of a new group. */
function position(state: BrokerState, { initMode }: PopHeader, queue: PopQueue): number {
  const { topic, group, queueId } = queue
  const known = state.pops.nextOffset(queue) ?? state.offsets.get(offsetKey(topic, group, queueId))
  if (known !== undefined) return known
  const min = state.log.minOffset(topic, queueId)
  if (initMode === 0 || isRetryTopic(topic) || (min === 0 && state.settings.startsAtZero)) return min
  return Math.max(state.log.maxOffset(topic, queueId) - 1, 0)
}

function rest(state: BrokerState, header: PopHeader, queue: PopQueue): number {
  return Math.max(state.log.maxOffset(queue.topic, queue.queueId) - position(state, header, queue), 0)
}

/** Encodes a message. Retried messages get their original topic and the receipt, which clients cannot build for them. */
function bytesOf(
  state: BrokerState,
  { topic, invisibleTime }: PopHeader,
  part: Omit<PoppedPart, 'bytes'>,
  entry: Found['entries'][number],
): Buffer {
  if (!isRetryTopic(part.topic)) return entry.bytes
  const { name } = state.settings
  const location = `${name} ${part.queueId} ${entry.queueOffset}`
  const receipt = `${part.startOffset} ${state.now} ${invisibleTime} 0 1 ${location}`
  const properties = new Map(entry.message.properties).set('POP_CK', receipt)
  return encodeMessage({ ...entry.message, topic, properties })
}
