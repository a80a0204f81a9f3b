import { popRequests } from '@gantrymq/protocol'
import { REQUEST_CODE_NOT_SUPPORTED } from '@gantrymq/remoting'
import { Deadline } from '../../deadline.ts'
import { ClientError } from '../../errors.ts'
import { findAnyAddress } from '../../routes/find-broker.ts'
import type { AssignedQueue, RebalanceContext } from './context.ts'

/** The strategies that Apache's brokers know. AVG is their default. */
const STRATEGIES = new Set(['AVG', 'AVG_BY_CIRCLE'])

/**
 * What the brokers assign: this client's queues; `by-client` if they do not know the request (4.9) and leave the assignment to
 * the clients; undefined if they have no assignment now, so that nothing changes.
 */
export type BrokerAssignment = readonly AssignedQueue[] | 'by-client' | undefined

/** Asks the brokers of a topic for this client's queues, and whether to pull or to pop them. @throws ClientError if none answers */
export async function queryAssignment(
  context: RebalanceContext,
  topic: string,
  signal?: AbortSignal,
): Promise<BrokerAssignment> {
  const { route } = await context.instance.routes.get(topic, { signal })
  let failure: unknown = new ClientError('BROKER_MISSING', `topic ${topic} has no broker`, { retriable: true })
  for (const { brokerName } of route.brokerDatas) {
    try {
      return await askBroker(context, topic, brokerName, signal)
    } catch (error) {
      if (error instanceof ClientError && error.responseCode === REQUEST_CODE_NOT_SUPPORTED) return 'by-client'
      failure = error
    }
  }
  throw failure
}

async function askBroker(
  { instance, group, settings }: RebalanceContext,
  topic: string,
  brokerName: string,
  signal: AbortSignal | undefined,
): Promise<readonly AssignedQueue[] | undefined> {
  const deadline = Deadline.of(instance.clock, { signal }, instance.options.requestTimeoutMs)
  const address = await findAnyAddress(instance, { topic, brokerName }, deadline)
  const { name } = settings.allocate
  const body = {
    topic,
    consumerGroup: group,
    clientId: instance.clientId,
    strategyName: STRATEGIES.has(name) ? name : 'AVG',
    messageModel: 'CLUSTERING',
  } as const
  const reply = await instance.call(address, popRequests.QUERY_ASSIGNMENT, { body }, deadline.options())
  return reply.body?.messageQueueAssignments
    ?.filter(({ messageQueue }) => messageQueue.topic === topic && messageQueue.brokerName !== '')
    .map(({ messageQueue: queue, mode }) => ({ queue, mode }))
}
