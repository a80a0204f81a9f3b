import { bool, header, optional, request, text } from '@gantrymq/remoting'
import { consumeStatsBody, consumeStatsListBody } from '../bodies/consume-stats.ts'
import { consumeTimeSpansBody } from '../bodies/consume-time-spans.ts'
import { groupForbiddenBody, topicSubscriptionBody } from '../bodies/groups.ts'
import { groupConfigBody, groupConfigListBody, subscriptionGroupTableBody } from '../bodies/subscription-group.ts'
import { topicListBody } from '../bodies/tables.ts'
import { rpcFields, topicFields } from './shared-fields.ts'

/** Requests of operators about consumer groups. */
export const groupRequests = {
  UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: request({
    code: 200,
    purpose: 'Creates a group, or replaces all settings of one.',
    body: groupConfigBody,
  }),
  GET_ALL_SUBSCRIPTIONGROUP_CONFIG: request({
    code: 201,
    purpose: 'Returns all groups of the broker.',
    reply: { body: subscriptionGroupTableBody },
  }),
  DELETE_SUBSCRIPTIONGROUP: request({
    code: 207,
    purpose: 'Deletes a group, and its offsets on request.',
    // 4.9 and 5.x name the same field differently, so a sender sets both.
    header: header({ groupName: text(), cleanOffset: optional(bool()), removeOffset: optional(bool()), ...rpcFields }),
  }),
  GET_CONSUME_STATS: request({
    code: 208,
    purpose: 'Returns the offsets of a group together with those of the queues, for one topic or for all topics.',
    header: header({
      consumerGroup: text(),
      topic: optional(text()),
      /** 5.x: several topics, joined with `;`. */
      topicList: optional(text()),
      ...topicFields,
    }),
    reply: { body: consumeStatsBody },
  }),
  UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST: request({
    code: 225,
    purpose: 'Creates or changes several groups (5.x).',
    body: groupConfigListBody,
  }),
  QUERY_CONSUME_TIME_SPAN: request({
    code: 303,
    purpose: 'Returns how far a group lags behind in time, by queue.',
    header: header({ topic: text(), group: text(), ...topicFields }),
    reply: { body: consumeTimeSpansBody },
  }),
  GET_BROKER_CONSUME_STATS: request({
    code: 317,
    purpose: 'Returns the offsets of all groups.',
    header: header({
      /** True: only topics with the order flag; false: all. */
      isOrder: bool(),
    }),
    reply: { body: consumeStatsListBody },
  }),
  QUERY_TOPICS_BY_CONSUMER: request({
    code: 343,
    purpose: 'Returns the topics in which a group has offsets (5.x).',
    header: header({ group: text(), ...rpcFields }),
    reply: { body: topicListBody },
  }),
  QUERY_SUBSCRIPTION_BY_CONSUMER: request({
    code: 345,
    purpose: "Returns a group's subscription to a topic (5.x).",
    header: header({ group: text(), topic: optional(text()), ...topicFields }),
    reply: { body: topicSubscriptionBody },
  }),
  GET_SUBSCRIPTIONGROUP_CONFIG: request({
    code: 352,
    purpose: 'Returns one group (5.x).',
    header: header({ group: text(), ...rpcFields }),
    reply: { body: groupConfigBody },
  }),
  UPDATE_AND_GET_GROUP_FORBIDDEN: request({
    code: 353,
    purpose: 'Returns whether a group may read a topic, or allows or forbids it (5.x).',
    header: header({ group: text(), topic: text(), readable: optional(bool()), ...topicFields }),
    reply: { body: groupForbiddenBody },
  }),
}
