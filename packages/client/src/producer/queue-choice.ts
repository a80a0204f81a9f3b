import { type Hashable, unwrapNamespace } from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import { problemWith, queue as queueRule } from '../fields.ts'
import type { MessageQueue, OutgoingMessage } from '../message/message.ts'
import { queueByHash, type QueueSelector } from './queue-picker.ts'

/** How the queue of a message is chosen. Default: the queues take turns. */
export interface QueueChoice<Body> {
  /** Sends to this queue, and is not retried at another. */
  readonly queue?: MessageQueue | undefined
  /** Sends messages with equal keys to the same queue, in order: the queue that Java's SelectMessageQueueByHash takes. */
  readonly hashKey?: Hashable | undefined
  /** Chooses the queue. The message is not retried at another. */
  readonly selector?: QueueSelector<OutgoingMessage<Body>> | undefined
}

/**
 * The queue that the caller chose; undefined if it chose none.
 * @throws ClientError BAD_OPTION if the queue is of another topic, or the selector throws or returns no queue
 */
export function chosenQueue<Body>(
  queues: readonly MessageQueue[],
  message: OutgoingMessage<Body>,
  { queue, hashKey, selector }: QueueChoice<Body>,
): MessageQueue | undefined {
  if (queue !== undefined) return ofTopic(queue, message.topic)
  if (selector !== undefined) return selected(queues, message, selector)
  const key = hashKey ?? message.shardingKey
  if (key === undefined) return undefined
  if (['string', 'number', 'bigint', 'boolean'].includes(typeof key)) return queueByHash(queues, key)
  throw new ClientError('BAD_OPTION', 'option hashKey must be a string, a number, a bigint or a boolean')
}

function ofTopic(queue: MessageQueue, topic: string): MessageQueue {
  const problem = problemWith('option queue', queue, queueRule)
  if (problem !== undefined) throw new ClientError('BAD_OPTION', problem)
  if (queue.topic === topic) return queue
  throw new ClientError('BAD_OPTION', `the message is of topic ${topic}, but option queue of ${queue.topic}`)
}

function selected<Body>(
  queues: readonly MessageQueue[],
  message: OutgoingMessage<Body>,
  selector: QueueSelector<OutgoingMessage<Body>>,
): MessageQueue {
  let queue: MessageQueue | undefined
  try {
    queue = selector(queues, message)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ClientError('BAD_OPTION', `option selector threw: ${why}`, { cause })
  }
  if (typeof queue?.brokerName === 'string' && Number.isInteger(queue.queueId)) return ofTopic(queue, message.topic)
  throw new ClientError('BAD_OPTION', 'option selector must return one of the queues that it gets')
}

const bareLists = new WeakMap<readonly MessageQueue[], readonly MessageQueue[]>()

/** The queues without the namespace in their topics. One array always gives the same array, because QueuePicker keeps turns per array. */
export function withoutNamespace(queues: readonly MessageQueue[], namespace: string): readonly MessageQueue[] {
  if (namespace === '') return queues
  let bare = bareLists.get(queues)
  if (bare === undefined) {
    bare = queues.map(queue => ({ ...queue, topic: unwrapNamespace(namespace, queue.topic) }))
    bareLists.set(queues, bare)
  }
  return bare
}
