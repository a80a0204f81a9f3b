import { isRetryTopic, type popRequests, responseCodes } from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { assignedQueues, defaultMode } from '../popping/assignments.ts'
import { NO_BODY } from '../remarks.ts'
import { poppingOf } from './pop.ts'

type AssignmentRequests = Pick<typeof popRequests, 'QUERY_ASSIGNMENT' | 'SET_MESSAGE_REQUEST_MODE'>

const { NO_PERMISSION, SUBSCRIPTION_GROUP_NOT_EXIST, SYSTEM_BUSY, SYSTEM_ERROR, TOPIC_NOT_EXIST } = responseCodes

/** Which queues a consumer gets from the broker, and whether it pulls or pops them: Apache's QueryAssignmentProcessor. */
export const assignmentHandlers: HandlersFor<AssignmentRequests, BrokerContext> = {
  async QUERY_ASSIGNMENT({ body }, context) {
    if (body === null) throw new ResponseError(SYSTEM_ERROR, NO_BODY)
    const { topic, consumerGroup: group, clientId, strategyName, messageModel } = body
    const { popping, settings, clients, topicQueues } = context
    const { defaultMessageRequestMode, defaultPopShareQueueNum } = settings.options
    const mode =
      popping === undefined
        ? defaultMode(true, 'PULL', 0)
        : (popping.modes.get(topic, group) ??
          defaultMode(isRetryTopic(topic), defaultMessageRequestMode, defaultPopShareQueueNum))
    const queues = await topicQueues.find(topic)
    const members = [...(clients.consumerGroup(group)?.clients.values() ?? [])].map(client => client.clientId)
    const assigned =
      messageModel === 'BROADCASTING'
        ? queues.length === 0
          ? undefined
          : queues
        : assignedQueues({ group, clientId, strategyName, queues, clientIds: members, mode })
    // A consumer keeps its queues if the list is missing; an empty list removes all of them.
    const messageQueueAssignments = assigned?.map(messageQueue => ({ messageQueue, mode: mode.mode }))
    return { body: { messageQueueAssignments } }
  },

  SET_MESSAGE_REQUEST_MODE({ body }, context) {
    const { modes } = poppingOf(context)
    if (body === null) throw new ResponseError(SYSTEM_ERROR, NO_BODY)
    const { topic, consumerGroup } = body
    if (isRetryTopic(topic)) throw new ResponseError(NO_PERMISSION, 'retry topic is not allowed to set mode')
    if (!context.topics.has(topic)) throw new ResponseError(TOPIC_NOT_EXIST, `topic[${topic}] not exist`)
    if (context.groups.find(consumerGroup) === undefined) {
      throw new ResponseError(SUBSCRIPTION_GROUP_NOT_EXIST, 'subscription group does not exist')
    }
    if (modes.set(body)) return {}
    throw new ResponseError(SYSTEM_BUSY, 'request modes are set for too many topics and groups; nothing was changed')
  },
}
