import { popRequests } from '@gantrymq/protocol'
import { REQUEST_CODE_NOT_SUPPORTED } from '@gantrymq/remoting'
import { Deadline } from '../../deadline.ts'
import { ClientError } from '../../errors.ts'
import { findAnyAddress } from '../../routes/find-broker.ts'
import type { Assigned, RebalanceCore } from './rebalancer.ts'

/** Apache's broker knows two strategies; AVG is its own. */
const STRATEGIES = new Set(['AVG', 'AVG_BY_CIRCLE'])

/**
 * Asks the brokers of a topic for this client's queues, and whether to pull or to pop them. Undefined: they cannot tell, and
 * all stays as it is. `own`: they do not know the question (4.9), so that clients share by themselves.
 * @throws ClientError if no broker answers
 */
export async function queryAssignment(
  core: RebalanceCore,
  topic: string,
  signal?: AbortSignal,
): Promise<readonly Assigned[] | 'own' | undefined> {
  const { route } = await core.instance.routes.get(topic, { signal })
  let failure: unknown = new ClientError('BROKER_MISSING', `topic ${topic} has no broker`, { retriable: true })
  for (const { brokerName } of route.brokerDatas) {
    try {
      return await askBroker(core, topic, brokerName, signal)
    } catch (error) {
      if (error instanceof ClientError && error.responseCode === REQUEST_CODE_NOT_SUPPORTED) return 'own'
      failure = error
    }
  }
  throw failure
}

async function askBroker(core: RebalanceCore, topic: string, brokerName: string, signal: AbortSignal | undefined) {
  const { instance, group, settings } = core
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
