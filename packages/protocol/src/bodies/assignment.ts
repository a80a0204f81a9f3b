import { constantOf, intOf, type JsonValue, listOf, objectOf, textOf, textTable, toObject } from '@gantrymq/remoting'
import { type MessageModel, messageModelOf } from './heartbeat.ts'
import { jsonBody } from './json-body.ts'
import { type MessageQueue, messageQueueBean, readMessageQueue } from './message-queue.ts'

const MODES = ['PULL', 'POP'] as const

/** Whether consumers pull a topic or pop it: Apache's MessageRequestMode (5.x). */
export type MessageRequestMode = (typeof MODES)[number]

/** A consumer's question to its broker which queues it should consume: Apache's QueryAssignmentRequestBody (5.x). */
export interface QueryAssignmentRequest {
  readonly topic: string
  readonly consumerGroup: string
  readonly clientId: string
  /** Name of the allocation strategy, such as `AVG`. */
  readonly strategyName: string
  readonly messageModel: MessageModel
}

/** Apache's MessageQueueAssignment (5.x). */
export interface MessageQueueAssignment {
  readonly messageQueue: MessageQueue
  readonly mode: MessageRequestMode
  readonly attachments?: ReadonlyMap<string, string>
}

/** Apache's QueryAssignmentResponseBody (5.x). */
export interface QueryAssignmentResponse {
  /** Undefined: the broker does not know, and the consumer keeps its queues. An empty list: the consumer has no queues. */
  readonly messageQueueAssignments: readonly MessageQueueAssignment[] | undefined
}

/** Apache's SetMessageRequestModeRequestBody (5.x). */
export interface SetMessageRequestMode {
  readonly topic: string
  readonly consumerGroup: string
  readonly mode: MessageRequestMode
  /** With POP: how many consumers share a queue. 0: all of them. */
  readonly popShareQueueNum: number
}

export const queryAssignmentBody = jsonBody<QueryAssignmentRequest>(
  'QueryAssignmentRequestBody',
  ({ clientId, consumerGroup, messageModel, strategyName, topic }) => ({
    clientId,
    consumerGroup,
    messageModel,
    strategyName,
    topic,
  }),
  object => ({
    topic: textOf(object, 'topic') ?? '',
    consumerGroup: textOf(object, 'consumerGroup') ?? '',
    clientId: textOf(object, 'clientId') ?? '',
    strategyName: textOf(object, 'strategyName') ?? '',
    messageModel: messageModelOf(object),
  }),
)

function readAssignment(value: JsonValue): MessageQueueAssignment {
  const object = toObject(value, 'messageQueueAssignments')
  const attachments = objectOf(object, 'attachments')
  return {
    messageQueue: readMessageQueue(objectOf(object, 'messageQueue') ?? new Map()),
    mode: constantOf(object, 'mode', MODES, 'PULL'),
    ...(attachments === null ? undefined : { attachments: textTable(attachments) }),
  }
}

export const assignmentsBody = jsonBody<QueryAssignmentResponse>(
  'QueryAssignmentResponseBody',
  ({ messageQueueAssignments }) => ({
    messageQueueAssignments: messageQueueAssignments?.map(({ attachments, messageQueue, mode }) => ({
      attachments,
      messageQueue: messageQueueBean(messageQueue),
      mode,
    })),
  }),
  object => ({ messageQueueAssignments: listOf(object, 'messageQueueAssignments')?.map(readAssignment) }),
)

export const setMessageRequestModeBody = jsonBody<SetMessageRequestMode>(
  'SetMessageRequestModeRequestBody',
  ({ consumerGroup, mode, popShareQueueNum, topic }) => ({ consumerGroup, mode, popShareQueueNum, topic }),
  object => ({
    topic: textOf(object, 'topic') ?? '',
    consumerGroup: textOf(object, 'consumerGroup') ?? '',
    mode: constantOf(object, 'mode', MODES, 'PULL'),
    popShareQueueNum: intOf(object, 'popShareQueueNum', 0),
  }),
)
