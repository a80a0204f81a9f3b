import type { clientNotices } from '@gantrymq/protocol'
import { type HandlersFor, type Logger, ResponseError, SYSTEM_ERROR } from '@gantrymq/remoting'
import type { ConsumerMember, ProducerMember } from './instance-members.ts'

/** What brokers' requests reach. */
export interface PeerContext {
  readonly producers: readonly ProducerMember[]
  readonly consumers: readonly ConsumerMember[]
  readonly log: Logger
  consumer(group: string): ConsumerMember | undefined
}

/** Answers what brokers ask clients: Apache's ClientRemotingProcessor. */
export const peerHandlers = {
  // One producer of the group is asked; the group is in the message, which the producer reads.
  CHECK_TRANSACTION_STATE({ header, body, peer }, { producers, log }) {
    if (body === null) return {}
    const { tranStateTableOffset, commitLogOffset, msgId, transactionId, topic, bname } = header
    const check = { message: Buffer.from(body), address: peer.remoteAddress, tranStateTableOffset, commitLogOffset }
    const names = { topic, brokerName: bname, messageId: msgId, transactionId }
    if (!producers.some(producer => producer.checkTransaction({ ...check, ...names }))) {
      const text = 'CheckTransactionState, pick producer group failed: none of its group has option checkTransaction'
      log.warn({ peer: peer.remoteAddress, topic }, text)
    }
    return {}
  },

  NOTIFY_CONSUMER_IDS_CHANGED(_call, { consumers }) {
    for (const consumer of consumers) consumer.rebalance()
    return {}
  },

  RESET_CONSUMER_CLIENT_OFFSET({ header, body }, context) {
    const { topic, group } = header
    const consumer = context.consumer(group)
    if (consumer?.resetOffsets === undefined || body === null) {
      context.log.warn({ group, topic }, '[reset-offset] consumer does not exist')
      return {}
    }
    consumer.resetOffsets(topic, body.offsetTable).catch((error: unknown) => {
      context.log.warn({ group, topic, error: String(error) }, 'offsets not reset')
    })
    return {}
  },

  GET_CONSUMER_STATUS_FROM_CLIENT({ header }, context) {
    return { body: { messageQueueTable: context.consumer(header.group)?.offsets(header.topic) ?? [] } }
  },

  GET_CONSUMER_RUNNING_INFO({ header }, context) {
    const consumer = context.consumer(header.consumerGroup) ?? unknownGroup(header.consumerGroup)
    return { body: consumer.runningInfo(header.jstackEnable) }
  },

  async CONSUME_MESSAGE_DIRECTLY({ header, body }, context) {
    const consumer = context.consumer(header.consumerGroup)
    if (consumer?.consumeDirectly === undefined || body === null) return unknownGroup(header.consumerGroup)
    return { body: await consumer.consumeDirectly(Buffer.from(body), header.brokerName) }
  },

  // Answered with success also when nobody waits any more: the answer is part of what the replier is told.
  PUSH_REPLY_MESSAGE_TO_CLIENT({ header, body }, { producers, log }) {
    const { topic, queueId, flag, sysFlag, bornTimestamp, bornHost, storeTimestamp, storeHost, properties } = header
    const { reconsumeTimes = 0 } = header
    const reply = { topic, queueId, flag, sysFlag, bornTimestamp, bornHost, storeTimestamp, storeHost, properties }
    const pushed = { ...reply, reconsumeTimes, body: Buffer.from(body ?? []) }
    if (!producers.some(producer => producer.takeReply(pushed))) log.warn({ topic }, 'nobody waits for this reply')
    return {}
  },
} satisfies HandlersFor<typeof clientNotices, PeerContext>

function unknownGroup(group: string): never {
  throw new ResponseError(SYSTEM_ERROR, `The Consumer Group <${group}> not exist in this consumer`)
}
