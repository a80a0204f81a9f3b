import {
  offsetMessageId,
  PROPERTY,
  readMessageProperties,
  responseCodes,
  type sendRequests,
  writeMessageProperties,
} from '@gantrymq/protocol'
import { type Held, type HandlersFor, held, ResponseError } from '@gantrymq/remoting'
import { APPENDED } from '@gantrymq/store'
import type { BrokerContext } from '../context.ts'
import { messageOf, type Send, sendOf, type Target, targetOf } from '../sending/incoming-message.ts'
import { withLongNames } from '../sending/send-header.ts'
import type { SendAnswer } from '../sending/send-reply.ts'

type ReplyRequests = Pick<typeof sendRequests, 'SEND_REPLY_MESSAGE' | 'SEND_REPLY_MESSAGE_V2'>

const { SYSTEM_ERROR } = responseCodes

/** Replies of consumers to requests of producers: Apache's ReplyMessageProcessor. */
export const replyHandlers: HandlersFor<ReplyRequests, BrokerContext> = {
  SEND_REPLY_MESSAGE: ({ header, ...call }, context) => reply(sendOf(header, call), context),
  SEND_REPLY_MESSAGE_V2: ({ header, ...call }, context) => reply(sendOf(withLongNames(header), call), context),
}

/** A producer may take long; until it has the reply, the consumer's other requests go on. */
function reply(given: Send, context: BrokerContext): Held<SendAnswer> {
  const target = targetOf(given, context)
  return held(deliver(given, target, context))
}

/** Delivers a reply, and stores it whether that succeeds or not. What becomes of the copy does not change the answer. */
async function deliver(given: Send, target: Target, context: BrokerContext): Promise<SendAnswer> {
  const { storeReplyMessageEnable, regionId, traceOn } = context.settings.options
  const [pushed, stored] = await Promise.allSettled([
    push(given, target.queueId, context),
    storeReplyMessageEnable ? store(given, target, context) : undefined,
  ])
  if (pushed.status === 'rejected') throw pushed.reason
  const copy = stored.status === 'fulfilled' ? stored.value : undefined
  return {
    header: {
      // As in Apache, for a reply that is not stored.
      msgId: copy === undefined ? '0' : offsetMessageId(context.storeHost(), copy.position),
      queueId: target.queueId,
      queueOffset: copy?.queueOffset ?? 0,
      MSG_REGION: regionId,
      TRACE_ON: traceOn,
    },
  }
}

/** Gives a reply to the producer that waits for it. @throws ResponseError in Apache's words */
async function push({ header, body, peer }: Send, queueId: number, context: BrokerContext): Promise<void> {
  const properties = readMessageProperties(header.properties ?? '')
  const clientId = properties.get(PROPERTY.REPLY_TO_CLIENT)
  if (clientId === undefined) throw failed('reply message properties[REPLY_TO_CLIENT] is null')
  const producer = context.clients.producerPeer(clientId)
  if (!producer?.isOpen) throw failed(`push reply message fail, channel of <${clientId}> not found.`)
  const now = context.clock.now()
  const { ip, port } = context.storeHost()
  const { maxReconsumeTimes: _, batch: __, ...rest } = header
  const complete = {
    ...rest,
    queueId,
    properties: writeMessageProperties(properties.set(PROPERTY.PUSH_REPLY_TIME, String(now))),
    bornHost: peer.remoteAddress,
    storeHost: `${ip}:${port}`,
    storeTimestamp: now,
  }
  try {
    // The memory of the request is used again before a large body has been written: this copies it.
    await context.notices.pushReply(producer, complete, body)
  } catch (error) {
    context.log.warn({ err: error, clientId }, 'a reply could not be delivered')
    throw new ResponseError(SYSTEM_ERROR, `push reply message to ${clientId}fail.`, { cause: error })
  }
}

function failed(remark: string): ResponseError {
  return new ResponseError(SYSTEM_ERROR, remark)
}

/** Stores a copy of a reply. @returns undefined if the store does not take it */
async function store(given: Send, target: Target, context: BrokerContext) {
  const message = messageOf(given, target, context)
  const { status, topic, positions, queueOffset, bytes, safe } = context.writer.write(message)
  const [position] = positions
  if (status !== APPENDED || position === undefined) return undefined
  await safe
  context.counts.stored(topic, 1, bytes)
  return { position, queueOffset }
}
