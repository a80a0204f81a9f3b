import { bool, defaulted, header, int, long, optional, request, strict, text } from '@gantrymq/remoting'
import { consumerStatusBody } from '../bodies/consumer-status.ts'
import { consumerOffsetsBody, correctionOffsetsBody, delayOffsetsBody } from '../bodies/offset-tables.ts'
import { resetOffsetBody } from '../bodies/reset-offset.ts'
import { rpcFields, topicFields } from './shared-fields.ts'

/** Requests of operators about the offsets of groups. */
export const offsetRequests = {
  GET_ALL_CONSUMER_OFFSET: request({
    code: 43,
    purpose: 'Returns the offsets of all groups and topics.',
    reply: { body: consumerOffsetsBody },
  }),
  GET_ALL_DELAY_OFFSET: request({
    code: 45,
    purpose: 'Returns the offset up to which delayed messages were delivered, by delay level.',
    reply: { body: delayOffsetsBody },
  }),
  INVOKE_BROKER_TO_RESET_OFFSET: request({
    code: 222,
    purpose: 'Resets the offsets of a group to a time: 4.9 tells the consumers, 5.x changes its own table.',
    header: header({
      group: text(),
      topic: text(),
      /** 5.x: one queue only; -1 for all. */
      queueId: strict(defaulted(int(), -1)),
      /** 5.x: the new offset; needs a queue. */
      offset: strict(optional(long())),
      /** Milliseconds since the epoch; -1 means the end of the queues. */
      timestamp: long(),
      /** False: offsets only move back, never forward. 5.x ignores it. */
      isForce: defaulted(bool(), false),
      ...topicFields,
    }),
    reply: { body: resetOffsetBody },
  }),
  INVOKE_BROKER_TO_GET_CONSUMER_STATUS: request({
    code: 223,
    purpose: 'Asks the consumers of a group, or one of them, for their current offsets.',
    header: header({
      topic: text(),
      group: text(),
      /** Id of the client. */
      clientAddr: optional(text()),
      ...topicFields,
    }),
    reply: { body: consumerStatusBody },
  }),
  QUERY_CORRECTION_OFFSET: request({
    code: 308,
    purpose: 'Returns the lowest offsets of the groups of a topic, to move one of the groups there.',
    header: header({
      /** Groups to leave out, joined with `,`. Brokers delete their offsets. */
      filterGroups: optional(text()),
      compareGroup: text(),
      topic: text(),
      ...topicFields,
    }),
    reply: { body: correctionOffsetsBody },
  }),
  CLONE_GROUP_OFFSET: request({
    code: 314,
    purpose: 'Copies the offsets of a group to another group. Without a topic, brokers copy nothing.',
    header: header({
      srcGroup: text(),
      destGroup: text(),
      topic: optional(text()),
      /** True: copies even if the group does not consume the topic now. */
      offline: defaulted(bool(), false),
      ...rpcFields,
    }),
  }),
}
