import {
  brokerAdminRequests,
  consumeRequests,
  groupRequests,
  membershipRequests,
  topicRequests,
} from '@gantrymq/protocol'
import type { HandlersFor } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { clientHandlers } from './clients.ts'
import { groupHandlers } from './groups.ts'
import { lockHandlers } from './locks.ts'
import { settingsHandlers } from './settings.ts'
import { topicHandlers } from './topics.ts'

const { LOCK_BATCH_MQ, UNLOCK_BATCH_MQ } = consumeRequests
const {
  UPDATE_AND_CREATE_TOPIC,
  DELETE_TOPIC_IN_BROKER,
  GET_ALL_TOPIC_CONFIG,
  GET_SYSTEM_TOPIC_LIST_FROM_BROKER,
  GET_TOPIC_CONFIG,
} = topicRequests
const {
  UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
  GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
  DELETE_SUBSCRIPTIONGROUP,
  GET_SUBSCRIPTIONGROUP_CONFIG,
} = groupRequests
const { UPDATE_BROKER_CONFIG, GET_BROKER_CONFIG } = brokerAdminRequests

/** Every request that a broker serves; to any other one it answers with code 3. */
export const brokerRequests = {
  ...membershipRequests,
  LOCK_BATCH_MQ,
  UNLOCK_BATCH_MQ,
  UPDATE_AND_CREATE_TOPIC,
  DELETE_TOPIC_IN_BROKER,
  GET_ALL_TOPIC_CONFIG,
  GET_SYSTEM_TOPIC_LIST_FROM_BROKER,
  GET_TOPIC_CONFIG,
  UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
  GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
  DELETE_SUBSCRIPTIONGROUP,
  GET_SUBSCRIPTIONGROUP_CONFIG,
  UPDATE_BROKER_CONFIG,
  GET_BROKER_CONFIG,
}

/** A handler for each of them. */
export const handlers = {
  ...clientHandlers,
  ...lockHandlers,
  ...topicHandlers,
  ...groupHandlers,
  ...settingsHandlers,
} satisfies HandlersFor<typeof brokerRequests, BrokerContext>
