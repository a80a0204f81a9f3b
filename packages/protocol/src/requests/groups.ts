import { bool, header, optional, request, text } from '@gantrymq/remoting'
import { consumeStatsBody, consumeStatsListBody } from '../bodies/consume-stats.ts'
import { consumeTimeSpansBody } from '../bodies/consume-time-spans.ts'
import { groupForbiddenBody, topicSubscriptionBody } from '../bodies/groups.ts'
import { groupConfigBody, groupConfigListBody, subscriptionGroupTableBody } from '../bodies/subscription-group.ts'
import { topicListBody } from '../bodies/tables.ts'
import { rpcFields, topicFields } from './shared-fields.ts'

/** What operators ask brokers about groups of consumers. */
export const groupRequests = {
  UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: request({
    code: 200,
    purpose: 'Makes a group, or changes all of its settings.',
    body: groupConfigBody,
  }),
  GET_ALL_SUBSCRIPTIONGROUP_CONFIG: request({
    code: 201,
    purpose: 'Gives all groups of the broker.',
    reply: { body: subscriptionGroupTableBody },
  }),
  DELETE_SUBSCRIPTIONGROUP: request({
    code: 207,
    purpose: 'Deletes a group, and its offsets if asked to.',
    // The lines name the same thing differently: a sender gives both.
    header: header({ groupName: text(), cleanOffset: optional(bool()), removeOffset: optional(bool()), ...rpcFields }),
  }),
  GET_CONSUME_STATS: request({
    code: 208,
    purpose: 'Gives the offsets of a group beside those of the queues, for one topic or all.',
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
    purpose: 'Makes or changes several groups (5.x).',
    body: groupConfigListBody,
  }),
  QUERY_CONSUME_TIME_SPAN: request({
    code: 303,
    purpose: 'Gives how far back in time a group is, by queue.',
    header: header({ topic: text(), group: text(), ...topicFields }),
    reply: { body: consumeTimeSpansBody },
  }),
  GET_BROKER_CONSUME_STATS: request({
    code: 317,
    purpose: 'Gives the offsets of all groups.',
    header: header({
      /** Only groups that consume in order, or only the others. */
      isOrder: bool(),
    }),
    reply: { body: consumeStatsListBody },
  }),
  QUERY_TOPICS_BY_CONSUMER: request({
    code: 343,
    purpose: 'Gives the topics that a group has offsets of (5.x).',
    header: header({ group: text(), ...rpcFields }),
    reply: { body: topicListBody },
  }),
  QUERY_SUBSCRIPTION_BY_CONSUMER: request({
    code: 345,
    purpose: 'Gives what a group subscribes to of a topic (5.x).',
    header: header({ group: text(), topic: optional(text()), ...topicFields }),
    reply: { body: topicSubscriptionBody },
  }),
  GET_SUBSCRIPTIONGROUP_CONFIG: request({
    code: 352,
    purpose: 'Gives one group (5.x).',
    header: header({ group: text(), ...rpcFields }),
    reply: { body: groupConfigBody },
  }),
  UPDATE_AND_GET_GROUP_FORBIDDEN: request({
    code: 353,
    purpose: 'Tells whether a group may read a topic, or says that it may or may not (5.x).',
    header: header({ group: text(), topic: text(), readable: optional(bool()), ...topicFields }),
    reply: { body: groupForbiddenBody },
  }),
}
