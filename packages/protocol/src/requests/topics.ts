import { bool, defaulted, header, int, optional, request, text } from '@gantrymq/remoting'
import { topicStatsBody } from '../bodies/consume-stats.ts'
import { groupListBody } from '../bodies/groups.ts'
import { topicListBody } from '../bodies/tables.ts'
import { topicConfigBody, topicConfigListBody } from '../bodies/topic-config-list.ts'
import { topicConfigTableBody } from '../bodies/topic-config-table.ts'
import { topicFields } from './shared-fields.ts'
import { AUTO_CREATE_TOPIC } from '../topic-name.ts'

/** Requests of operators about topics. */
export const topicRequests = {
  UPDATE_AND_CREATE_TOPIC: request({
    code: 17,
    purpose: 'Creates a topic, or replaces all settings of one.',
    header: header({
      topic: text(),
      /** Java sends the topic to copy; brokers only require that the field is present. */
      defaultTopic: defaulted(text(), AUTO_CREATE_TOPIC),
      readQueueNums: int(),
      writeQueueNums: int(),
      perm: int(),
      topicFilterType: defaulted(text(), 'SINGLE_TAG'),
      topicSysFlag: optional(int()),
      /** 4.9 ignores it. */
      order: defaulted(bool(), false),
      /** 5.x: `+key=value,-key`. */
      attributes: optional(text()),
      /** 5.x: also accepts names that users may not choose. */
      force: optional(bool()),
      ...topicFields,
    }),
  }),
  UPDATE_AND_CREATE_TOPIC_LIST: request({
    code: 18,
    purpose: 'Creates or changes several topics (5.x); if one of them is unchanged, the broker applies none.',
    body: topicConfigListBody,
  }),
  GET_ALL_TOPIC_CONFIG: request({
    code: 21,
    purpose: 'Returns all topics of the broker.',
    reply: { body: topicConfigTableBody },
  }),
  GET_TOPIC_STATS_INFO: request({
    code: 202,
    purpose: 'Returns the offsets of all queues of a topic.',
    header: header({ topic: text(), ...topicFields }),
    reply: { body: topicStatsBody },
  }),
  DELETE_TOPIC_IN_BROKER: request({
    code: 215,
    purpose: 'Deletes a topic and its queues.',
    header: header({ topic: text(), ...topicFields }),
  }),
  QUERY_TOPIC_CONSUME_BY_WHO: request({
    code: 300,
    purpose: 'Returns the groups that consume a topic or have consumed it.',
    header: header({ topic: text(), ...topicFields }),
    reply: { body: groupListBody },
  }),
  GET_SYSTEM_TOPIC_LIST_FROM_BROKER: request({
    code: 305,
    purpose: "Returns the broker's own topics.",
    reply: { body: topicListBody },
  }),
  GET_TOPIC_CONFIG: request({
    code: 351,
    purpose: 'Returns one topic (5.x).',
    header: header({
      topic: text(),
      ...topicFields,
    }),
    reply: { body: topicConfigBody },
  }),
}
