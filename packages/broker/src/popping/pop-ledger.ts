import { DueSets } from '../due-sets.ts'

/** A queue from which a group pops. */
export interface PopQueue {
  /** The topic that stores the messages: a retry topic, for messages that were not acknowledged before. */
  readonly topic: string
  readonly group: string
  readonly queueId: number
}

/** When a message was popped, and when it is visible again. */
export interface PopTimes {
  /** Milliseconds since the epoch. Acknowledgements name it, so that a late one has no effect. */
  readonly popTime: number
  /** By the broker's elapsed time, milliseconds. */
  readonly due: number
}

/** A message that was popped and is not acknowledged yet. */
export interface PoppedMessage extends PopTimes {
  readonly queue: PopQueue
  readonly offset: number
}

export interface PopLimits {
  /** Messages of one group and queue. */
  readonly perQueue: number
  readonly total: number
}

interface QueueEntry {
  readonly queue: PopQueue
  readonly messages: Map<number, PoppedMessage>
}

/**
 * The messages that were popped and not acknowledged, without store and time: what Apache keeps as checkpoints and
 * acknowledgements in its revive topic (PopBufferMergeService, PopReviveService). Here they are in memory only.
 */
export class PopLedger {
  readonly #limits: () => PopLimits
  readonly #queues = new Map<string, QueueEntry>()
  readonly #due = new DueSets<PoppedMessage>()
  #size = 0

  /** @param limits Read again at each use. */
  constructor(limits: () => PopLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#size
  }

  /** How many messages of a queue a group has popped and not acknowledged. */
  sizeOf(queue: PopQueue): number {
    return this.#queues.get(keyOf(queue))?.messages.size ?? 0
  }

  /** How many more messages a group may pop from a queue. */
  room(queue: PopQueue): number {
    const { perQueue, total } = this.#limits()
    return Math.max(Math.min(perQueue - this.sizeOf(queue), total - this.#size), 0)
  }

  /** Notes a popped message. One that was popped before, because the group went back, belongs to its last pop only. */
  add(queue: PopQueue, offset: number, { popTime, due }: PopTimes): void {
    const key = keyOf(queue)
    let entry = this.#queues.get(key)
    if (entry === undefined) this.#queues.set(key, (entry = { queue, messages: new Map() }))
    const before = entry.messages.get(offset)
    if (before === undefined) this.#size++
    else this.#due.delete(before)
    const message = { queue: entry.queue, offset, popTime, due }
    entry.messages.set(offset, message)
    this.#due.add(message)
  }

  /** @returns false if the message is not popped, or was popped again since then */
  acknowledge(queue: PopQueue, offset: number, popTime: number): boolean {
    const message = this.#find(queue, offset)
    if (message?.popTime !== popTime) return false
    this.#due.delete(message)
    this.#forget(message)
    return true
  }

  /** Makes a message visible at another time. @returns as `acknowledge` */
  postpone(queue: PopQueue, offset: number, popTime: number, to: PopTimes): boolean {
    const message = this.#find(queue, offset)
    if (message?.popTime !== popTime) return false
    this.add(queue, offset, to)
    return true
  }

  /** The messages whose time is over. They count as popped until `settle` or `postpone` is called for each. */
  takeExpired(now: number): PoppedMessage[] {
    return this.#due.take(now)
  }

  /** Whether a message is still popped with these times: not if it was acknowledged, postponed or popped again. */
  has(message: PoppedMessage): boolean {
    return this.#find(message.queue, message.offset) === message
  }

  /** Forgets an expired message: it is stored again. */
  settle(message: PoppedMessage): void {
    if (this.has(message)) this.#forget(message)
  }

  /** Forgets the messages of a deleted topic or group. */
  remove(matches: (queue: PopQueue) => boolean): void {
    for (const { queue, messages } of this.#queues.values()) {
      if (!matches(queue)) continue
      for (const message of messages.values()) {
        this.#due.delete(message)
        this.#forget(message)
      }
    }
  }

  #find(queue: PopQueue, offset: number): PoppedMessage | undefined {
    return this.#queues.get(keyOf(queue))?.messages.get(offset)
  }

  #forget({ queue, offset }: PoppedMessage): void {
    const key = keyOf(queue)
    const messages = this.#queues.get(key)?.messages
    if (!messages?.delete(offset)) return
    this.#size--
    if (messages.size === 0) this.#queues.delete(key)
  }
}

export function keyOf({ topic, group, queueId }: PopQueue): string {
  return `${topic}@${group}@${queueId}`
}
