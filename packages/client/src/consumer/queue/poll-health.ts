import { responseCodes } from '@gantrymq/protocol'
import type { Clock } from '@gantrymq/remoting'
import { type ClientError, isAccessRefusal } from '../../errors.ts'
import { type MessageQueue, queueKey } from '../../message/message.ts'
import type { Problems } from '../../problems.ts'

/** How long all queues of a consumer fail before that is a problem, in milliseconds: a broker that restarts needs less. */
const ALL_FAIL_MS = 10_000

/** Refusals of a pull because the broker does not have the subscription that this member announced. */
const OTHER_SUBSCRIPTION: ReadonlySet<number | undefined> = new Set([
  responseCodes.SUBSCRIPTION_NOT_EXIST,
  responseCodes.SUBSCRIPTION_NOT_LATEST,
])
/** So many of these refusals in a row are more than a heartbeat that is on its way. */
const REPEATED = 3

export interface PollHealthOptions {
  readonly clock: Clock
  readonly problems: Problems
  /** Whether the consumer reads a topic: a pull of one that it has given up may still be under way. */
  readonly reads: (topic: string) => boolean
  /** The topic as the user names it. */
  readonly shown: (topic: string) => string
  /** Called when brokers repeatedly do not have the subscriptions of this member. */
  readonly onOtherSubscription: () => void
}

interface PolledQueue {
  readonly topic: string
  /** Since when each poll has failed, by `Clock.elapsed`; undefined if the last one did not. */
  failingSince: number | undefined
  refusals: number
}

/** Notes how the polls of a consumer's queues end, and tells what is wrong if they keep failing. */
export class PollHealth {
  readonly #options: PollHealthOptions
  readonly #queues = new Map<string, PolledQueue>()

  constructor(options: PollHealthOptions) {
    this.#options = options
  }

  /** The queue is polled from now on. */
  open({ topic, ...queue }: MessageQueue): void {
    this.#queues.set(queueKey({ topic, ...queue }), { topic, failingSince: undefined, refusals: 0 })
  }

  close(queue: MessageQueue): void {
    this.#queues.delete(queueKey(queue))
    if (this.#queues.size === 0) this.#options.problems.clear('ALL_PULLS_FAIL')
  }

  worked(queue: MessageQueue): void {
    const polled = this.#queues.get(queueKey(queue))
    if (polled?.failingSince === undefined) return
    polled.failingSince = undefined
    polled.refusals = 0
    const { problems, shown } = this.#options
    problems.clear('ALL_PULLS_FAIL')
    if (this.#isFailing(queue.topic)) return
    for (const code of ['NO_PERMISSION', 'NOT_READABLE', 'TOPIC_MISSING', 'GROUP_MISSING'] as const) {
      problems.clear(code, shown(queue.topic))
    }
  }

  failed(queue: MessageQueue, error: ClientError): void {
    const polled = this.#queues.get(queueKey(queue))
    if (polled === undefined) return
    const { clock, problems, onOtherSubscription } = this.#options
    polled.failingSince ??= clock.elapsed()
    this.#raiseRefusal(queue.topic, error)
    if (OTHER_SUBSCRIPTION.has(error.responseCode) && ++polled.refusals % REPEATED === 0) onOtherSubscription()
    const since = this.#allFailingSince()
    if (since === undefined || clock.elapsed() - since < ALL_FAIL_MS) return
    const count = this.#queues.size === 1 ? 'its only queue' : `all of its ${this.#queues.size} queues`
    problems.raise(
      'ALL_PULLS_FAIL',
      `no messages have been pulled from ${count} for ${ALL_FAIL_MS / 1000} s: ${error.message}`,
    )
  }

  #raiseRefusal(topic: string, error: ClientError): void {
    const { problems, reads, shown } = this.#options
    if (!reads(topic)) return
    const name = shown(topic)
    const { NO_PERMISSION, TOPIC_NOT_EXIST, SUBSCRIPTION_GROUP_NOT_EXIST } = responseCodes
    if (isAccessRefusal(error))
      problems.raise('NO_PERMISSION', `the broker lets this consumer read nothing of ${name}: ${error.message}`, name)
    else if (error.responseCode === NO_PERMISSION)
      problems.raise('NOT_READABLE', `${name} cannot be read: ${error.message}`, name)
    else if (error.responseCode === TOPIC_NOT_EXIST)
      problems.raise('TOPIC_MISSING', `${name} cannot be read: ${error.message}`, name)
    else if (error.responseCode === SUBSCRIPTION_GROUP_NOT_EXIST)
      problems.raise('GROUP_MISSING', `the broker does not know the group: ${error.message}`, name)
  }

  #isFailing(topic: string): boolean {
    return [...this.#queues.values()].some(each => each.topic === topic && each.failingSince !== undefined)
  }

  /** Since when all queues fail, which is when the last of them began to; undefined if one does not. */
  #allFailingSince(): number | undefined {
    let latest: number | undefined
    for (const { failingSince } of this.#queues.values()) {
      if (failingSince === undefined) return undefined
      latest = Math.max(latest ?? failingSince, failingSince)
    }
    return latest
  }
}
