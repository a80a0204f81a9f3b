import { type BodyCodec, boolOf, type JsonObject, listOf, textOf } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'
import { type MessageQueue, messageQueueBean, toMessageQueue } from './message-queue.ts'

/** The queues that a client wants to lock or unlock: Apache's LockBatchRequestBody, UnlockBatchRequestBody. */
export interface LockBatchRequest {
  readonly consumerGroup: string
  readonly clientId: string
  readonly mqSet: readonly MessageQueue[]
  /** 5.x: the broker does not forward the request to the others of its broker group. Default false. */
  readonly onlyThisBroker?: boolean
}

/** The queues that are locked now: Apache's LockBatchResponseBody. */
export interface LockBatchResponse {
  readonly lockOKMQSet: readonly MessageQueue[]
}

function queuesOf(object: JsonObject, name: string): MessageQueue[] {
  return (listOf(object, name) ?? []).map(toMessageQueue)
}

function batchBody(name: string): BodyCodec<LockBatchRequest> {
  return jsonBody(
    name,
    ({ clientId, consumerGroup, mqSet, onlyThisBroker = false }) => ({
      clientId,
      consumerGroup,
      mqSet: mqSet.map(messageQueueBean),
      onlyThisBroker,
    }),
    object => ({
      consumerGroup: textOf(object, 'consumerGroup') ?? '',
      clientId: textOf(object, 'clientId') ?? '',
      mqSet: queuesOf(object, 'mqSet'),
      onlyThisBroker: boolOf(object, 'onlyThisBroker', false),
    }),
  )
}

export const lockBatchBody = batchBody('LockBatchRequestBody')
export const unlockBatchBody = batchBody('UnlockBatchRequestBody')

export const lockBatchResponseBody = jsonBody<LockBatchResponse>(
  'LockBatchResponseBody',
  ({ lockOKMQSet }) => ({ lockOKMQSet: lockOKMQSet.map(messageQueueBean) }),
  object => ({ lockOKMQSet: queuesOf(object, 'lockOKMQSet') }),
)
