import {
  type consumeRequests,
  groupProblem,
  type LockBatchRequest,
  type MessageQueue,
  responseCodes,
  topicProblem,
} from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { LockedQueue } from '../clients/queue-locks.ts'
import type { BrokerContext } from '../context.ts'
import { NO_BODY } from '../remarks.ts'
import { MAX_CLIENT_ID_LENGTH } from './clients.ts'

const { SYSTEM_ERROR } = responseCodes

/** Locks of queues for consumers in order: Apache's AdminBrokerProcessor.lockBatchMQ and unlockBatchMQ. */
export const lockHandlers: HandlersFor<
  Pick<typeof consumeRequests, 'LOCK_BATCH_MQ' | 'UNLOCK_BATCH_MQ'>,
  BrokerContext
> = {
  LOCK_BATCH_MQ({ body }, { locks, clock }) {
    const { clientId, consumerGroup, mqSet } = requested(body)
    const lockOKMQSet = mqSet.filter(queue => locks.lock(lockedQueue(consumerGroup, queue), clientId, clock.elapsed()))
    return { body: { lockOKMQSet } }
  },

  UNLOCK_BATCH_MQ({ body }, { locks }) {
    const { clientId, consumerGroup, mqSet } = requested(body)
    for (const queue of mqSet) locks.unlock(lockedQueue(consumerGroup, queue), clientId)
    return {}
  },
}

/** Apache keeps any names, so that one client could fill the memory with them. */
function requested(body: LockBatchRequest | null): LockBatchRequest {
  if (body === null) throw new ResponseError(SYSTEM_ERROR, NO_BODY)
  const { clientId, consumerGroup, mqSet } = body
  const problem =
    groupProblem(consumerGroup) ??
    (clientId.length > MAX_CLIENT_ID_LENGTH ? `the clientId has more than ${MAX_CLIENT_ID_LENGTH} characters` : null) ??
    mqSet.map(({ topic }) => topicProblem(topic)).find(each => each !== null)
  if (problem === undefined) return body
  throw new ResponseError(SYSTEM_ERROR, `${problem}; no queue was locked or unlocked`)
}

function lockedQueue(group: string, { topic, queueId }: MessageQueue): LockedQueue {
  return { group, topic, queueId }
}
