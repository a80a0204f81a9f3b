import type { Clock } from '@gantrymq/remoting'
import { Deadline } from '../../deadline.ts'
import { ClientError } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'
import type { ConsumerTrace } from '../../trace/consumer-trace.ts'
import type { ConsumeStats } from '../queue/consume-stats.ts'
import type { Inbox } from './arrived-chunks.ts'
import type { LitePullSettings } from './options.ts'
import type { Chunk, LitePullWork } from './pulled-queue.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'

export interface ReaderOptions<Body> {
  readonly clock: Clock
  readonly inbox: Inbox<Chunk<Body>>
  readonly settings: LitePullSettings
  /** The queues whose offsets are committed by themselves. */
  readonly works: () => Iterable<LitePullWork<Body>>
  readonly stats: ConsumeStats
  /** RocketMQ's own message trace; undefined where it is off. */
  readonly trace: ConsumerTrace | undefined
}

type Part<Body> = Pick<Chunk<Body>, 'work' | 'epoch' | 'messages'>

/** Hands out what waits in the inbox, and knows what the user has in hand. */
export class Reader<Body> {
  readonly #options: ReaderOptions<Body>
  /** Done when the user asks for more. */
  #inHand: Part<Body>[] = []
  #committedAt: number
  #isClosed = false

  constructor(options: ReaderOptions<Body>) {
    this.#options = options
    this.#committedAt = options.clock.elapsed()
  }

  /** The messages of one pull. What earlier polls gave is done. @throws ClientError BAD_OPTION, ABORTED */
  async poll({ timeoutMs = this.#options.settings.pollTimeoutMs, signal }: CallOptions) {
    checkWait(timeoutMs)
    this.#finishInHand()
    const chunk = await this.#take({ timeoutMs, signal })
    if (chunk === undefined) return []
    this.#handOut(chunk.work, chunk.messages)
    this.#inHand.push(chunk)
    return chunk.messages
  }

  /** One by one until closed, or none has come for `timeoutMs`. @throws ClientError BAD_OPTION, ABORTED */
  async *messages({
    timeoutMs = Number.POSITIVE_INFINITY,
    signal,
  }: CallOptions): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    checkWait(timeoutMs)
    const { clock, settings } = this.#options
    this.#finishInHand()
    let rest = new Deadline(clock, timeoutMs)
    while (!this.#isClosed) {
      // Not all of the wait at once: offsets are committed between two.
      const chunk = await this.#take({ timeoutMs: Math.min(rest.left, settings.autoCommitMs), signal })
      if (chunk === undefined) {
        if (rest.hasPassed) return
        continue
      }
      yield* this.#each(chunk)
      rest = new Deadline(clock, timeoutMs)
    }
  }

  async *#each(chunk: Chunk<Body>): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    const { work, epoch, messages } = chunk
    let handed = 0
    let done = 0
    try {
      for (const message of messages) {
        if (chunk.isStale || this.#isClosed) return
        handed++
        this.#handOut(work, [message])
        yield message
        done++
        work.finish({ epoch, messages: [message] })
      }
    } finally {
      if (handed > done) this.#inHand.push({ work, epoch, messages: messages.slice(done, handed) })
      work.takeBack({ epoch, messages: messages.slice(handed) })
    }
  }

  // What the user makes of them is not known here: in the trace they count as consumed, as in Apache's poll.
  #handOut(work: LitePullWork<Body>, messages: readonly ReceivedMessage<Body>[]): void {
    work.handOut(messages)
    this.#options.stats.consumed(work.queue.topic, messages.length, 0, true)
    this.#options.trace?.begin(messages)('success', 0)
  }

  async #take(options: CallOptions): Promise<Chunk<Body> | undefined> {
    const { clock, inbox, settings } = this.#options
    this.#autoCommit()
    const deadline = Deadline.of(clock, options, settings.pollTimeoutMs)
    for (;;) {
      const chunk = await inbox.take({ timeoutMs: deadline.left, signal: options.signal })
      // It may have been sought or lost since it was given to us.
      if (chunk === undefined || !chunk.isStale) return chunk
    }
  }

  #finishInHand(): void {
    const done = this.#inHand
    this.#inHand = []
    for (const part of done) part.work.finish(part)
  }

  #autoCommit(): void {
    const { clock, settings, works } = this.#options
    const now = clock.elapsed()
    if (now - this.#committedAt < settings.autoCommitMs) return
    this.#committedAt = now
    for (const work of works()) work.noteDone()
  }

  /** Whoever waits gets nothing. */
  close(): void {
    this.#isClosed = true
    this.#options.inbox.close()
  }
}

function checkWait(timeoutMs: number): void {
  if (!(timeoutMs >= 0)) throw new ClientError('BAD_OPTION', 'Timeout must not be negative')
}
