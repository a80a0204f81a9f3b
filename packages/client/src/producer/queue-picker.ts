import { type Hashable, javaHash } from '@gantrymq/protocol'
import type { MessageQueue } from '../message/message.ts'
import type { FaultLatency } from './fault-latency.ts'

/** What a pick depends on besides the queues. */
export interface PickContext {
  /** For a retry, the broker of the failed attempt. */
  readonly lastBroker?: string | undefined
  /** Given when slow and failed brokers are to be avoided. */
  readonly faults?: FaultLatency | undefined
  /** Milliseconds, by the clock of the times in `faults`. */
  readonly now: number
}

const MAX_START = 2 ** 31

/**
 * Takes the queues of each topic in turn, starting with a random one (Apache's TopicPublishInfo and MQFaultStrategy). A new
 * array of queues, as after a change of the route, starts at random again.
 */
export class QueuePicker {
  readonly #random: () => number
  readonly #turns = new WeakMap<readonly MessageQueue[], { index: number }>()

  /** @param random Returns 0 to below 1. */
  constructor(random: () => number) {
    this.#random = random
  }

  /**
   * The next queue to send to, not on the broker that has just failed if there is another. With `faults` it prefers an
   * available broker, then a reachable one, then one of the better half. Undefined if there is no queue.
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

/** Chooses a queue for a message. Called before each send. */
export type QueueSelector<Message = unknown> = (
  queues: readonly MessageQueue[],
  message: Message,
) => MessageQueue | undefined

/** The queue of a key: the one that Java's SelectMessageQueueByHash chooses for an equal key. */
export function queueByHash(queues: readonly MessageQueue[], key: Hashable): MessageQueue | undefined {
  return queues[Math.abs(javaHash(key) % queues.length)]
}

/** One of the queues, all equally likely. `random` returns 0 to below 1. */
export function queueByRandom(queues: readonly MessageQueue[], random: () => number): MessageQueue | undefined {
  return queues[Math.floor(random() * queues.length)]
}
