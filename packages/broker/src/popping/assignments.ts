import { averagely, averagelyByCircle, type MessageQueue, sortClientIds, sortQueues } from '@gantrymq/protocol'
import { RemotingError } from '@gantrymq/remoting'
import type { RequestMode } from './request-modes.ts'

/** What the queues of one consumer depend on. */
export interface AssignmentQuestion {
  readonly group: string
  readonly clientId: string
  /** Name of the strategy: `AVG` or `AVG_BY_CIRCLE`. */
  readonly strategyName: string
  /** All queues of the topic, of all brokers. */
  readonly queues: readonly MessageQueue[]
  /** Ids of all members of the group. */
  readonly clientIds: readonly string[]
  readonly mode: RequestMode
}

const strategies = new Map([averagely, averagelyByCircle].map(each => [each.name, each]))
/** The queue id that means all queues of a broker. */
const ANY_QUEUE = -1

/**
 * The queues of one consumer: Apache's QueryAssignmentProcessor.doLoadBalance.
 * @returns undefined if they cannot be found: the consumer keeps the queues that it has
 */
export function assignedQueues(question: AssignmentQuestion): MessageQueue[] | undefined {
  const { mode, strategyName } = question
  const queues = sortQueues(question.queues)
  const clientIds = sortClientIds(new Set(question.clientIds))
  const strategy = strategies.get(strategyName)
  if (strategy === undefined || queues.length === 0 || clientIds.length === 0) return undefined
  const { group, clientId } = question
  if (isForAll(mode, clientIds.length)) return anyQueueOfEachBroker(queues)
  try {
    const assigned = (id: string) => strategy.assign({ group, clientId: id, queues, clientIds })
    if (mode.mode === 'PULL') return [...assigned(clientId)]
    const index = clientIds.indexOf(clientId)
    if (clientIds.length > queues.length) return index < 0 ? [] : [queues[index % queues.length]!]
    // Each member also pops the queues of the members behind it.
    const others = index < 0 ? 0 : mode.popShareQueueNum
    const sharing = [
      clientId,
      ...Array.from({ length: others }, (_, at) => clientIds[(index + 1 + at) % clientIds.length]!),
    ]
    return sharing.flatMap(id => [...assigned(id)])
  } catch (error) {
    if (error instanceof RemotingError && error.code === 'BAD_OPTION') return undefined
    throw error
  }
}

function isForAll({ mode, popShareQueueNum }: RequestMode, clients: number): boolean {
  return mode === 'POP' && (popShareQueueNum <= 0 || popShareQueueNum >= clients - 1)
}

function anyQueueOfEachBroker(queues: readonly MessageQueue[]): MessageQueue[] {
  const byBroker = new Map(queues.map(queue => [queue.brokerName, { ...queue, queueId: ANY_QUEUE }]))
  return [...byBroker.values()]
}
