import { isRetryTopic, type MessageQueue, type popRequests, responseCodes as codes } from '@gantrymq/protocol'
import { type Answer, type HandlersFor, held, ResponseError } from '@gantrymq/remoting'
import { type BrokerState, offsetKey } from './broker-state.ts'
import { checkReadable } from './consume-handlers.ts'
import { commitDone, pop, popRetryTopic, revive } from './pop.ts'
import { readQueue } from './read-queue.ts'

/** How often a waiting pop is checked, milliseconds: Apache's reviveInterval. */
const CHECK_EVERY_MS = 1000
const MAX_POP = 32

/** The time of a receipt's pop. */
function popTimeOf(receipt: string): number {
  return Number(receipt.split(' ')[1])
}

export const popHandlers: HandlersFor<typeof popRequests, BrokerState> = {
  POP_MESSAGE({ header, peer }, state) {
    if (header.maxMsgNums > MAX_POP) {
      throw new ResponseError(codes.INVALID_PARAMETER, `the broker pop message's num is greater than ${MAX_POP}`)
    }
    checkReadable(state, header.topic, header.queueId)
    const first = pop(state, header)
    if (first.code === codes.SUCCESS || header.pollTime <= 0 || !peer.mayHold) return first
    const waiting = new Promise<typeof first>(resolve => {
      const wait = { key: `pop ${header.topic}`, peerId: peer.id, everyMs: CHECK_EVERY_MS, timeoutMs: header.pollTime }
      state.waiting.hold(wait, reason => {
        const now = pop(state, header)
        if (reason !== 'last' && now.code !== codes.SUCCESS) return false
        resolve(now)
        return true
      })
    })
    return held(waiting)
  },

  ACK_MESSAGE({ header: { topic, consumerGroup: group, queueId, offset, extraInfo } }, state) {
    checkOffset(state, topic, queueId, offset)
    acknowledge(state, { topic, group, queueId }, offset, popTimeOf(extraInfo))
    return {}
  },

  BATCH_ACK_MESSAGE({ body }, state) {
    for (const { consumerGroup: group, queueId, popTime, ...ack } of body?.acks ?? []) {
      const topic = ack.retry === '1' ? popRetryTopic(ack.topic, group) : ack.topic
      for (const bit of ack.bits) acknowledge(state, { topic, group, queueId }, ack.startOffset + bit, popTime)
    }
    return {}
  },

  CHANGE_MESSAGE_INVISIBLETIME({ header }, state) {
    const { topic, consumerGroup: group, queueId, offset, extraInfo, invisibleTime } = header
    checkOffset(state, topic, queueId, offset)
    const popTime = popTimeOf(extraInfo)
    state.pops.postpone({ topic, group, queueId }, offset, popTime, state.now, invisibleTime)
    return { header: { popTime: state.now, invisibleTime, reviveQid: Number(extraInfo.split(' ')[3] ?? 0) } }
  },

  PEEK_MESSAGE({ header: { topic, queueId, maxMsgNums, consumerGroup } }, state) {
    checkReadable(state, topic, queueId)
    const offset = state.offsets.get(offsetKey(topic, consumerGroup, queueId)) ?? state.log.minOffset(topic, queueId)
    const found = readQueue(state.log, { topic, queueId, offset, max: maxMsgNums, matches: () => true })
    const header = { popTime: state.now, restNum: state.log.maxOffset(topic, queueId) - found.nextOffset }
    const body = found.entries.length === 0 ? null : Buffer.concat(found.entries.map(({ bytes }) => bytes))
    return { code: found.code, remark: found.status, header, body }
  },

  NOTIFICATION({ header: { topic, consumerGroup: group, queueId, pollTime }, peer }, state) {
    const ids = queueId >= 0 ? [queueId] : Array.from({ length: state.topic(topic)?.readQueues ?? 0 }, (_, id) => id)
    const hasMessage = (): boolean =>
      ids.some(id => state.log.maxOffset(topic, id) > (state.pops.nextOffset({ topic, group, queueId: id }) ?? 0))
    revive(state)
    if (hasMessage() || pollTime <= 0 || !peer.mayHold) return { header: { hasMsg: hasMessage() } }
    const waiting = new Promise<Answer<(typeof popRequests)['NOTIFICATION']>>(resolve => {
      const wait = { key: `pop ${topic}`, peerId: peer.id, everyMs: CHECK_EVERY_MS, timeoutMs: pollTime }
      state.waiting.hold(wait, reason => {
        if (reason !== 'last' && !hasMessage()) return false
        resolve({ header: { hasMsg: hasMessage() } })
        return true
      })
    })
    return held(waiting)
  },

  POLLING_INFO: (_call, state) => ({ header: { pollingNum: state.waiting.size } }),

  QUERY_ASSIGNMENT({ body }, state) {
    if (body === null) throw new ResponseError(codes.SYSTEM_ERROR, 'no body')
    const { topic, consumerGroup, clientId, messageModel } = body
    const clients = state.members.consumerIds(consumerGroup).toSorted()
    const queues = allQueues(state, topic)
    // A client keeps its queues if the list is missing; an empty list would remove all of them.
    if (queues.length === 0 || clients.length === 0) return { body: Buffer.from('{}') }
    const wanted = state.requestModes.get(`${topic}@${consumerGroup}`)
    const mode = isRetryTopic(topic) ? 'PULL' : (wanted?.mode ?? 'PULL')
    const share = wanted?.popShareQueueNum ?? 0
    const assigned =
      messageModel === 'BROADCASTING'
        ? queues
        : mode === 'POP' && (share <= 0 || share >= clients.length - 1)
          ? anyQueue(queues)
          : average(queues, clients, clientId)
    return { body: { messageQueueAssignments: assigned.map(messageQueue => ({ messageQueue, mode })) } }
  },

  SET_MESSAGE_REQUEST_MODE({ body }, state) {
    if (body === null) throw new ResponseError(codes.SYSTEM_ERROR, 'no body')
    if (isRetryTopic(body.topic)) {
      throw new ResponseError(codes.NO_PERMISSION, 'retry topic is not allowed to set mode')
    }
    state.requestModes.set(`${body.topic}@${body.consumerGroup}`, body)
    return {}
  },
}

function acknowledge(
  state: BrokerState,
  queue: { topic: string; group: string; queueId: number },
  offset: number,
  popTime: number,
): void {
  state.pops.acknowledge(queue, offset, popTime)
  commitDone(state, queue)
}

function checkOffset(state: BrokerState, topic: string, queueId: number, offset: number): void {
  checkReadable(state, topic, queueId)
  const min = state.log.minOffset(topic, queueId)
  const max = state.log.maxOffset(topic, queueId)
  if (offset >= min && offset <= max) return
  const text = `offset is illegal, key:${topic}@${queueId}, commit:${offset}, store:${min}~${max}`
  throw new ResponseError(codes.NO_MESSAGE, text)
}

function allQueues(state: BrokerState, topic: string): MessageQueue[] {
  const { queueDatas = [] } = state.settings.routeOf(topic) ?? {}
  return queueDatas
    .flatMap(({ brokerName, readQueueNums }) =>
      Array.from({ length: readQueueNums }, (_, queueId) => ({ topic, brokerName, queueId })),
    )
    .toSorted((a, b) => a.brokerName.localeCompare(b.brokerName) || a.queueId - b.queueId)
}

/** One queue for each broker; the queue id -1 means all queues of the broker. */
function anyQueue(queues: readonly MessageQueue[]): MessageQueue[] {
  const names = [...new Set(queues.map(({ brokerName }) => brokerName))]
  return names.map(brokerName => ({ topic: queues[0]?.topic ?? '', brokerName, queueId: -1 }))
}

/** Apache's AllocateMessageQueueAveragely: consecutive queues, and the first clients get one more. */
function average(queues: readonly MessageQueue[], clients: readonly string[], clientId: string): MessageQueue[] {
  const index = clients.indexOf(clientId)
  if (index < 0) return []
  const each = Math.floor(queues.length / clients.length)
  const more = queues.length % clients.length
  const start = index * each + Math.min(index, more)
  return queues.slice(start, start + each + (index < more ? 1 : 0))
}
