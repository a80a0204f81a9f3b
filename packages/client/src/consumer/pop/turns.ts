import { pause } from '@gantrymq/remoting'
import type { SubscriptionData } from '@gantrymq/protocol'
import type { Deadline } from '../../deadline.ts'
import { ClientError } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'
import { refuseStatic } from '../../routes/routes.ts'
import { ANY_QUEUE, awaitMessages, pop, type PopAsk } from './call.ts'
import type { PoppedView } from './reply.ts'
import type { SimpleContext } from './simple-message.ts'

/** All queues of a topic at one broker. */
interface Place {
  readonly subscription: SubscriptionData
  readonly brokerName: string
}

/** Popped messages of one topic. */
export interface Received {
  /** With its namespace. */
  readonly topic: string
  readonly found: readonly PoppedView[]
}

type Asked = Pick<PopAsk, 'max' | 'invisibleMs' | 'from'>

/** After a look that found nothing although something was promised, or a broker that holds too many pops, milliseconds. */
const REST_MS = 100
/** After all brokers failed, milliseconds. */
const FAILED_MS = 1000
/** Places are looked at anyway after so long, milliseconds. */
const LOOK_MS = 15_000

/** Where a simple consumer receives from: every broker of its topics in turn. */
export class PopPlaces {
  readonly #context: SimpleContext
  readonly #subscriptions: ReadonlyMap<string, SubscriptionData>
  #turn = 0

  constructor(context: SimpleContext, subscriptions: ReadonlyMap<string, SubscriptionData>) {
    this.#context = context
    this.#subscriptions = subscriptions
  }

  /** Messages of the next place that has some, waiting `waitMs` for them. @throws ClientError */
  async receive(asked: Asked, waitMs: number, deadline: Deadline): Promise<Received> {
    const { clock } = this.#context.instance
    const { signal } = deadline
    const end = clock.elapsed() + waitMs
    for (;;) {
      deadline.check('receive')
      const places = await this.#find(deadline)
      const left = Math.max(0, end - clock.elapsed())
      const received = await this.#look(places, asked, places.length === 1 ? left : 0, deadline)
      if (received.found.length > 0 || clock.elapsed() >= end) return received
      const rest = end - clock.elapsed()
      if (places.length > 1) await this.#awaitAny(places, asked, Math.min(rest, LOOK_MS), signal)
      // A broker that answers at once with nothing must not be asked without end.
      await pause(clock, Math.min(rest, REST_MS), signal)
    }
  }

  async #find(deadline: Deadline): Promise<Place[]> {
    const { routes, options } = this.#context.instance
    const places: Place[] = []
    let failure: unknown
    for (const [topic, subscription] of this.#subscriptions) {
      try {
        const { read, route } = await routes.get(topic, deadline.options(options.requestTimeoutMs))
        refuseStatic(topic, route)
        for (const brokerName of new Set(read.map(each => each.brokerName))) places.push({ subscription, brokerName })
      } catch (error) {
        failure = error
      }
    }
    if (places.length > 0) return places
    throw failure ?? new ClientError('BAD_OPTION', 'nothing is subscribed to')
  }

  /** Pops one after the other until one has something; each has its share of the time. @throws ClientError if all fail */
  async #look(places: readonly Place[], asked: Asked, pollMs: number, deadline: Deadline): Promise<Received> {
    const first = this.#turn++ % places.length
    let failures = 0
    let failure: unknown
    for (const [index, place] of [...places.slice(first), ...places.slice(0, first)].entries()) {
      deadline.check('receive')
      const options = deadline.options(deadline.left / (places.length - index))
      try {
        const found = await this.#pop(place, askOf(place, asked, pollMs), options)
        if (found.length > 0) return { topic: place.subscription.topic, found }
      } catch (error) {
        if (deadline.signal?.aborted) throw error
        this.#suspect(place, error)
        failures++
        failure = error
      }
    }
    if (failures === places.length) throw failure
    return { topic: '', found: [] }
  }

  async #pop({ subscription }: Place, ask: PopAsk, options: CallOptions): Promise<readonly PoppedView[]> {
    const { instance, stats } = this.#context
    const started = instance.clock.elapsed()
    const { found } = await pop(this.#context, ask, options)
    stats.pulled(subscription.topic, found.length, instance.clock.elapsed() - started)
    return found
  }

  #suspect({ subscription, brokerName }: Place, error: unknown): void {
    const { instance, group } = this.#context
    instance.log.warn({ group, topic: subscription.topic, brokerName, error: String(error) }, 'pop failed')
    const code = error instanceof ClientError ? error.code : ''
    if (code === 'CONNECT_FAILED' || code === 'TIMEOUT') instance.routes.suspect(subscription.topic)
  }

  /** Resolves when any place may have something, or after `waitMs`. Never rejects. */
  async #awaitAny(places: readonly Place[], asked: Asked, waitMs: number, signal?: AbortSignal): Promise<void> {
    const over = new AbortController()
    const either = AbortSignal.any(signal === undefined ? [over.signal] : [over.signal, signal])
    const { promise, resolve } = Promise.withResolvers<void>()
    const asking = places.map(async (place, index) => {
      const has = await this.#await(askOf(place, asked, waitMs), either)
      if (!has) return
      this.#turn = index
      resolve()
    })
    const none = Promise.all(asking).then(() => {})
    await Promise.race([promise, none, pause(this.#context.instance.clock, waitMs, either)])
    over.abort()
    await none
  }

  async #await(ask: PopAsk, signal: AbortSignal): Promise<boolean> {
    try {
      return await awaitMessages(this.#context, ask, signal)
    } catch {
      // The next look tells what is wrong.
      await pause(this.#context.instance.clock, FAILED_MS, signal)
      return false
    }
  }
}

function askOf({ subscription, brokerName }: Place, asked: Asked, pollMs: number): PopAsk {
  return { ...asked, subscription, brokerName, queueId: ANY_QUEUE, pollMs }
}
