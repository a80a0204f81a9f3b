import {
  brokerAdminRequests,
  clientNotices,
  connectionRequests,
  consumeRequests,
  groupRequests,
  membershipRequests,
  offsetRequests,
  popRequests,
  queryRequests,
  sendRequests,
  topicRequests,
} from '@gantrymq/protocol'
import type { HandlersFor } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { assignmentHandlers } from './assignment.ts'
import { cleanUpHandlers } from './clean-up.ts'
import { clientHandlers } from './clients.ts'
import { connectionHandlers } from './connections.ts'
import { consumeQueueHandlers } from './consume-queues.ts'
import { forwardingHandlers } from './forwarding.ts'
import { groupHandlers } from './groups.ts'
import { lockHandlers } from './locks.ts'
import { offsetHandlers } from './offsets.ts'
import { popHandlers } from './pop.ts'
import { pullHandlers } from './pull.ts'
import { queryHandlers } from './query.ts'
import { recallHandlers } from './recall.ts'
import { replyHandlers } from './replies.ts'
import { resetHandlers } from './resets.ts'
import { sendBackHandlers } from './send-back.ts'
import { sendHandlers } from './send.ts'
import { settingsHandlers } from './settings.ts'
import { statisticsHandlers } from './statistics.ts'
import { topicHandlers } from './topics.ts'
import { transactionHandlers } from './transactions.ts'

const {
  SEND_MESSAGE,
  SEND_MESSAGE_V2,
  SEND_BATCH_MESSAGE,
  CONSUMER_SEND_MSG_BACK,
  END_TRANSACTION,
  SEND_REPLY_MESSAGE,
  SEND_REPLY_MESSAGE_V2,
  RECALL_MESSAGE,
} = sendRequests
const {
  PULL_MESSAGE,
  LITE_PULL_MESSAGE,
  QUERY_CONSUMER_OFFSET,
  UPDATE_CONSUMER_OFFSET,
  LOCK_BATCH_MQ,
  UNLOCK_BATCH_MQ,
} = consumeRequests
const {
  POP_MESSAGE,
  ACK_MESSAGE,
  BATCH_ACK_MESSAGE,
  CHANGE_MESSAGE_INVISIBLETIME,
  PEEK_MESSAGE,
  NOTIFICATION,
  POLLING_INFO,
  QUERY_ASSIGNMENT,
  SET_MESSAGE_REQUEST_MODE,
} = popRequests
const {
  UPDATE_BROKER_CONFIG,
  GET_BROKER_CONFIG,
  GET_BROKER_RUNTIME_INFO,
  VIEW_BROKER_STATS_DATA,
  CLEAN_EXPIRED_CONSUMEQUEUE,
  CLEAN_UNUSED_TOPIC,
  DELETE_EXPIRED_COMMITLOG,
  QUERY_CONSUME_QUEUE,
  RESUME_CHECK_HALF_MESSAGE,
} = brokerAdminRequests
const { GET_CONSUMER_RUNNING_INFO, CONSUME_MESSAGE_DIRECTLY } = clientNotices

/** What the fast port serves: everything but the requests that may wait for messages. */
export const fastPortRequests = {
  SEND_MESSAGE,
  SEND_MESSAGE_V2,
  SEND_BATCH_MESSAGE,
  CONSUMER_SEND_MSG_BACK,
  END_TRANSACTION,
  SEND_REPLY_MESSAGE,
  SEND_REPLY_MESSAGE_V2,
  RECALL_MESSAGE,
  QUERY_CONSUMER_OFFSET,
  UPDATE_CONSUMER_OFFSET,
  ...queryRequests,
  ...membershipRequests,
  LOCK_BATCH_MQ,
  UNLOCK_BATCH_MQ,
  ACK_MESSAGE,
  BATCH_ACK_MESSAGE,
  CHANGE_MESSAGE_INVISIBLETIME,
  QUERY_ASSIGNMENT,
  SET_MESSAGE_REQUEST_MODE,
  ...topicRequests,
  ...groupRequests,
  ...offsetRequests,
  UPDATE_BROKER_CONFIG,
  GET_BROKER_CONFIG,
  GET_BROKER_RUNTIME_INFO,
  VIEW_BROKER_STATS_DATA,
  CLEAN_EXPIRED_CONSUMEQUEUE,
  CLEAN_UNUSED_TOPIC,
  DELETE_EXPIRED_COMMITLOG,
  QUERY_CONSUME_QUEUE,
  RESUME_CHECK_HALF_MESSAGE,
  ...connectionRequests,
  GET_CONSUMER_RUNNING_INFO,
  CONSUME_MESSAGE_DIRECTLY,
}

/** Every request that a broker serves; to any other one it answers with code 3. */
export const brokerRequests = {
  ...fastPortRequests,
  PULL_MESSAGE,
  LITE_PULL_MESSAGE,
  POP_MESSAGE,
  PEEK_MESSAGE,
  NOTIFICATION,
  POLLING_INFO,
}

/** A handler for each of them. */
export const handlers = {
  ...sendHandlers,
  ...sendBackHandlers,
  ...transactionHandlers,
  ...replyHandlers,
  ...recallHandlers,
  ...pullHandlers,
  ...popHandlers,
  ...assignmentHandlers,
  ...offsetHandlers,
  ...queryHandlers,
  ...clientHandlers,
  ...lockHandlers,
  ...topicHandlers,
  ...groupHandlers,
  ...settingsHandlers,
  ...statisticsHandlers,
  ...resetHandlers,
  ...connectionHandlers,
  ...forwardingHandlers,
  ...consumeQueueHandlers,
  ...cleanUpHandlers,
} satisfies HandlersFor<typeof brokerRequests, BrokerContext>
