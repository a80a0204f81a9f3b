import { consumeRequests } from '@gantrymq/protocol'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { type MessageQueue, queueKey } from '../../message/message.ts'

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

/** What brokers say to who asks for queues. */
export interface Acquired {
  /** Keys of the queues that are this client's now. */
  readonly granted: ReadonlySet<string>
  /** Another client has one of them. */
  readonly isRefused: boolean
}

/** A renewal that waits for its turn. */
interface Renewal {
  readonly works: Set<LockedWork>
  readonly done: Promise<void>
}

/**
 * The brokers' locks on the queues of an orderly consumer: while it has one, nobody else in its group consumes the queue.
 * One request at a time and broker, so that a renewal never takes back a queue that is being given away.
 */
export class QueueLocks {
  readonly #instance: ClientInstance
  readonly #group: string
  /** By broker. */
  readonly #last = new Map<string, Promise<unknown>>()
  readonly #renewals = new Map<string, Renewal>()

  /** @param group with its namespace */
  constructor(instance: ClientInstance, group: string) {
    this.#instance = instance
    this.#group = group
  }

  /** Asks for queues. Never rejects. */
  async acquire(queues: readonly MessageQueue[]): Promise<Acquired> {
    const asked = byBroker(queues).map(async ([name, some]) => {
      const keys = await this.#inTurn(name, () => this.#ask(name, some))
      return {
        keys: [...(keys ?? [])],
        isRefused: keys !== undefined && some.some(queue => !keys.has(queueKey(queue))),
      }
    })
    const answers = await Promise.all(asked)
    return {
      granted: new Set(answers.flatMap(({ keys }) => keys)),
      isRefused: answers.some(({ isRefused }) => isRefused),
    }
  }

  /** Keeps the locks. What the brokers do not grant any more is lost; where none answers, nothing changes. */
  async renew(works: Iterable<LockedWork>): Promise<void> {
    const byName = Map.groupBy(works, ({ queue }) => queue.brokerName)
    await Promise.all([...byName].map(([name, some]) => this.#renewSoon(name, some)))
  }

  /** With the renewal that waits for its turn, if there is one: a broker that is slow gets no more to do. */
  #renewSoon(brokerName: string, some: readonly LockedWork[]): Promise<void> {
    const waiting = this.#renewals.get(brokerName)
    if (waiting !== undefined) {
      for (const work of some) waiting.works.add(work)
      return waiting.done
    }
    const works = new Set(some)
    const done = this.#inTurn(brokerName, () => {
      this.#renewals.delete(brokerName)
      return this.#renewAt(
        brokerName,
        [...works].filter(({ isGone }) => !isGone),
      )
    })
    this.#renewals.set(brokerName, { works, done })
    return done
  }

  async #renewAt(brokerName: string, works: readonly LockedWork[]): Promise<void> {
    if (works.length === 0) return
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
  async release(queues: readonly MessageQueue[]): Promise<void> {
    const given = byBroker(queues).map(([name, some]) => this.#inTurn(name, () => this.#unlockAt(name, some)))
    await Promise.all(given)
  }

  async #unlockAt(brokerName: string, mqSet: readonly MessageQueue[]): Promise<void> {
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

  #inTurn<T>(brokerName: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(brokerName) ?? Promise.resolve()).then(work)
    this.#last.set(
      brokerName,
      turn.catch(() => {}),
    )
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
