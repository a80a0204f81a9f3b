import { isRetryTopic, unwrapNamespace } from '@gantrymq/protocol'
import type { MessageQueue } from './message.ts'

/** One object per queue, so that a message does not allocate another. */
const shown = new WeakMap<MessageQueue, MessageQueue>()

/** A queue with its topic as the user names it: without the namespace. */
export function shownQueue(namespace: string, queue: MessageQueue): MessageQueue {
  if (namespace === '') return queue
  const known = shown.get(queue)
  if (known !== undefined) return known
  const topic = shownTopic(namespace, queue.topic)
  const own = topic === queue.topic ? queue : { ...queue, topic }
  shown.set(queue, own)
  return own
}

/** Retry topics of groups that pop contain the names of the group and the topic, each with its namespace. */
function shownTopic(namespace: string, topic: string): string {
  const outer = unwrapNamespace(namespace, topic)
  if (!isRetryTopic(topic)) return outer
  return outer.replace(`_${namespace}%`, '_').replace(`+${namespace}%`, '+')
}
