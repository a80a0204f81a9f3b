import type { clientNotices } from '@gantrymq/protocol'
import { type HandlersFor, type Logger, ResponseError, SYSTEM_ERROR } from '@gantrymq/remoting'
import type { InstanceMembers } from './instance-members.ts'

export interface PeerContext {
  readonly members: InstanceMembers
  readonly log: Logger
}

/** Answers the requests that brokers send to clients: Apache's ClientRemotingProcessor. */
export const peerHandlers = {
  // One producer of the group answers. Its group is a property of the message, which the producer reads.
  CHECK_TRANSACTION_STATE({ header, body, peer }, { members, log }) {
    if (body === null) return {}
    const { tranStateTableOffset, commitLogOffset, msgId, transactionId, topic, bname } = header
    const check = { message: Buffer.from(body), address: peer.remoteAddress, tranStateTableOffset, commitLogOffset }
    const names = { topic, brokerName: bname, messageId: msgId, transactionId }
    if (!members.producers.some(producer => producer.checkTransaction({ ...check, ...names }))) {
      const text =
        'CheckTransactionState, pick producer group failed: no producer of its group has option checkTransaction'
      log.warn({ peer: peer.remoteAddress, topic }, text)
    }
    return {}
  },

  NOTIFY_CONSUMER_IDS_CHANGED(_call, { members }) {
    for (const consumer of members.consumers) consumer.rebalance()
    return {}
  },

  RESET_CONSUMER_CLIENT_OFFSET({ header, body }, { members, log }) {
    const { topic, group } = header
    const consumer = members.consumer(group)
    if (consumer?.resetOffsets === undefined || body === null) {
      log.warn({ group, topic }, '[reset-offset] consumer does not exist')
      return {}
    }
    consumer.resetOffsets(topic, body.offsetTable).catch((error: unknown) => {
      log.warn({ group, topic, error: String(error) }, 'offsets not reset')
    })
    return {}
  },

  GET_CONSUMER_STATUS_FROM_CLIENT({ header }, { members }) {
    return { body: { messageQueueTable: members.consumer(header.group)?.offsets(header.topic) ?? [] } }
  },

  GET_CONSUMER_RUNNING_INFO({ header }, { members }) {
    const consumer = members.consumer(header.consumerGroup) ?? unknownGroup(header.consumerGroup)
    return { body: consumer.runningInfo(header.jstackEnable) }
  },

  async CONSUME_MESSAGE_DIRECTLY({ header, body }, { members }) {
    const consumer = members.consumer(header.consumerGroup)
    if (consumer?.consumeDirectly === undefined || body === null) return unknownGroup(header.consumerGroup)
    return { body: await consumer.consumeDirectly(Buffer.from(body), header.brokerName) }
  },

  // The answer is a success even if no request waits for the reply: the broker passes it on to the replier.
  PUSH_REPLY_MESSAGE_TO_CLIENT({ header, body }, { members, log }) {
    const { topic, queueId, flag, sysFlag, bornTimestamp, bornHost, storeTimestamp, storeHost, properties } = header
    const { reconsumeTimes = 0 } = header
    const reply = { topic, queueId, flag, sysFlag, bornTimestamp, bornHost, storeTimestamp, storeHost, properties }
    const pushed = { ...reply, reconsumeTimes, body: Buffer.from(body ?? []) }
    if (!members.producers.some(producer => producer.takeReply(pushed)))
      log.warn({ topic }, 'no request waits for this reply')
    return {}
  },
} satisfies HandlersFor<typeof clientNotices, PeerContext>

function unknownGroup(group: string): never {
  throw new ResponseError(SYSTEM_ERROR, `The Consumer Group <${group}> not exist in this consumer`)
}
