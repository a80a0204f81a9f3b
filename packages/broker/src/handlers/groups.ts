import { groupProblem, type groupRequests, responseCodes, type SubscriptionGroupConfig } from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { NO_BODY } from '../remarks.ts'

type GroupRequests = Pick<
  typeof groupRequests,
  | 'UPDATE_AND_CREATE_SUBSCRIPTIONGROUP'
  | 'GET_ALL_SUBSCRIPTIONGROUP_CONFIG'
  | 'DELETE_SUBSCRIPTIONGROUP'
  | 'GET_SUBSCRIPTIONGROUP_CONFIG'
  | 'UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST'
  | 'UPDATE_AND_GET_GROUP_FORBIDDEN'
>

/** Most queues of a retry topic. */
const MAX_RETRY_QUEUES = 1024

/** Creating, showing and deleting consumer groups: Apache's AdminBrokerProcessor. */
export const groupHandlers: HandlersFor<GroupRequests, BrokerContext> = {
  async UPDATE_AND_CREATE_SUBSCRIPTIONGROUP({ body, peer }, { groups, log }) {
    log.info({ peer: peer.remoteAddress, group: body?.groupName }, 'updateAndCreateSubscriptionGroup called')
    await groups.put(checked(body))
    return {}
  },

  async UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST({ body, peer }, { groups, log }) {
    log.info({ peer: peer.remoteAddress, groups: body?.length }, 'updateAndCreateSubscriptionGroupList called')
    if (body === null) throw new ResponseError(responseCodes.SYSTEM_ERROR, NO_BODY)
    // All are checked before one of them is stored.
    for (const config of body.map(checked)) await groups.put(config)
    return {}
  },

  GET_ALL_SUBSCRIPTIONGROUP_CONFIG: (_call, { groups }) => ({ body: groups.content }),

  async DELETE_SUBSCRIPTIONGROUP(
    { header: { groupName, cleanOffset, removeOffset }, peer },
    { groups, offsets, counts, popping, log },
  ) {
    log.info({ peer: peer.remoteAddress, group: groupName }, 'deleteSubscriptionGroup called')
    // 4.9 and 5.x name the same field differently.
    if (cleanOffset ?? removeOffset ?? false) offsets.removeGroup(groupName)
    counts.forgetGroup(groupName)
    popping?.removeGroup(groupName)
    await groups.delete(groupName)
    return {}
  },

  GET_SUBSCRIPTIONGROUP_CONFIG({ header: { group } }, { groups }) {
    const body = groups.find(group)
    if (body !== undefined) return { body }
    throw new ResponseError(responseCodes.SUBSCRIPTION_GROUP_NOT_EXIST, 'No group in this broker')
  },

  async UPDATE_AND_GET_GROUP_FORBIDDEN({ header: { group, topic, readable } }, { groups, topics }) {
    // Apache makes an entry for any names; each would stay in the file.
    if (readable === false && (!groups.has(group) || !topics.has(topic))) {
      const remark = `the group ${group} or the topic ${topic} is not in this broker; nothing was changed`
      throw new ResponseError(responseCodes.INVALID_PARAMETER, remark)
    }
    if (readable !== undefined) await groups.setReadable(group, topic, readable)
    return { body: { group, topic, readable: !groups.isForbidden(group, topic) } }
  },
}

/** Apache checks neither. The name becomes part of the names of topics, and the queues are counted in loops. */
function checked(config: SubscriptionGroupConfig | null): SubscriptionGroupConfig {
  if (config === null) throw new ResponseError(responseCodes.SYSTEM_ERROR, NO_BODY)
  const problem = groupProblem(config.groupName)
  if (problem !== null) throw new ResponseError(responseCodes.INVALID_PARAMETER, `${problem}; nothing was changed`)
  if (config.retryQueueNums < 0 || config.retryQueueNums > MAX_RETRY_QUEUES) {
    const remark = `retryQueueNums is ${config.retryQueueNums}: it must be from 0 to ${MAX_RETRY_QUEUES}; nothing was changed`
    throw new ResponseError(responseCodes.INVALID_PARAMETER, remark)
  }
  return config
}
