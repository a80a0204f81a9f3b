import type { LogEntry } from './message-log.ts'

/** A queue of a group in pop mode. The topic may be the group's retry topic. */
export interface PopQueue {
  readonly topic: string
  readonly group: string
  readonly queueId: number
}

/** A popped message that is not acknowledged yet. */
export interface Popped extends PopQueue {
  readonly entry: LogEntry
  readonly ordered: boolean
  popTime: number
  invisibleMs: number
}

function keyOf({ topic, group, queueId }: PopQueue): string {
  return `${topic}@${group}@${queueId}`
}

/** The popped messages: the checkpoints and acknowledgements of Apache's broker, without the revive topic. */
export class PopLedger {
  readonly #next = new Map<string, number>()
  readonly #out = new Map<string, Popped>()

  /** All popped messages that are not acknowledged, in the order of their pops. */
  get out(): Popped[] {
    return [...this.#out.values()]
  }

  /** The offset of the next pop; undefined for a queue that was never popped. */
  nextOffset(queue: PopQueue): number | undefined {
    return this.#next.get(keyOf(queue))
  }

  skipTo(queue: PopQueue, offset: number): void {
    this.#next.set(keyOf(queue), offset)
  }

  /** Whether an ordered pop must wait for acknowledgements. */
  isBlocked(queue: PopQueue): boolean {
    return this.#outOf(queue).length > 0
  }

  handOut(queue: PopQueue, entry: LogEntry, ordered: boolean, now: number, invisibleMs: number): void {
    const { topic, group, queueId } = queue
    const popped = { topic, group, queueId, entry, ordered, popTime: now, invisibleMs }
    this.#out.set(`${keyOf(queue)}@${entry.queueOffset}`, popped)
  }

  /** False if the message is not popped, or was popped again since then: a late acknowledgement has no effect. */
  acknowledge(queue: PopQueue, offset: number, popTime: number): boolean {
    const key = `${keyOf(queue)}@${offset}`
    return this.#out.get(key)?.popTime === popTime && this.#out.delete(key)
  }

  /** Restarts the invisible time of a message. */
  postpone(queue: PopQueue, offset: number, popTime: number, now: number, invisibleMs: number): boolean {
    const popped = this.#out.get(`${keyOf(queue)}@${offset}`)
    if (popped?.popTime !== popTime) return false
    Object.assign(popped, { popTime: now, invisibleMs })
    return true
  }

  /** Removes the messages whose invisible time is over. Ordered messages are popped again from their own queue. */
  takeExpired(now: number): Popped[] {
    const expired = this.out.filter(each => each.popTime + each.invisibleMs <= now)
    for (const popped of expired) this.#out.delete(`${keyOf(popped)}@${popped.entry.queueOffset}`)
    for (const popped of expired.filter(each => each.ordered)) {
      const next = this.nextOffset(popped) ?? 0
      this.skipTo(popped, Math.min(next, popped.entry.queueOffset))
    }
    return expired.filter(each => !each.ordered)
  }

  /** The offset of the group: all messages before it are acknowledged. */
  doneUpTo(queue: PopQueue): number {
    return Math.min(this.nextOffset(queue) ?? 0, ...this.#outOf(queue).map(({ entry }) => entry.queueOffset))
  }

  #outOf(queue: PopQueue): Popped[] {
    return this.out.filter(popped => keyOf(popped) === keyOf(queue))
  }
}
