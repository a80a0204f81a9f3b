import { bigLong, bool, defaulted, header, int, long, optional, request, text } from '@gantrymq/remoting'
import { consumeDirectlyBody } from '../bodies/consume-directly.ts'
import { consumerStatusBody } from '../bodies/consumer-status.ts'
import { resetOffsetBody } from '../bodies/reset-offset.ts'
import { runningInfoBody } from '../bodies/running-info.ts'
import { rawBody } from '../bodies/tables.ts'
import { rpcFields, topicFields } from './shared-fields.ts'

/**
 * Requests of brokers to clients, on the clients' own connections. Fields that are primitives in Java have their defaults here,
 * because a client needs only a few of the fields.
 */
export const clientNotices = {
  CHECK_TRANSACTION_STATE: request({
    code: 39,
    oneway: true,
    purpose: 'Asks a producer for the outcome of a transaction; the producer answers with END_TRANSACTION.',
    header: header({
      /** 5.x. */
      topic: optional(text()),
      tranStateTableOffset: long(),
      commitLogOffset: long(),
      msgId: optional(text()),
      transactionId: optional(text()),
      offsetMsgId: optional(text()),
      ...rpcFields,
    }),
    body: rawBody('the stored half message'),
  }),
  NOTIFY_CONSUMER_IDS_CHANGED: request({
    code: 40,
    oneway: true,
    purpose: 'Notifies a consumer that the members of its group have changed.',
    header: header({ consumerGroup: text(), ...rpcFields }),
  }),
  RESET_CONSUMER_CLIENT_OFFSET: request({
    code: 220,
    oneway: true,
    purpose: 'Tells a consumer to continue from other offsets.',
    header: header({
      group: text(),
      topic: text(),
      queueId: defaulted(int(), -1),
      offset: optional(bigLong()),
      timestamp: defaulted(bigLong(), 0),
      isForce: defaulted(bool(), false),
      ...topicFields,
    }),
    body: resetOffsetBody,
  }),
  GET_CONSUMER_STATUS_FROM_CLIENT: request({
    code: 221,
    purpose: 'Asks a consumer for its offsets in a topic.',
    header: header({ topic: text(), group: text(), clientAddr: optional(text()), ...topicFields }),
    reply: { body: consumerStatusBody },
  }),
  GET_CONSUMER_RUNNING_INFO: request({
    code: 307,
    purpose: 'Asks a consumer for its state. Operators send it to a broker, which forwards it.',
    header: header({
      consumerGroup: text(),
      clientId: text(),
      jstackEnable: defaulted(bool(), false),
      ...rpcFields,
    }),
    reply: { body: runningInfoBody },
  }),
  CONSUME_MESSAGE_DIRECTLY: request({
    code: 309,
    purpose:
      'Tells one consumer to consume a message again. Operators send it to a broker, which forwards it with the message.',
    header: header({
      consumerGroup: text(),
      clientId: optional(text()),
      /** The offset message id. */
      msgId: optional(text()),
      brokerName: optional(text()),
      /** 5.x. */
      topic: optional(text()),
      topicSysFlag: optional(int()),
      groupSysFlag: optional(int()),
      ...topicFields,
    }),
    body: rawBody('a stored message'),
    reply: { body: consumeDirectlyBody },
  }),
  PUSH_REPLY_MESSAGE_TO_CLIENT: request({
    code: 326,
    purpose: 'Delivers the reply to a request of a producer.',
    header: header({
      producerGroup: text(),
      topic: text(),
      defaultTopic: optional(text()),
      defaultTopicQueueNums: optional(int()),
      queueId: defaulted(int(), 0),
      sysFlag: defaulted(int(), 0),
      bornTimestamp: defaulted(long(), 0),
      flag: defaulted(int(), 0),
      /** Contains the correlation id. */
      properties: optional(text()),
      reconsumeTimes: optional(int()),
      unitMode: defaulted(bool(), false),
      bornHost: optional(text()),
      storeHost: optional(text()),
      storeTimestamp: defaulted(long(), 0),
      ...topicFields,
    }),
    body: rawBody('the body of a message'),
  }),
}
