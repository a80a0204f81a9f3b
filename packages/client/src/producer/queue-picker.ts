import { type Hashable, javaHash } from '@gantrymq/protocol'
import type { MessageQueue } from '../message/message.ts'
import type { FaultLatency } from './fault-latency.ts'

/** What is known of the attempts before this one. */
export interface PickContext {
  /** The broker of the attempt that failed, for a retry. */
  readonly lastBroker?: string | undefined
  /** Given where brokers are rested by fault latency. */
  readonly faults?: FaultLatency | undefined
  /** Milliseconds of the clock that `faults` was told. */
  readonly now: number
}

const MAX_START = 2 ** 31

/**
 * Takes turns over the queues of each topic, from a random one on (Apache's TopicPublishInfo and MQFaultStrategy).
 * Turns belong to the list of queues: a new list, as after a change of the route, starts anew.
 */
export class QueuePicker {
  readonly #random: () => number
  readonly #turns = new WeakMap<readonly MessageQueue[], { index: number }>()

  /** @param random gives 0 to below 1 */
  constructor(random: () => number) {
    this.#random = random
  }

  /**
   * The queue to send to next: not on the broker that just failed while there is another; with `faults` first one that
   * is not resting, then one that is reachable, then one of the better half, then any other. Undefined if there is no queue.
   */
  next(queues: readonly MessageQueue[], { lastBroker, faults, now }: PickContext): MessageQueue | undefined {
    const turn = this.#turnOf(queues)
    const other = (queue: MessageQueue) => queue.brokerName !== lastBroker
    if (faults === undefined) return walk(queues, turn, other) ?? step(queues, turn)
    if (lastBroker !== undefined) turn.index = this.#start()
    return (
      walk(queues, turn, queue => other(queue) && faults.isAvailable(queue.brokerName, now)) ??
      walk(queues, turn, queue => other(queue) && faults.isReachable(queue.brokerName)) ??
      ofBetterHalf(queues, turn, faults, now, other) ??
      walk(queues, turn, other) ??
      step(queues, turn)
    )
  }

  #turnOf(queues: readonly MessageQueue[]): { index: number } {
    let turn = this.#turns.get(queues)
    if (turn === undefined) {
      turn = { index: this.#start() }
      this.#turns.set(queues, turn)
    }
    return turn
  }

  #start(): number {
    return Math.floor(this.#random() * MAX_START)
  }
}

function step(queues: readonly MessageQueue[], turn: { index: number }): MessageQueue | undefined {
  turn.index = (turn.index + 1) % (queues.length || 1)
  return queues[turn.index]
}

function walk(
  queues: readonly MessageQueue[],
  turn: { index: number },
  accepts: (queue: MessageQueue) => boolean,
): MessageQueue | undefined {
  for (let tried = 0; tried < queues.length; tried++) {
    const queue = step(queues, turn)
    if (queue && accepts(queue)) return queue
  }
  return undefined
}

function ofBetterHalf(
  queues: readonly MessageQueue[],
  turn: { index: number },
  faults: FaultLatency,
  now: number,
  accepts: (queue: MessageQueue) => boolean,
): MessageQueue | undefined {
  const better = new Set(faults.betterHalf(now))
  return walk(queues, turn, queue => accepts(queue) && better.has(queue.brokerName))
}

/** Chooses a queue for a message; its argument is what the sender gave along. Runs in the sender's process, before the send. */
export type QueueSelector<Message = unknown> = (
  queues: readonly MessageQueue[],
  message: Message,
) => MessageQueue | undefined

/** The queue that a key belongs to: the one where Java's SelectMessageQueueByHash puts an equal key. */
export function queueByHash(queues: readonly MessageQueue[], key: Hashable): MessageQueue | undefined {
  return queues[Math.abs(javaHash(key) % queues.length)]
}

/** Any of the queues, each as likely. `random` gives 0 to below 1. */
export function queueByRandom(queues: readonly MessageQueue[], random: () => number): MessageQueue | undefined {
  return queues[Math.floor(random() * queues.length)]
}
