import { header, int, long, optional, request, text } from '@gantrymq/remoting'
import { brokerStatsBody } from '../bodies/broker-stats.ts'
import { consumeQueueBody } from '../bodies/consume-queue.ts'
import { kvTableBody, propertiesBody } from '../bodies/tables.ts'
import { topicFields } from './shared-fields.ts'

/** Requests of operators about a broker itself. */
export const brokerAdminRequests = {
  UPDATE_BROKER_CONFIG: request({
    code: 25,
    purpose: 'Changes settings of the running broker.',
    body: propertiesBody,
  }),
  GET_BROKER_CONFIG: request({
    code: 26,
    purpose: 'Returns all settings.',
    reply: {
      header: header({
        /** A DataVersion in JSON. */
        version: optional(text()),
      }),
      body: propertiesBody,
    },
  }),
  GET_BROKER_RUNTIME_INFO: request({
    code: 28,
    purpose: 'Returns counters and states.',
    reply: { body: kvTableBody },
  }),
  CLEAN_EXPIRED_CONSUMEQUEUE: request({
    code: 306,
    purpose: 'Deletes files of consume queues whose messages are deleted.',
  }),
  VIEW_BROKER_STATS_DATA: request({
    code: 315,
    purpose: 'Returns a counter over the last minute, hour and day.',
    header: header({ statsName: text(), statsKey: text() }),
    reply: { body: brokerStatsBody },
  }),
  CLEAN_UNUSED_TOPIC: request({
    code: 316,
    purpose: 'Deletes the consume queues of topics that no longer exist.',
  }),
  QUERY_CONSUME_QUEUE: request({
    code: 321,
    purpose: 'Returns entries of a consume queue.',
    header: header({
      topic: text(),
      queueId: int(),
      index: long(),
      count: int(),
      /** If given, the answer tells for each entry whether it passes the filter of this group. */
      consumerGroup: optional(text()),
      ...topicFields,
    }),
    reply: { body: consumeQueueBody },
  }),
  RESUME_CHECK_HALF_MESSAGE: request({
    code: 323,
    purpose: 'Resumes asking the producer about a half message that the broker has given up on.',
    header: header({
      /** 5.x. */
      topic: optional(text()),
      /** The offset id. */
      msgId: text(),
    }),
  }),
  DELETE_EXPIRED_COMMITLOG: request({
    code: 329,
    purpose: 'Deletes files of the commit log that have expired.',
  }),
  CHECK_ROCKSDB_CQ_WRITE_PROGRESS: request({
    code: 354,
    purpose: 'Compares consume queues in RocksDB with those in files (5.x).',
    header: header({ topic: text(), checkStoreTime: optional(long()) }),
    reply: { body: propertiesBody },
  }),
  EXPORT_ROCKSDB_CONFIG_TO_JSON: request({
    code: 355,
    purpose: 'Exports tables from RocksDB into JSON files beside them (5.x).',
    header: header({
      /** `topics`, `subscriptionGroups`, `consumerOffsets`, each followed by `;`. */
      configType: text(),
    }),
  }),
  UPDATE_COLD_DATA_FLOW_CTR_CONFIG: request({
    code: 2001,
    purpose: 'Limits how fast groups may read cold data (5.x): `group=threshold` lines.',
    body: propertiesBody,
  }),
  REMOVE_COLD_DATA_FLOW_CTR_CONFIG: request({
    code: 2002,
    purpose: 'Removes such a limit (5.x). The body is the name of the group.',
    body: propertiesBody,
  }),
  GET_COLD_DATA_FLOW_CTR_INFO: request({
    code: 2003,
    purpose: 'Returns these limits and how much was read (5.x), as JSON text.',
    reply: { body: propertiesBody },
  }),
  SET_COMMITLOG_READ_MODE: request({
    code: 2004,
    purpose: 'Sets whether the operating system reads ahead in the commit log (5.x).',
    header: header({
      /** 0: it reads ahead; 1: it does not. */
      READ_AHEAD_MODE: int(),
    }),
  }),
}
