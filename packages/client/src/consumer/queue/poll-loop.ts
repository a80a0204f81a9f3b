import { responseCodes } from '@gantrymq/protocol'
import { pause, upTo } from '@gantrymq/remoting'
import { type ClientError, toClientError } from '../../errors.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { MessageQueue } from '../../message/message.ts'
import type { PollHealth } from './poll-health.ts'

/** The consumer that polls. */
export interface PollContext {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  /** `pullRetryMs`: how long a queue rests after a poll that failed. */
  readonly settings: { readonly pullRetryMs: number }
  /** Told how polls end. */
  readonly health?: PollHealth | undefined
}

export interface PollLoopOptions {
  readonly context: PollContext
  readonly queue: MessageQueue
  /** What a step does, for the log. */
  readonly verb: 'pull' | 'pop'
  /** Polls the broker once, and calls `answered` when it answers, or sleeps. The signal ends it early. */
  readonly step: (signal: AbortSignal) => Promise<void>
  /** Called when a step has failed, before the rest that follows. */
  readonly onFailure?: (error: ClientError) => void
}

/**
 * A reply within this time came at once, in milliseconds. A queue whose broker replied at once with nothing rests for as long,
 * so that such a broker is not polled without pause.
 */
export const AT_ONCE_MS = 100

const FLOW_CONTROL_MS = 20

/** Repeats the steps of one queue until it is stopped, with a rest after each failure. */
export class PollLoop {
  readonly #options: PollLoopOptions
  readonly #stop = new AbortController()
  /** Ends the current step. */
  #attempt = new AbortController()
  #wake: (() => void) | undefined
  #done: Promise<void> = Promise.resolve()

  constructor(options: PollLoopOptions) {
    this.#options = options
  }

  get isStopped(): boolean {
    return this.#stop.signal.aborted
  }

  get isAsleep(): boolean {
    return this.#wake !== undefined
  }

  /** Resolves when the last step has ended. */
  get done(): Promise<void> {
    return this.#done
  }

  start(): void {
    const { context, queue } = this.#options
    context.health?.open(queue)
    this.#done = this.#run()
  }

  stop(): void {
    const { context, queue } = this.#options
    if (!this.isStopped) context.health?.close(queue)
    this.#stop.abort()
    this.interrupt()
  }

  /** Ends the current step and starts the next one. */
  interrupt(): void {
    this.#attempt.abort()
    this.wake()
  }

  /** Ends a sleep. */
  wake(): void {
    this.#wake?.()
  }

  /** The broker has answered a poll. A step that only sleeps shows nothing about the broker. */
  answered(): void {
    const { context, queue } = this.#options
    context.health?.worked(queue)
  }

  /** Sleeps for `ms`, or until it is woken. */
  async sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    await upTo(this.#options.context.instance.clock, promise, { timeoutMs: ms, signal: this.#attempt.signal })
    this.#wake = undefined
  }

  async #run(): Promise<void> {
    while (!this.isStopped) {
      if (this.#attempt.signal.aborted) this.#attempt = new AbortController()
      const { signal } = this.#attempt
      try {
        await this.#options.step(signal)
      } catch (error) {
        if (!signal.aborted) await this.#rest(toClientError(error), signal)
      }
    }
  }

  async #rest(error: ClientError, signal: AbortSignal): Promise<void> {
    const { context, queue, verb, onFailure } = this.#options
    const { instance, group, settings } = context
    const isFlowControl = error.responseCode === responseCodes.FLOW_CONTROL
    if (!isFlowControl) instance.log.warn({ group, ...queue, error: error.message }, `${verb} failed`)
    if (!isFlowControl) context.health?.failed(queue, error)
    if (hasNoAnswer(error)) instance.routes.suspect(queue.topic)
    onFailure?.(error)
    await pause(instance.clock, isFlowControl ? FLOW_CONTROL_MS : settings.pullRetryMs, signal)
  }
}

/** The broker may be down, or may have another address now. */
function hasNoAnswer({ code }: ClientError): boolean {
  return code === 'CONNECT_FAILED' || code === 'TIMEOUT'
}
