import { pause } from '@gantrymq/remoting'
import { responseCodes } from '@gantrymq/protocol'
import { type ClientError, toClientError } from '../../errors.ts'
import type { MessageQueue } from '../../message/message.ts'
import type { RebalanceCore } from '../rebalance/rebalancer.ts'

export interface QueueLoopOptions {
  readonly core: Pick<RebalanceCore, 'instance' | 'group'> & { readonly settings: { readonly pullRetryMs: number } }
  readonly queue: MessageQueue
  /** What is done to the queue, for the log: `pull` or `pop`. */
  readonly verb: string
  /** Once round: asks the broker, or sleeps. The signal ends it early. */
  readonly step: (signal: AbortSignal) => Promise<void>
  /** A step has failed, before the rest that follows. */
  readonly onFailure?: (error: ClientError) => void
}

/** An answer within so long came at once, milliseconds; after one without anything the queue rests as long. */
export const AT_ONCE_MS = 100

const FLOW_CONTROL_MS = 20

/** Does the same to a queue again and again until it is stopped, with a rest after a failure. */
export class QueueLoop {
  readonly #options: QueueLoopOptions
  readonly #stop = new AbortController()
  /** Ends the step that runs. */
  #attempt = new AbortController()
  #wake: (() => void) | undefined
  #done: Promise<void> = Promise.resolve()

  constructor(options: QueueLoopOptions) {
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
    this.#done = this.#run()
  }

  stop(): void {
    this.#stop.abort()
    this.interrupt()
  }

  /** Ends the step that runs, and begins another. */
  interrupt(): void {
    this.#attempt.abort()
    this.wake()
  }

  /** Ends a sleep. */
  wake(): void {
    this.#wake?.()
  }

  /** Sleeps so long, or until it is woken. */
  async sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const timer = this.#options.core.instance.clock.every(ms, resolve)
    if (this.#attempt.signal.aborted) resolve()
    await promise
    this.#wake = undefined
    timer[Symbol.dispose]()
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
    const { core, queue, verb, onFailure } = this.#options
    const { instance, group, settings } = core
    const isFlowControl = error.responseCode === responseCodes.FLOW_CONTROL
    if (!isFlowControl) instance.log.warn({ group, ...queue, error: error.message }, `${verb} failed`)
    if (hasNoAnswer(error)) instance.routes.suspect(queue.topic)
    onFailure?.(error)
    await pause(instance.clock, isFlowControl ? FLOW_CONTROL_MS : settings.pullRetryMs, signal)
  }
}

/** The broker may be away, or at another address. */
function hasNoAnswer({ code }: ClientError): boolean {
  return code === 'CONNECT_FAILED' || code === 'TIMEOUT'
}
