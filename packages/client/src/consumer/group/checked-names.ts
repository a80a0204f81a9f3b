import { defaultGroupProblem } from '../../options.ts'
import { groupProblem, topicProblem, wrapNamespace } from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import { name, object, problemWith, queue as queueRule, shown } from '../../fields.ts'
import type { MessageQueue } from '../../message/message.ts'

const topicRule = name('a topic')

/** The group of Apache's consumers without a name, which its client refuses (DefaultMQPushConsumerImpl.checkConfig). */
const DEFAULT_GROUP = 'DEFAULT_CONSUMER'

/** Subscriptions by topic, as a user gave them. @throws ClientError BAD_OPTION */
export function checkedSubscriptions<T>(who: string, given: T): T {
  const problem = problemWith('option subscriptions', given, subscriptionsRule)
  if (problem === undefined) return given
  throw new ClientError('BAD_OPTION', `${who}: ${problem}`)
}

const subscriptionsRule = object("an object such as { Orders: '*' }")

/** Checks a group name that the user gave. @throws ClientError BAD_OPTION, BAD_NAME */
export function checkedGroup(group: unknown): string {
  if (typeof group !== 'string') {
    throw new ClientError('BAD_OPTION', `option group must be a string: the name of the group, not ${shown(group)}`)
  }
  const problem = group === DEFAULT_GROUP ? defaultGroupProblem(group) : groupProblem(group)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  return group
}

/** Checks a topic name that the user gave, and adds the namespace. @throws ClientError BAD_NAME */
export function checkedTopic(namespace: string, topic: string): string {
  const wrong = problemWith('the topic', topic, topicRule)
  if (wrong !== undefined) throw new ClientError('BAD_NAME', wrong)
  const problem = topicProblem(topic)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  return wrapNamespace(namespace, topic)
}

/**
 * Checks a queue that the user gave, and adds the namespace to its topic if it is missing.
 * @throws ClientError BAD_NAME, BAD_OPTION
 */
export function checkedQueue(namespace: string, queue: MessageQueue): MessageQueue {
  const wrong = problemWith('the queue', queue, queueRule)
  if (wrong !== undefined) throw new ClientError('BAD_OPTION', wrong)
  const topic = checkedTopic(namespace, queue.topic)
  return topic === queue.topic ? queue : { ...queue, topic }
}
