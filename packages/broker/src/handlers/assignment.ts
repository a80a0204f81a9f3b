import { isRetryTopic, type MessageQueue, type popRequests, responseCodes } from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { assignedQueues } from '../popping/assignments.ts'
import type { RequestMode } from '../popping/request-modes.ts'
import { NO_BODY } from '../remarks.ts'
import { poppingOf } from './pop.ts'

type AssignmentRequests = Pick<typeof popRequests, 'QUERY_ASSIGNMENT' | 'SET_MESSAGE_REQUEST_MODE'>

const { NO_PERMISSION, SUBSCRIPTION_GROUP_NOT_EXIST, SYSTEM_BUSY, SYSTEM_ERROR, TOPIC_NOT_EXIST } = responseCodes

/** Which queues a consumer gets from the broker, and whether it pulls or pops them: Apache's QueryAssignmentProcessor. */
export const assignmentHandlers: HandlersFor<AssignmentRequests, BrokerContext> = {
  async QUERY_ASSIGNMENT({ body }, context) {
    if (body === null) throw new ResponseError(SYSTEM_ERROR, NO_BODY)
    const { topic, consumerGroup: group, clientId, strategyName, messageModel } = body
    const mode = modeOf(topic, group, context)
    const queues = await context.topicQueues.find(topic)
    const members = [...(context.clients.consumerGroup(group)?.clients.values() ?? [])]
    const clientIds = members.map(client => client.clientId)
    const assigned =
      messageModel === 'BROADCASTING'
        ? allOf(queues)
        : assignedQueues({ group, clientId, strategyName, queues, clientIds, mode })
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

const PULLED: RequestMode = { mode: 'PULL', popShareQueueNum: 0 }

/** What an operator has set, or the default. Retry topics are always pulled, and so are all topics of a broker with a folder. */
function modeOf(topic: string, group: string, { popping, settings }: BrokerContext): RequestMode {
  if (popping === undefined || isRetryTopic(topic)) return PULLED
  const { defaultMessageRequestMode: mode, defaultPopShareQueueNum: popShareQueueNum } = settings.options
  return popping.modes.get(topic, group) ?? { mode, popShareQueueNum }
}

/** Undefined if the topic is not known. */
function allOf(queues: readonly MessageQueue[]): readonly MessageQueue[] | undefined {
  return queues.length === 0 ? undefined : queues
}
