import { isRetryTopic, type MessageRequestMode } from '@gantrymq/protocol'
import { pause } from '@gantrymq/remoting'
import { type MessageQueue, queueKey } from '../../message/message.ts'
import type { HeldQueue } from '../queue/held-queue.ts'
import type { HeldQueues } from '../queue/held-queues.ts'
import type { BrokerAssignment } from './broker-assignment.ts'
import { callUser } from './call-user.ts'
import { type AssignTopic, ClientAssignment } from './client-assignment.ts'
import type { AssignedQueue, RebalanceContext } from './context.ts'
import { isBalanced, planRebalance } from './plan.ts'
import type { LockedQueue, QueueLocks } from './queue-locks.ts'
import { RebalanceSchedule } from './schedule.ts'

/**
 * How long to wait before starting on a queue that another member may have had, so that it can commit its offset, in
 * milliseconds. Apache's 5.x waits as long before it pulls, but reads the offset first.
 */
const HANDOVER_MS = 500

export interface RebalancerOptions<H extends HeldQueue> {
  readonly context: RebalanceContext
  /** The queues that the consumer holds. Only the rebalancer changes them. */
  readonly held: HeldQueues<H>
  /** Locks the queues, for orderly consumers of a group that shares its queues. */
  readonly locks: QueueLocks | undefined
  /**
   * Makes the object that will consume a queue, from `offset` or from where the group is. Undefined if that is impossible now
   * and has to wait for another rebalance.
   */
  readonly open: (queue: MessageQueue, mode: MessageRequestMode, offset?: number) => Promise<H | undefined>
  /** Waits a little for the listeners of a queue that is given up. False if they are still busy. Default: there are none. */
  readonly waitIdle?: ((held: H) => Promise<boolean>) | undefined
  /** Asks the brokers for the assignment (5.x). Default: this client computes it. */
  readonly queryBrokers?: ((topic: string, signal: AbortSignal) => Promise<BrokerAssignment>) | undefined
  /** Called when the queues of a topic, or this member's part of them, have changed. */
  readonly onChange: (topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => unknown
}

/** What a rebalance does about one topic. */
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

/** Decides which queues this consumer holds: Apache's RebalanceImpl and RebalancePushImpl. */
export class Rebalancer<H extends HeldQueue> {
  readonly #options: RebalancerOptions<H>
  readonly #held: HeldQueues<H>
  readonly #modes = new WeakMap<H, MessageRequestMode>()
  readonly #clientAssignment: ClientAssignment
  readonly #schedule: RebalanceSchedule
  /** Queues that are about to restart from another offset. A rebalance leaves them alone. */
  readonly #restarting = new Set<H>()
  readonly #stop = new AbortController()
  #timer: Disposable | undefined
  #isBalanced = false

  constructor(options: RebalancerOptions<H>) {
    this.#options = options
    this.#held = options.held
    this.#clientAssignment = new ClientAssignment(options.context)
    const { instance, settings } = options.context
    this.#schedule = new RebalanceSchedule({
      clock: instance.clock,
      log: instance.log,
      slowestMs: settings.rebalanceMs,
      signal: this.#stop.signal,
      rebalance: async () => {
        this.#isBalanced = await this.#rebalance()
        return this.#isBalanced
      },
    })
  }

  /** True if the last rebalance was complete: this member holds all queues that are its own. */
  get isBalanced(): boolean {
    return this.#isBalanced
  }

  /** Rebalances for the first time, then periodically and on request. */
  start(): void {
    const { instance, settings } = this.#options.context
    this.#timer ??= instance.clock.every(settings.rebalanceMs, () => this.request())
    this.#schedule.start()
  }

  /** Requests a rebalance, soon or, with `urgent`, at once. Never throws. Ignored before `start`. */
  request(urgent = false): void {
    this.#schedule.request(urgent)
  }

  // -- A rebalance ---------------------------------------------------------------------------------------------------

  /**
   * Rebalances all topics. False if it is incomplete and has to be repeated soon. Never rejects. Unlike Java's, it also runs
   * while the consumer is paused: other members start on the queues that are theirs now, and this one must not overwrite
   * their offsets.
   */
  async #rebalance(): Promise<boolean> {
    const { context } = this.#options
    const plans: TopicPlan[] = []
    const assign = this.#clientAssignment.begin(this.#stop.signal)
    let isComplete = await this.#drop([...this.#held].filter(({ queue }) => !context.subscriptions.has(queue.topic)))
    for (const topic of context.subscriptions.keys()) {
      const plan = await this.#tryToPlan(topic, assign)
      if (plan === undefined) isComplete = false
      else plans.push(plan)
    }
    if (this.#stop.signal.aborted) return true
    return (await this.#carryOut(plans)) && isComplete
  }

  /** Undefined if no plan can be made now. */
  async #tryToPlan(topic: string, assign: AssignTopic): Promise<TopicPlan | undefined> {
    try {
      return await this.#plan(topic, assign)
    } catch (error) {
      const { log } = this.#options.context.instance
      // A group has no retry topic before its first heartbeat.
      const level = isRetryTopic(topic) || this.#stop.signal.aborted ? 'debug' : 'warn'
      log[level]({ topic, error: String(error) }, 'cannot assign the queues of a topic')
      return undefined
    }
  }

  async #plan(topic: string, assign: AssignTopic): Promise<TopicPlan | undefined> {
    const { context, queryBrokers } = this.#options
    const { read } = await context.instance.routes.get(topic, { signal: this.#stop.signal })
    const assigned = queryBrokers === undefined ? 'by-client' : await queryBrokers(topic, this.#stop.signal)
    if (assigned === undefined) return noChange(topic, read)
    if (assigned !== 'by-client') return this.#planOf(topic, read, assigned, true)
    const own = context.settings.broadcast ? { queues: read, shared: false } : await assign(topic, read)
    if (own === undefined) return undefined
    return this.#planOf(
      topic,
      read,
      own.queues.map(queue => ({ queue, mode: 'PULL' })),
      own.shared,
    )
  }

  #planOf(topic: string, all: readonly MessageQueue[], assigned: readonly AssignedQueue[], shared: boolean): TopicPlan {
    const now = this.#options.context.instance.clock.elapsed()
    const modes = new Map(assigned.map(({ queue, mode }) => [queueKey(queue), mode]))
    const isStale = (held: H): boolean =>
      held.isExpired(now) || this.#modes.get(held) !== modes.get(queueKey(held.queue))
    const current = [...this.#held]
      .filter(({ queue }) => queue.topic === topic)
      .map(held => ({ queue: held.queue, isStale: isStale(held) }))
    const mine = assigned.map(({ queue }) => queue)
    const { drop, add } = planRebalance(current, mine)
    return { topic, all, mine, modes, drop: drop.map(({ queue }) => queue), add, shared }
  }

  // Drops in all topics before it adds in any: other members wait for the dropped queues.
  async #carryOut(plans: readonly TopicPlan[]): Promise<boolean> {
    const { context, locks } = this.#options
    const before = new Set(this.#held)
    const dropped = plans.flatMap(({ drop }) => drop).map(queue => this.#held.find(queue))
    let isComplete = await this.#drop(dropped.filter(held => held !== undefined))
    const takesOver = locks === undefined && plans.some(({ add, shared }) => shared && add.length > 0)
    if (takesOver) await pause(context.instance.clock, HANDOVER_MS, this.#stop.signal)
    for (const plan of plans) {
      if (!(await this.#addAll(plan))) isComplete = false
      if (this.#hasChanged(plan, before)) this.#reportChange(plan)
    }
    return isComplete
  }

  /** False for a plan that only waits for a listener or a lock, as it is made again every second. */
  #hasChanged(plan: TopicPlan, before: ReadonlySet<H>): boolean {
    if (isBalanced(plan)) return false
    const removed = [...before].filter(held => !this.#held.has(held))
    const added = [...this.#held].filter(held => !before.has(held))
    return [...removed, ...added].some(({ queue }) => queue.topic === plan.topic)
  }

  #reportChange({ topic, all, mine }: TopicPlan): void {
    const held = mine.filter(queue => this.#held.find(queue) !== undefined)
    const { onChange, context } = this.#options
    callUser(context.instance.log, topic, () => onChange(topic, all, held))
  }

  /** Gives queues up: stores the offsets of what is done, and leaves the rest to the next member. False if it has to wait for one. */
  async #drop(queues: readonly H[]): Promise<boolean> {
    for (const held of queues) {
      held.process.dropped = true
      held.stopPulling()
    }
    const all = await Promise.all(queues.map(held => this.#giveUp(held)))
    return all.every(Boolean)
  }

  async #giveUp(held: H): Promise<boolean> {
    const { context, locks, waitIdle } = this.#options
    if (this.#restarting.has(held)) return false
    const isIdle = (await waitIdle?.(held)) ?? true
    // An orderly queue is unlocked when its message is done: no other member may start before.
    if (locks !== undefined && !isIdle) {
      held.process.unlockAttempts++
      return false
    }
    if (!this.#held.has(held) || this.#restarting.has(held)) return true
    this.#held.delete(held)
    void held.drop()
    if (held.isLost !== true) await context.offsets.persist([held.queue])
    context.offsets.forget(held.queue)
    if (held.isLost !== true) await locks?.release([held.queue])
    return true
  }

  /** Adds queues. False if some have to be tried again. */
  async #addAll({ add, modes }: TopicPlan): Promise<boolean> {
    const { locks } = this.#options
    if (add.length === 0) return true
    const free = add.filter(queue => this.#held.find(queue) === undefined)
    const locked = await locks?.acquire(free)
    const mine = locked === undefined ? free : free.filter(queue => locked.granted.has(queueKey(queue)))
    // Brokers do not notify clients of free locks, and the pauses after incomplete rebalances grow.
    if (locked?.isRefused === true) this.#schedule.requestSoon()
    const added = await Promise.all(mine.map(queue => this.#add(queue, modes.get(queueKey(queue)) ?? 'PULL')))
    const failed = mine.filter((_, at) => added[at] === false)
    if (failed.length > 0) await locks?.release(failed)
    return mine.length === add.length && failed.length === 0
  }

  async #add(queue: MessageQueue, mode: MessageRequestMode, offset?: number): Promise<boolean> {
    const { context, open, locks } = this.#options
    if (this.#stop.signal.aborted) return false
    try {
      if (offset === undefined) context.offsets.forget(queue)
      const held = await open(queue, mode, offset)
      if (held === undefined || this.#stop.signal.aborted || this.#held.find(queue) !== undefined) return false
      this.#hold(held, mode, locks !== undefined)
      return true
    } catch (error) {
      context.instance.log.warn({ ...queue, error: String(error) }, 'cannot start on a queue')
      return false
    }
  }

  #hold(held: H, mode: MessageRequestMode, locked: boolean): void {
    held.process.locked = locked
    held.process.lastLockAt = this.#options.context.instance.clock.elapsed()
    this.#held.add(held)
    this.#modes.set(held, mode)
    held.start()
  }

  // -- Between rebalances --------------------------------------------------------------------------------------------

  /**
   * Restarts a queue from another offset, which an operator or the broker asked for. Messages that wait are forgotten. Does
   * nothing if the queue is not held any more; if it is about to be given up, the offset is stored.
   */
  async restart(held: H, offset: number): Promise<void> {
    if (!this.#held.has(held)) return
    if (held.isDropped) return this.#options.context.offsets.freeze(held.queue, offset)
    this.#restarting.add(held)
    try {
      await this.#restart(held, offset)
    } finally {
      this.#restarting.delete(held)
    }
  }

  async #restart(held: H, offset: number): Promise<void> {
    const { context, waitIdle, locks } = this.#options
    const { queue } = held
    held.process.dropped = true
    held.stopPulling()
    // From here on this offset is stored, also if the consumer closes before the queue restarts.
    context.offsets.freeze(queue, offset)
    let mayRestart = false
    while (!mayRestart && !this.#stop.signal.aborted) {
      const isIdle = (await waitIdle?.(held)) ?? true
      // In order also means: not before the old listener is done.
      mayRestart = isIdle || locks === undefined
    }
    if (!this.#held.has(held) || this.#stop.signal.aborted) return
    void held.drop()
    this.#held.delete(held)
    // Another restart may have been requested meanwhile.
    const latest = context.offsets.peek(queue)
    context.offsets.forget(queue)
    // Another client has the queue now, and is told of the offset itself.
    if (held.isLost === true) return this.request()
    context.offsets.update(queue, latest, false)
    const isAdded = await this.#add(queue, this.#modes.get(held) ?? 'PULL', latest)
    await context.offsets.persist([queue])
    if (!isAdded) this.request()
  }

  /** Renews the locks of the queues. Never rejects. */
  async renewLocks(): Promise<void> {
    await this.#options.locks?.renew([...this.#held].filter(isLockable))
  }

  /** Stops rebalancing and pulling. The queues stay held, so that their messages can be finished. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#timer?.[Symbol.dispose]()
    for (const held of this.#held) held.stopPulling()
    await this.#schedule.quiet
    for (const held of this.#held) held.stopPulling()
  }

  /** Gives up every queue, at the end. */
  async dropAll(): Promise<void> {
    const queues = [...this.#held]
    this.#held.clear()
    await Promise.all(queues.map(held => held.drop()))
    await this.#options.locks?.release(queues.filter(({ isLost }) => isLost !== true).map(({ queue }) => queue))
  }
}

function isLockable<H extends HeldQueue>(held: H): held is H & LockedQueue {
  return 'lose' in held
}

function noChange(topic: string, all: readonly MessageQueue[]): TopicPlan {
  return { topic, all, mine: [], modes: new Map(), drop: [], add: [], shared: false }
}
