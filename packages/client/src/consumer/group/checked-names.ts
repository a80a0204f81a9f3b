import { groupProblem, topicProblem, wrapNamespace } from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import type { MessageQueue } from '../../message/message.ts'

/** Checks a group name that the user gave. @throws ClientError BAD_OPTION, BAD_NAME */
export function checkedGroup(group: unknown): string {
  if (typeof group !== 'string') {
    throw new ClientError('BAD_OPTION', 'option group must be a string: the name of the group')
  }
  const problem = groupProblem(group)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  return group
}

/** Checks a topic name that the user gave, and adds the namespace. @throws ClientError BAD_NAME */
export function checkedTopic(namespace: string, topic: string): string {
  const problem = topicProblem(topic)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  return wrapNamespace(namespace, topic)
}

/** Checks a queue that the user gave, and adds the namespace to its topic if it is missing. @throws ClientError BAD_NAME */
export function checkedQueue(namespace: string, queue: MessageQueue): MessageQueue {
  const topic = checkedTopic(namespace, queue.topic)
  return topic === queue.topic ? queue : { ...queue, topic }
}
