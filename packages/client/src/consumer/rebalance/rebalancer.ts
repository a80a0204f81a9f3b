import { isRetryTopic, type MessageRequestMode } from '@gantrymq/protocol'
import { pause } from '@gantrymq/remoting'
import { type MessageQueue, queueKey } from '../../message/message.ts'
import type { ConsumerCore } from '../push/context.ts'
import type { ProcessQueue } from '../queue/process-queue.ts'
import type { PushSettings } from '../push/settings.ts'
import type { LockedWork, QueueLocks } from './queue-locks.ts'
import type { QueueWork } from '../push/pulled-queue.ts'
import { isBalanced, planRebalance } from './plan.ts'
import { Rounds } from './schedule.ts'
import { ownShare, type Share } from './client-assignment.ts'
import { callUser } from './call-user.ts'

/**
 * Before a queue that another member may have had is begun, so that its offset has been kept, milliseconds. Apache's 5.x
 * waits as long before it pulls, but reads the offset first.
 */
const HANDOVER_MS = 500

/** Work on one queue, as rebalancing sees it: it may pull it, pop it, or leave it to the user. */
export interface HeldWork
  extends Pick<QueueWork<never>, 'queue' | 'isDropped' | 'isExpired' | 'start' | 'stopPulling' | 'drop' | 'wake'> {
  readonly process: Omit<ProcessQueue<never>, 'first' | 'messages' | 'put' | 'remove' | 'take' | 'putBack'>
  /** Its lock went to another client: what it did is not to be kept. Default false. */
  readonly isLost?: boolean
  readonly lose?: () => void
}

/** What rebalancing wants of a consumer. */
export interface RebalanceCore extends Pick<ConsumerCore<unknown>, 'instance' | 'group' | 'offsets' | 'subscriptions'> {
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
  /** Begins with a queue, at `from` or where the group is; undefined if that has to wait for another round. */
  readonly work: (queue: MessageQueue, mode: MessageRequestMode, from?: number) => Promise<W | undefined>
  /** Waits a little for the listeners of a queue that is given up. False if they are still at it. */
  readonly settled?: ((work: W) => Promise<boolean>) | undefined
  /**
   * Brokers that share out the queues (5.x); undefined keeps all as it is, `own` leaves it to this client. Left out: this
   * client does it.
   */
  readonly assignedBy?:
    | ((topic: string, signal: AbortSignal) => Promise<readonly Assigned[] | 'own' | undefined>)
    | undefined
  /** The queues have changed: limits, heartbeats and listeners want to know. */
  readonly onChange: (topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => unknown
}

/** What is to be done for one topic. */
interface TopicPlan {
  readonly topic: string
  readonly all: readonly MessageQueue[]
  readonly mine: readonly MessageQueue[]
  readonly modes: ReadonlyMap<string, MessageRequestMode>
  readonly drop: readonly MessageQueue[]
  readonly add: readonly MessageQueue[]
  /** Whether other members may have had the queues before. */
  readonly shared: boolean
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
  readonly #rounds: Rounds
  /** Works that are about to begin anew from another offset: rounds leave them alone. */
  readonly #restarting = new Set<W>()
  readonly #stop = new AbortController()
  #timer: Disposable | undefined

  constructor(options: RebalancerOptions<W>) {
    this.#options = options
    const { instance, settings } = options.core
    this.#rounds = new Rounds({
      clock: instance.clock,
      log: instance.log,
      slowestMs: settings.rebalanceMs,
      signal: this.#stop.signal,
      round: () => this.#balance(),
    })
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

  /** Begins with a first round. What is asked before is part of it. */
  start(): void {
    const { instance, settings } = this.#options.core
    this.#timer ??= instance.clock.every(settings.rebalanceMs, () => this.request())
    this.#rounds.start()
  }

  /** A round soon, or at once if it is `urgent`. Never rejects. */
  request(urgent = false): void {
    this.#rounds.request(urgent)
  }

  // -- A round -------------------------------------------------------------------------------------------------------

  /**
   * One round over all topics. False if it has to be repeated soon. Never rejects. Unlike Java's also while the consumer is
   * paused: other members begin with queues that are theirs now, and their offsets must not be overwritten by ours.
   */
  async #balance(): Promise<boolean> {
    const { core } = this.#options
    const plans: TopicPlan[] = []
    const share = ownShare(core, this.#missing, this.#stop.signal)
    let done = await this.#drop([...this.#held.values()].filter(({ queue }) => !core.subscriptions.has(queue.topic)))
    for (const topic of core.subscriptions.keys()) {
      const plan = await this.#planned(topic, share)
      if (plan === undefined) done = false
      else plans.push(plan)
    }
    if (this.#stop.signal.aborted) return true
    return (await this.#carryOut(plans)) && done
  }

  /** Undefined if it cannot be told now. */
  async #planned(topic: string, share: Share): Promise<TopicPlan | undefined> {
    try {
      return await this.#plan(topic, share)
    } catch (error) {
      const { log } = this.#options.core.instance
      // A group has no retry topic before its first heartbeat.
      const level = isRetryTopic(topic) || this.#stop.signal.aborted ? 'debug' : 'warn'
      log[level]({ topic, error: String(error) }, 'queues not shared out')
      return undefined
    }
  }

  async #plan(topic: string, share: Share): Promise<TopicPlan | undefined> {
    const { core, assignedBy } = this.#options
    const { read } = await core.instance.routes.get(topic, { signal: this.#stop.signal })
    const assigned = assignedBy === undefined ? 'own' : await assignedBy(topic, this.#stop.signal)
    if (assigned === undefined) return noChange(topic, read)
    if (assigned !== 'own') return this.#planOf(topic, read, assigned, true)
    const mine = core.settings.broadcast ? { queues: read, shared: false } : await share(topic, read)
    if (mine === undefined) return undefined
    return this.#planOf(
      topic,
      read,
      mine.queues.map(queue => ({ queue, mode: 'PULL' })),
      mine.shared,
    )
  }

  #planOf(topic: string, all: readonly MessageQueue[], assigned: readonly Assigned[], shared: boolean): TopicPlan {
    const now = this.#options.core.instance.clock.elapsed()
    const modes = new Map(assigned.map(({ queue, mode }) => [queueKey(queue), mode]))
    const isStale = (work: W): boolean =>
      work.isExpired(now) || this.#modes.get(work) !== modes.get(queueKey(work.queue))
    const works = [...this.#held.values()].filter(({ queue }) => queue.topic === topic)
    const mine = assigned.map(({ queue }) => queue)
    const { drop, add } = planRebalance(
      works.map(work => ({ queue: work.queue, pullExpired: isStale(work) })),
      mine,
    )
    return { topic, all, mine, modes, drop: drop.map(({ queue }) => queue), add, shared }
  }

  // What goes away goes first, in all topics: others wait for it.
  async #carryOut(plans: readonly TopicPlan[]): Promise<boolean> {
    const { core, locks } = this.#options
    const before = new Set(this.#held.values())
    const dropped = plans.flatMap(({ drop }) => drop).map(queue => this.find(queue))
    let done = await this.#drop(dropped.filter(work => work !== undefined))
    const handsOver = locks === undefined && plans.some(({ add, shared }) => shared && add.length > 0)
    if (handsOver) await pause(core.instance.clock, HANDOVER_MS, this.#stop.signal)
    for (const plan of plans) {
      if (!(await this.#addAll(plan))) done = false
      if (this.#hasChanged(plan, before)) this.#tell(plan)
    }
    return done
  }

  /** Not by a plan that only waits for a listener or a lock: it is made again every second. */
  #hasChanged(plan: TopicPlan, before: ReadonlySet<W>): boolean {
    if (isBalanced(plan)) return false
    const left = [...before].filter(work => !this.#isHeld(work))
    const come = [...this.#held.values()].filter(work => !before.has(work))
    return [...left, ...come].some(({ queue }) => queue.topic === plan.topic)
  }

  #tell({ topic, all, mine }: TopicPlan): void {
    const held = mine.filter(queue => this.#held.has(queueKey(queue)))
    const { onChange, core } = this.#options
    callUser(core.instance.log, topic, () => onChange(topic, all, held))
  }

  /** Gives queues up: what is done is kept, what is not goes to whoever has it next. False if one must wait. */
  async #drop(works: readonly W[]): Promise<boolean> {
    for (const work of works) {
      work.process.dropped = true
      work.stopPulling()
    }
    const all = await Promise.all(works.map(work => this.#giveUp(work)))
    return all.every(Boolean)
  }

  async #giveUp(work: W): Promise<boolean> {
    const { core, locks, settled } = this.#options
    if (this.#restarting.has(work)) return false
    const isIdle = (await settled?.(work)) ?? true
    // An orderly queue is given back when its message is done: nobody else may begin before.
    if (locks !== undefined && !isIdle) {
      work.process.unlockAttempts++
      return false
    }
    if (this.#held.get(queueKey(work.queue)) !== work || this.#restarting.has(work)) return true
    this.#held.delete(queueKey(work.queue))
    void work.drop()
    if (work.isLost !== true) await core.offsets.persist([work.queue])
    core.offsets.forget(work.queue)
    if (work.isLost !== true) await locks?.release([work.queue])
    return true
  }

  /** Takes queues up. False if that has to be tried again. */
  async #addAll({ add, modes }: TopicPlan): Promise<boolean> {
    const { locks } = this.#options
    if (add.length === 0) return true
    const free = add.filter(queue => !this.#held.has(queueKey(queue)))
    const locked = await locks?.acquire(free)
    const mine = locked === undefined ? free : free.filter(queue => locked.granted.has(queueKey(queue)))
    // Nobody tells when a lock is free, and rounds that leave something open come ever later.
    if (locked?.isRefused === true) this.#rounds.requestSoon()
    const added = await Promise.all(mine.map(queue => this.#add(queue, modes.get(queueKey(queue)) ?? 'PULL')))
    const refused = mine.filter((_, at) => added[at] === false)
    if (refused.length > 0) await locks?.release(refused)
    return mine.length === add.length && refused.length === 0
  }

  async #add(queue: MessageQueue, mode: MessageRequestMode, from?: number): Promise<boolean> {
    const { core, work: workOf, locks } = this.#options
    if (this.#stop.signal.aborted) return false
    try {
      if (from === undefined) core.offsets.forget(queue)
      const work = await workOf(queue, mode, from)
      if (work === undefined || this.#stop.signal.aborted || this.#held.has(queueKey(queue))) return false
      this.#hold(work, mode, locks !== undefined)
      return true
    } catch (error) {
      core.instance.log.warn({ ...queue, error: String(error) }, 'queue not begun')
      return false
    }
  }

  #hold(work: W, mode: MessageRequestMode, locked: boolean): void {
    work.process.locked = locked
    work.process.lastLockAt = this.#options.core.instance.clock.elapsed()
    this.#held.set(queueKey(work.queue), work)
    this.#modes.set(work, mode)
    work.start()
  }

  // -- Outside of rounds ---------------------------------------------------------------------------------------------

  /**
   * Takes a queue up anew from another offset: an operator's, or one that the broker says is right. What waits of it is
   * forgotten. Nothing happens if the queue is given up already; of one that is about to be, the offset is kept.
   */
  async restart(work: W, offset: number): Promise<void> {
    if (!this.#isHeld(work)) return
    if (work.isDropped) return this.#options.core.offsets.freeze(work.queue, offset)
    this.#restarting.add(work)
    try {
      await this.#restart(work, offset)
    } finally {
      this.#restarting.delete(work)
    }
  }

  async #restart(work: W, offset: number): Promise<void> {
    const { core, settled, locks } = this.#options
    const { queue } = work
    work.process.dropped = true
    work.stopPulling()
    // From here on it is what is kept, also if the consumer closes before the queue begins anew.
    core.offsets.freeze(queue, offset)
    let mayBegin = false
    while (!mayBegin && !this.#stop.signal.aborted) {
      const isIdle = (await settled?.(work)) ?? true
      // In order also means not before the old listener is done. Nobody waits for it but this call.
      mayBegin = isIdle || locks === undefined
    }
    if (!this.#isHeld(work) || this.#stop.signal.aborted) return
    void work.drop()
    this.#held.delete(queueKey(queue))
    // Another offset may have been asked for meanwhile.
    const from = core.offsets.peek(queue)
    core.offsets.forget(queue)
    // Another client has it, and goes where it is told by itself.
    if (work.isLost === true) return this.request()
    core.offsets.update(queue, from, false)
    const isTaken = await this.#add(queue, this.#modes.get(work) ?? 'PULL', from)
    await core.offsets.persist([queue])
    if (!isTaken) this.request()
  }

  #isHeld(work: W): boolean {
    return this.#held.get(queueKey(work.queue)) === work
  }

  /** Asks the brokers to keep the locks of the queues. Never rejects. */
  async renewLocks(): Promise<void> {
    const works = [...this.#held.values()].filter((work): work is W & LockedWork => work.lose !== undefined)
    await this.#options.locks?.renew(works)
  }

  /** No more rounds and no more pulls; the work stays, to be finished. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#timer?.[Symbol.dispose]()
    for (const work of this.#held.values()) work.stopPulling()
    await this.#rounds.quiet
    for (const work of this.#held.values()) work.stopPulling()
  }

  /** The end: every queue is given up. */
  async dropAll(): Promise<void> {
    const works = [...this.#held.values()]
    this.#held.clear()
    await Promise.all(works.map(work => work.drop()))
    await this.#options.locks?.release(works.filter(({ isLost }) => isLost !== true).map(({ queue }) => queue))
  }
}

function noChange(topic: string, all: readonly MessageQueue[]): TopicPlan {
  return { topic, all, mine: [], modes: new Map(), drop: [], add: [], shared: false }
}
