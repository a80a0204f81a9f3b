import { isRetryTopic, membershipRequests, type MessageRequestMode } from '@gantrymq/protocol'
import { pause } from '../deadline.ts'
import { type MessageQueue, queueKey } from '../message.ts'
import { sortClientIds, sortQueues } from './assignment.ts'
import type { ConsumerCore } from './consumer-core.ts'
import type { ProcessQueue } from './process-queue.ts'
import type { PushSettings } from './push-options.ts'
import type { QueueLocks } from './queue-locks.ts'
import type { QueueWork } from './queue-work.ts'
import { isBalanced, planRebalance } from './rebalance-plan.ts'

/** A round that left something open is repeated after so long, milliseconds (5.x). */
const SOON_MS = 1000

/** Work on one queue, as rebalancing sees it: it may pull it, pop it, or leave it to the user. */
export interface HeldWork
  extends Pick<QueueWork<never>, 'queue' | 'isDropped' | 'isExpired' | 'start' | 'stopPulling' | 'drop' | 'wake'> {
  readonly process: Omit<ProcessQueue<never>, 'first' | 'messages' | 'put' | 'remove' | 'take' | 'putBack'>
}

/** What rebalancing wants of a consumer. */
export interface RebalanceCore
  extends Pick<ConsumerCore<unknown>, 'instance' | 'group' | 'offsets' | 'subscriptions' | 'isPaused'> {
  readonly settings: Pick<PushSettings, 'rebalanceMs' | 'broadcast' | 'allocate'>
}

/** A queue of this consumer, and whether to pull or to pop it. */
export interface Assigned {
  readonly queue: MessageQueue
  readonly mode: MessageRequestMode
}

export interface RebalancerOptions<W extends HeldWork> {
  readonly core: RebalanceCore
  /** Of orderly consumers that share their queues. */
  readonly locks: QueueLocks | undefined
  /** Begins with a queue; undefined if that has to wait for another round. */
  readonly work: (queue: MessageQueue, mode: MessageRequestMode) => Promise<W | undefined>
  /** Brokers that share out the queues (5.x); undefined keeps all as it is. Left out: this client does it. */
  readonly assignedBy?: ((topic: string) => Promise<readonly Assigned[] | undefined>) | undefined
  /** The queues have changed: limits, heartbeats and listeners want to know. */
  readonly onChange: (topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => void
}

/**
 * Decides which queues this consumer works on, and holds the work. One round at a time; asked during a round, it makes
 * another. Apache's RebalanceImpl and RebalancePushImpl.
 */
export class Rebalancer<W extends HeldWork> {
  readonly #options: RebalancerOptions<W>
  readonly #held = new Map<string, W>()
  readonly #modes = new WeakMap<W, MessageRequestMode>()
  /** Topics in whose member list this client was missing last time. */
  readonly #missing = new Set<string>()
  #round: Promise<void> | undefined
  #again = false
  #timer: Disposable | undefined
  readonly #stop = new AbortController()

  constructor(options: RebalancerOptions<W>) {
    this.#options = options
  }

  get held(): Iterable<W> {
    return this.#held.values()
  }

  get size(): number {
    return this.#held.size
  }

  find(queue: MessageQueue): W | undefined {
    return this.#held.get(queueKey(queue))
  }

  start(): void {
    const { instance, settings } = this.#options.core
    this.#timer = instance.clock.every(settings.rebalanceMs, () => this.request())
  }

  /** A round soon. Never rejects. */
  request(): void {
    this.#again = true
    this.#round ??= this.#rounds().finally(() => (this.#round = undefined))
  }

  async #rounds(): Promise<void> {
    while (this.#again && !this.#stop.signal.aborted) {
      this.#again = false
      if (await this.#balance()) continue
      this.#again = true
      await pause(this.#options.core.instance.clock, SOON_MS, this.#stop.signal)
    }
  }

  /** One round over all topics. False if it has to be repeated soon. */
  async #balance(): Promise<boolean> {
    const { core } = this.#options
    if (core.isPaused) return true
    await this.#dropUnsubscribed()
    let done = true
    for (const topic of core.subscriptions.keys()) {
      if (this.#stop.signal.aborted) return true
      try {
        if (!(await this.#balanceTopic(topic))) done = false
      } catch (error) {
        // A group has no retry topic before its first heartbeat.
        if (!isRetryTopic(topic)) core.instance.log.warn({ topic, error: String(error) }, 'queues not shared out')
        done = false
      }
    }
    return done
  }

  async #balanceTopic(topic: string): Promise<boolean> {
    const { core, assignedBy } = this.#options
    if (assignedBy !== undefined) return await this.#balanceByBroker(topic, assignedBy)
    const { read } = await core.instance.routes.get(topic)
    const assigned = core.settings.broadcast ? read : await this.#assigned(topic, read)
    if (assigned === undefined) return false
    return await this.#apply(
      topic,
      read,
      assigned.map(queue => ({ queue, mode: 'PULL' })),
    )
  }

  async #balanceByBroker(topic: string, ask: NonNullable<RebalancerOptions<W>['assignedBy']>): Promise<boolean> {
    const { read } = await this.#options.core.instance.routes.get(topic)
    const assigned = await ask(topic)
    return assigned === undefined || (await this.#apply(topic, read, assigned))
  }

  /** This client's share; undefined if it cannot be told now. */
  async #assigned(topic: string, queues: readonly MessageQueue[]): Promise<readonly MessageQueue[] | undefined> {
    const { group, instance, settings } = this.#options.core
    const clientIds = await this.#members(topic)
    if (!clientIds.includes(instance.clientId) && !this.#missing.has(topic)) {
      // Not heard of yet, perhaps as the broker was away: giving all queues up at once would make others take them too.
      this.#missing.add(topic)
      await instance.heartbeat()
      return undefined
    }
    this.#missing.delete(topic)
    const input = {
      group,
      clientId: instance.clientId,
      queues: sortQueues(queues),
      clientIds: sortClientIds(clientIds),
    }
    return queues.length === 0 || clientIds.length === 0 ? [] : settings.allocate.assign(input)
  }

  async #members(topic: string): Promise<readonly string[]> {
    const { group, instance } = this.#options.core
    const { route } = await instance.routes.get(topic)
    const names = route.brokerDatas.map(({ brokerName }) => brokerName)
    const name = names[Math.floor(Math.random() * names.length)] ?? ''
    const address = instance.brokers.anyAddress(name)
    if (address === undefined) throw new Error(`no address of broker ${name}`)
    const header = { consumerGroup: group, bname: name }
    const reply = await instance.call(address, membershipRequests.GET_CONSUMER_LIST_BY_GROUP, { header })
    return reply.body?.consumerIdList ?? []
  }

  async #apply(topic: string, all: readonly MessageQueue[], assigned: readonly Assigned[]): Promise<boolean> {
    const now = this.#options.core.instance.clock.now()
    const works = [...this.#held.values()].filter(({ queue }) => queue.topic === topic)
    const modes = new Map(assigned.map(({ queue, mode }) => [queueKey(queue), mode]))
    const isStale = (work: W): boolean =>
      work.isExpired(now) || this.#modes.get(work) !== modes.get(queueKey(work.queue))
    const mine = assigned.map(({ queue }) => queue)
    const plan = planRebalance(
      works.map(work => ({ queue: work.queue, pullExpired: isStale(work) })),
      mine,
    )
    let done = true
    for (const { queue } of plan.drop) if (!(await this.#drop(queue))) done = false
    for (const queue of plan.add) if (!(await this.#add(queue, modes.get(queueKey(queue)) ?? 'PULL'))) done = false
    if (!isBalanced(plan)) this.#options.onChange(topic, all, mine)
    return done
  }

  /** Gives a queue up: what is done is kept, what is not goes to whoever has it next. False if it must wait. */
  async #drop(queue: MessageQueue): Promise<boolean> {
    const { core, locks } = this.#options
    const work = this.find(queue)
    if (work === undefined) return true
    work.process.dropped = true
    work.stopPulling()
    // An orderly queue is given back when its message is done: nobody else may begin before.
    if (locks !== undefined && !(await locks.release(work))) return false
    await core.offsets.persist([queue])
    core.offsets.forget(queue)
    this.#held.delete(queueKey(queue))
    return true
  }

  async #dropUnsubscribed(): Promise<void> {
    const { subscriptions } = this.#options.core
    for (const { queue } of [...this.#held.values()]) if (!subscriptions.has(queue.topic)) await this.#drop(queue)
  }

  /** Takes a queue up. False if that has to be tried again. */
  async #add(queue: MessageQueue, mode: MessageRequestMode): Promise<boolean> {
    const { core, locks, work: workOf } = this.#options
    if (this.#held.has(queueKey(queue))) return false
    if (locks !== undefined && !(await locks.acquire(queue))) return false
    core.offsets.forget(queue)
    const work = await workOf(queue, mode)
    if (work === undefined || this.#stop.signal.aborted) return false
    work.process.locked = locks !== undefined
    this.#held.set(queueKey(queue), work)
    this.#modes.set(work, mode)
    work.start()
    return true
  }

  /** No more rounds and no more pulls; the work stays, to be finished. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#timer?.[Symbol.dispose]()
    for (const work of this.#held.values()) work.stopPulling()
    await this.#round
  }

  /** The end: every queue is given up. */
  async dropAll(): Promise<void> {
    await Promise.all([...this.#held.values()].map(work => work.drop()))
    this.#held.clear()
  }
}
