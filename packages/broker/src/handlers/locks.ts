import { type consumeRequests, type LockBatchRequest, type MessageQueue, responseCodes } from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { LockedQueue } from '../clients/queue-locks.ts'
import type { BrokerContext } from '../context.ts'
import { NO_BODY } from '../remarks.ts'

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

function requested(body: LockBatchRequest | null): LockBatchRequest {
  if (body === null) throw new ResponseError(responseCodes.SYSTEM_ERROR, NO_BODY)
  return body
}

function lockedQueue(group: string, { topic, queueId }: MessageQueue): LockedQueue {
  return { group, topic, queueId }
}
