import type { SubscriptionData } from '@gantrymq/protocol'
import { pause } from '@gantrymq/remoting'
import type { Deadline } from '../../deadline.ts'
import { ClientError } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'
import { refuseStatic } from '../../routes/routes.ts'
import { ANY_QUEUE, awaitMessages, pop, type PopRequest } from './call.ts'
import type { PoppedView } from './reply.ts'
import type { SimpleContext } from './simple-message.ts'

/** All queues of a topic at one broker. */
interface TopicAtBroker {
  readonly subscription: SubscriptionData
  readonly brokerName: string
}

/** Popped messages of one topic. */
export interface PoppedMessages {
  /** With its namespace; empty if there are no messages. */
  readonly topic: string
  readonly found: readonly PoppedView[]
}

type PopOptions = Pick<PopRequest, 'max' | 'invisibleMs' | 'from'>

/**
 * How long to rest if brokers announced messages that were not there, or if a broker holds too many pops, in milliseconds.
 */
const REST_MS = 100
/** How long to rest after a notification request that failed, in milliseconds. */
const FAILED_MS = 1000
/** How long to wait for notifications before all brokers are popped again, in milliseconds. */
const NOTIFICATION_MS = 15_000

/** Pops every broker of a simple consumer's topics in turn. */
export class PopTurns {
  readonly #context: SimpleContext
  readonly #subscriptions: ReadonlyMap<string, SubscriptionData>
  #turn = 0

  constructor(context: SimpleContext, subscriptions: ReadonlyMap<string, SubscriptionData>) {
    this.#context = context
    this.#subscriptions = subscriptions
  }

  /** Messages of the next broker that has some. Waits up to `waitMs` for them. @throws ClientError */
  async receive(options: PopOptions, waitMs: number, deadline: Deadline): Promise<PoppedMessages> {
    const { clock } = this.#context.instance
    const { signal } = deadline
    const end = clock.elapsed() + waitMs
    for (;;) {
      deadline.check('receive')
      const targets = await this.#findTargets(deadline)
      const left = Math.max(0, end - clock.elapsed())
      const popped = await this.#popInTurn(targets, options, targets.length === 1 ? left : 0, deadline)
      if (popped.found.length > 0 || clock.elapsed() >= end) return popped
      const rest = end - clock.elapsed()
      if (targets.length > 1) await this.#awaitAny(targets, options, Math.min(rest, NOTIFICATION_MS), signal)
      // A broker that replies at once with nothing must not be popped without pause.
      await pause(clock, Math.min(rest, REST_MS), signal)
    }
  }

  async #findTargets(deadline: Deadline): Promise<TopicAtBroker[]> {
    const { routes, options } = this.#context.instance
    const targets: TopicAtBroker[] = []
    let failure: unknown
    for (const [topic, subscription] of this.#subscriptions) {
      try {
        const { read, route } = await routes.get(topic, deadline.options(options.requestTimeoutMs))
        refuseStatic(topic, route)
        for (const brokerName of new Set(read.map(each => each.brokerName))) targets.push({ subscription, brokerName })
      } catch (error) {
        failure = error
      }
    }
    if (targets.length > 0) return targets
    throw failure ?? new ClientError('BAD_OPTION', 'the consumer has no subscription: call subscribe first')
  }

  /** Pops one broker after the other until one has messages. The time left is divided among them. @throws ClientError if all fail */
  async #popInTurn(
    targets: readonly TopicAtBroker[],
    popOptions: PopOptions,
    pollMs: number,
    deadline: Deadline,
  ): Promise<PoppedMessages> {
    const first = this.#turn++ % targets.length
    let failures = 0
    let failure: unknown
    for (const [index, target] of [...targets.slice(first), ...targets.slice(0, first)].entries()) {
      deadline.check('receive')
      const options = deadline.options(deadline.left / (targets.length - index))
      try {
        const found = await this.#pop(target, requestOf(target, popOptions, pollMs), options)
        if (found.length > 0) return { topic: target.subscription.topic, found }
      } catch (error) {
        if (deadline.signal?.aborted) throw error
        this.#failed(target, error)
        failures++
        failure = error
      }
    }
    if (failures === targets.length) throw failure
    return { topic: '', found: [] }
  }

  async #pop(
    { subscription }: TopicAtBroker,
    request: PopRequest,
    options: CallOptions,
  ): Promise<readonly PoppedView[]> {
    const { instance, stats } = this.#context
    const started = instance.clock.elapsed()
    const { found } = await pop(this.#context, request, options)
    stats.pulled(subscription.topic, found.length, instance.clock.elapsed() - started)
    return found
  }

  #failed({ subscription, brokerName }: TopicAtBroker, error: unknown): void {
    const { instance, group } = this.#context
    instance.log.warn({ group, topic: subscription.topic, brokerName, error: String(error) }, 'pop failed')
    const code = error instanceof ClientError ? error.code : ''
    if (code === 'CONNECT_FAILED' || code === 'TIMEOUT') instance.routes.suspect(subscription.topic)
  }

  /** Resolves when any broker may have messages, or after `waitMs`. Never rejects. */
  async #awaitAny(
    targets: readonly TopicAtBroker[],
    options: PopOptions,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const over = new AbortController()
    const either = AbortSignal.any(signal === undefined ? [over.signal] : [over.signal, signal])
    const { promise, resolve } = Promise.withResolvers<void>()
    const waits = targets.map(async (target, index) => {
      const hasMessages = await this.#await(requestOf(target, options, waitMs), either)
      if (!hasMessages) return
      this.#turn = index
      resolve()
    })
    const all = Promise.all(waits).then(() => {})
    await Promise.race([promise, all, pause(this.#context.instance.clock, waitMs, either)])
    over.abort()
    await all
  }

  async #await(request: PopRequest, signal: AbortSignal): Promise<boolean> {
    try {
      return await awaitMessages(this.#context, request, signal)
    } catch {
      // The next pop reports what is wrong.
      await pause(this.#context.instance.clock, FAILED_MS, signal)
      return false
    }
  }
}

function requestOf({ subscription, brokerName }: TopicAtBroker, options: PopOptions, pollMs: number): PopRequest {
  return { ...options, subscription, brokerName, queueId: ANY_QUEUE, pollMs }
}
