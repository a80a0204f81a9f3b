import {
  type ConsumeFromWhere,
  groupProblem,
  isRetryTopic,
  topicProblem,
  unwrapNamespace,
  wrapNamespace,
} from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import type { MessageQueue } from '../../message/message.ts'
import type { ConsumeFrom } from '../offsets/start-offset.ts'

/** The group a user gave. @throws ClientError BAD_OPTION, BAD_NAME */
export function checkedGroup(group: unknown): string {
  if (typeof group !== 'string') {
    throw new ClientError('BAD_OPTION', 'option group must be a text: the name of the group')
  }
  const problem = groupProblem(group)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  return group
}

/** The topic a user gave, with its namespace. @throws ClientError BAD_NAME */
export function checkedTopic(namespace: string, topic: string): string {
  const problem = topicProblem(topic)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  return wrapNamespace(namespace, topic)
}

/** A queue that a user gave, its topic with or without the namespace. @throws ClientError BAD_NAME */
export function checkedQueue(namespace: string, queue: MessageQueue): MessageQueue {
  const topic = checkedTopic(namespace, queue.topic)
  return topic === queue.topic ? queue : { ...queue, topic }
}

/** The same object for the same queue, so that a message costs no new one. */
const shown = new WeakMap<MessageQueue, MessageQueue>()

/** A queue as the user names it. */
export function shownQueue(namespace: string, queue: MessageQueue): MessageQueue {
  if (namespace === '') return queue
  const known = shown.get(queue)
  if (known !== undefined) return known
  const topic = shownTopic(namespace, queue.topic)
  const own = topic === queue.topic ? queue : { ...queue, topic }
  shown.set(queue, own)
  return own
}

/** A topic as the user names it. Retry topics of popping groups have the name of group and topic inside. */
function shownTopic(namespace: string, topic: string): string {
  const first = unwrapNamespace(namespace, topic)
  if (!isRetryTopic(topic)) return first
  return first.replace(`_${namespace}%`, '_').replace(`+${namespace}%`, '+')
}

/** What heartbeats tell of where a new group begins. */
export function consumeFromWhere(from: ConsumeFrom): ConsumeFromWhere {
  if (from instanceof Date) return 'CONSUME_FROM_TIMESTAMP'
  return from === 'first' ? 'CONSUME_FROM_FIRST_OFFSET' : 'CONSUME_FROM_LAST_OFFSET'
}
