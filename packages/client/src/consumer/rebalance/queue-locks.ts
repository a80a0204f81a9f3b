import { consumeRequests } from '@gantrymq/protocol'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { type MessageQueue, queueKey } from '../../message/message.ts'

/** A queue that is held under a lock. */
export interface LockedQueue {
  readonly queue: MessageQueue
  /** The queue was given up or lost. Not yet true while its last message is being consumed. */
  readonly isReleased: boolean
  readonly process: { locked: boolean; lastLockAt: number }
  /** Another client may have the queue: its results do not count, and it has to be dropped and added again. */
  lose(): void
}

/** How long the broker may take, in milliseconds, as in Apache's RebalanceImpl. */
const TIMEOUT_MS = 1000
/** How long a broker keeps a lock that is not renewed, in milliseconds (Apache's rocketmq.broker.rebalance.lockMaxLiveTime). */
const BROKER_LIFE_MS = 60_000

/** What the brokers answered to a request for locks. */
export interface AcquiredLocks {
  /** Keys of the queues that are locked for this client now. */
  readonly granted: ReadonlySet<string>
  /** Whether another client has the lock of one of the queues. */
  readonly isRefused: boolean
}

/** A renewal that waits for the requests before it. */
interface Renewal {
  readonly queues: Set<LockedQueue>
  readonly done: Promise<void>
}

/**
 * The brokers' locks on the queues of an orderly consumer: while it has a lock, no other member of its group consumes the
 * queue. Each broker gets one request at a time, so that a renewal never locks a queue again that is being unlocked.
 */
export class QueueLocks {
  readonly #instance: ClientInstance
  readonly #group: string
  /** The last request, by broker. */
  readonly #last = new Map<string, Promise<unknown>>()
  readonly #renewals = new Map<string, Renewal>()
  /** Queues whose lock a broker may have granted after the request for it had timed out, by key. */
  readonly #unsure = new Map<string, MessageQueue>()

  /** @param group with its namespace */
  constructor(instance: ClientInstance, group: string) {
    this.#instance = instance
    this.#group = group
  }

  /** Asks for the locks of queues. Never rejects. */
  async acquire(queues: readonly MessageQueue[]): Promise<AcquiredLocks> {
    const asked = byBroker(queues).map(async ([name, some]) => {
      const keys = await this.#inTurn(name, () => this.#lock(name, some))
      for (const queue of some) {
        if (keys === undefined) this.#unsure.set(queueKey(queue), queue)
        else this.#unsure.delete(queueKey(queue))
      }
      if (keys === undefined) void this.#giveBack(name, some)
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

  // Another member would wait for a minute for a lock that no one uses.
  async #giveBack(brokerName: string, queues: readonly MessageQueue[]): Promise<void> {
    const isUnsure = (queue: MessageQueue): boolean => this.#unsure.has(queueKey(queue))
    await this.#inTurn(brokerName, () => this.#unlockAt(brokerName, queues.filter(isUnsure)))
  }

  /** Renews the locks. Queues whose lock the broker refuses are lost; if the broker does not answer, nothing changes. */
  async renew(queues: Iterable<LockedQueue>): Promise<void> {
    const byName = Map.groupBy(queues, ({ queue }) => queue.brokerName)
    const unsure = byBroker([...this.#unsure.values()]).map(([name, some]) => this.#giveBack(name, some))
    await Promise.all([...unsure, ...[...byName].map(([name, some]) => this.#renewSoon(name, some))])
  }

  /** Joins a renewal that still waits, if there is one, so that a slow broker gets no additional requests. */
  #renewSoon(brokerName: string, some: readonly LockedQueue[]): Promise<void> {
    const waiting = this.#renewals.get(brokerName)
    if (waiting !== undefined) {
      for (const each of some) waiting.queues.add(each)
      return waiting.done
    }
    const queues = new Set(some)
    const done = this.#inTurn(brokerName, () => {
      this.#renewals.delete(brokerName)
      return this.#renewAt(
        brokerName,
        [...queues].filter(({ isReleased }) => !isReleased),
      )
    })
    this.#renewals.set(brokerName, { queues, done })
    return done
  }

  async #renewAt(brokerName: string, queues: readonly LockedQueue[]): Promise<void> {
    if (queues.length === 0) return
    const asked = this.#instance.clock.elapsed()
    const granted = await this.#lock(
      brokerName,
      queues.map(({ queue }) => queue),
    )
    if (granted === undefined) return
    for (const each of queues) {
      // A lock that was not renewed for this long had expired, so another client may have had it meanwhile.
      const hadExpired = asked - each.process.lastLockAt > BROKER_LIFE_MS
      if (!granted.has(queueKey(each.queue)) || hadExpired) lose(each)
      else Object.assign(each.process, { locked: true, lastLockAt: asked })
    }
  }

  /** The keys of the locked queues; undefined if the broker did not answer. */
  async #lock(brokerName: string, mqSet: readonly MessageQueue[]): Promise<ReadonlySet<string> | undefined> {
    const { brokers, clientId, log } = this.#instance
    const address = brokers.master(brokerName)
    if (address === undefined) return undefined
    const body = { clientId, consumerGroup: this.#group, mqSet }
    try {
      const input = { header: { bname: brokerName }, body }
      const reply = await this.#instance.call(address, consumeRequests.LOCK_BATCH_MQ, input, { timeoutMs: TIMEOUT_MS })
      return new Set((reply.body?.lockOKMQSet ?? []).map(queueKey))
    } catch (error) {
      log.warn({ group: this.#group, brokerName, error: String(error) }, 'cannot lock queues')
      return undefined
    }
  }

  /** Unlocks queues. Never rejects: a broker that cannot be reached frees them after a minute. */
  async release(queues: readonly MessageQueue[]): Promise<void> {
    const all = new Map([...this.#unsure.values(), ...queues].map(queue => [queueKey(queue), queue]))
    const unlocked = byBroker([...all.values()]).map(([name, some]) =>
      this.#inTurn(name, () => this.#unlockAt(name, some)),
    )
    await Promise.all(unlocked)
  }

  async #unlockAt(brokerName: string, mqSet: readonly MessageQueue[]): Promise<void> {
    const { brokers, clientId, log } = this.#instance
    const address = brokers.master(brokerName)
    if (address === undefined || mqSet.length === 0) return
    const input = { header: { bname: brokerName }, body: { clientId, consumerGroup: this.#group, mqSet } }
    try {
      await this.#instance.call(address, consumeRequests.UNLOCK_BATCH_MQ, input, { timeoutMs: TIMEOUT_MS })
      for (const queue of mqSet) this.#unsure.delete(queueKey(queue))
    } catch (error) {
      log.warn({ group: this.#group, brokerName, error: String(error) }, 'cannot unlock queues')
    }
  }

  #inTurn<T>(brokerName: string, request: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(brokerName) ?? Promise.resolve()).then(request)
    this.#last.set(
      brokerName,
      turn.catch(() => {}),
    )
    return turn
  }
}

function lose(locked: LockedQueue): void {
  locked.process.locked = false
  locked.lose()
}

function byBroker(queues: readonly MessageQueue[]): [string, MessageQueue[]][] {
  return [...Map.groupBy(queues, ({ brokerName }) => brokerName)]
}
