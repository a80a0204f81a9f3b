import { consumeRequests } from '@gantrymq/protocol'
import type { ClientInstance } from '../client-instance.ts'
import { type MessageQueue, queueKey } from '../message.ts'

/** A queue that is held under a lock. */
export interface LockedWork {
  readonly queue: MessageQueue
  /** Given back, or lost. One whose last message is in the works is neither. */
  readonly isGone: boolean
  readonly process: { locked: boolean; lastLockAt: number }
  /** Another client may have it: nothing of it counts any more, it has to be taken up anew. */
  lose(): void
}

/** How long the broker may take, milliseconds (Apache 1,000). */
const TIMEOUT_MS = 1000
/** A broker keeps a lock that is not renewed for so long, milliseconds (Apache's lockMaxLiveTime). */
const BROKER_LIFE_MS = 60_000

/**
 * The brokers' locks on the queues of an orderly consumer: while it has one, nobody else in its group consumes the queue.
 * One request at a time, so that a renewal never takes back a queue that is being given away.
 */
export class QueueLocks {
  readonly #instance: ClientInstance
  readonly #group: string
  #last: Promise<unknown> = Promise.resolve()

  /** @param group with its namespace */
  constructor(instance: ClientInstance, group: string) {
    this.#instance = instance
    this.#group = group
  }

  /** Asks for queues. Returns the keys of those that are this client's now. Never rejects. */
  acquire(queues: readonly MessageQueue[]): Promise<ReadonlySet<string>> {
    return this.#inTurn(async () => {
      const answers = await Promise.all(byBroker(queues).map(([name, some]) => this.#ask(name, some)))
      return new Set(answers.flatMap(keys => [...(keys ?? [])]))
    })
  }

  /** Keeps the locks. What the brokers do not grant any more is lost; where none answers, nothing changes. */
  renew(works: Iterable<LockedWork>): Promise<void> {
    return this.#inTurn(async () => {
      const held = [...works].filter(({ isGone }) => !isGone)
      const byName = Map.groupBy(held, ({ queue }) => queue.brokerName)
      await Promise.all([...byName].map(([name, some]) => this.#renewAt(name, some)))
    })
  }

  async #renewAt(brokerName: string, works: readonly LockedWork[]): Promise<void> {
    const asked = this.#instance.clock.elapsed()
    const granted = await this.#ask(
      brokerName,
      works.map(({ queue }) => queue),
    )
    if (granted === undefined) return
    for (const work of works) {
      // A lock that was silent for so long may have been somebody else's meanwhile.
      const wasFree = asked - work.process.lastLockAt > BROKER_LIFE_MS
      if (!granted.has(queueKey(work.queue)) || wasFree) lose(work)
      else Object.assign(work.process, { locked: true, lastLockAt: asked })
    }
  }

  /** Undefined if the broker did not answer. */
  async #ask(brokerName: string, mqSet: readonly MessageQueue[]): Promise<ReadonlySet<string> | undefined> {
    const { brokers, clientId, log } = this.#instance
    const address = brokers.master(brokerName)
    if (address === undefined) return undefined
    const body = { clientId, consumerGroup: this.#group, mqSet }
    try {
      const input = { header: { bname: brokerName }, body }
      const reply = await this.#instance.call(address, consumeRequests.LOCK_BATCH_MQ, input, { timeoutMs: TIMEOUT_MS })
      return new Set((reply.body?.lockOKMQSet ?? []).map(queueKey))
    } catch (error) {
      log.warn({ group: this.#group, brokerName, error: String(error) }, 'queues not locked')
      return undefined
    }
  }

  /** Gives queues back. Never rejects: a broker that does not hear of it frees them after a minute. */
  release(queues: readonly MessageQueue[]): Promise<void> {
    return this.#inTurn(async () => {
      await Promise.all(byBroker(queues).map(([name, some]) => this.#giveBack(name, some)))
    })
  }

  async #giveBack(brokerName: string, mqSet: readonly MessageQueue[]): Promise<void> {
    const { brokers, clientId, log } = this.#instance
    const address = brokers.master(brokerName)
    if (address === undefined) return
    const input = { header: { bname: brokerName }, body: { clientId, consumerGroup: this.#group, mqSet } }
    try {
      await this.#instance.call(address, consumeRequests.UNLOCK_BATCH_MQ, input, { timeoutMs: TIMEOUT_MS })
    } catch (error) {
      log.warn({ group: this.#group, brokerName, error: String(error) }, 'queues not unlocked')
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }
}

function lose(work: LockedWork): void {
  work.process.locked = false
  work.lose()
}

function byBroker(queues: readonly MessageQueue[]): [string, MessageQueue[]][] {
  return [...Map.groupBy(queues, ({ brokerName }) => brokerName)]
}
