import type { Clock } from '@gantrymq/remoting'
import { Deadline } from '../../deadline.ts'
import { ClientError } from '../../errors.ts'
import { callOptions, problemWith } from '../../fields.ts'
import type { CallOptions } from '../../message/message.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import type { ConsumerTrace } from '../../trace/consumer-trace.ts'
import type { ConsumptionStats } from '../queue/consumption-stats.ts'
import type { ArrivedChunks } from './arrived-chunks.ts'
import type { LitePullSettings } from './options.ts'
import type { Chunk, LitePullQueue } from './queue.ts'

export interface LitePullReaderOptions<Body> {
  readonly clock: Clock
  readonly chunks: ArrivedChunks<Chunk<Body>>
  readonly settings: LitePullSettings
  /** The queues whose offsets `autoCommit` commits. */
  readonly queues: Iterable<LitePullQueue<Body>>
  readonly stats: ConsumptionStats
  /** RocketMQ's own message trace; undefined if it is off. */
  readonly trace: ConsumerTrace | undefined
}

type ChunkPart<Body> = Pick<Chunk<Body>, 'held' | 'epoch' | 'messages'>

/** Hands pulled messages to the user, and marks them as done when the user asks for more. */
export class LitePullReader<Body> {
  readonly #options: LitePullReaderOptions<Body>
  /** Messages that the user has and that are done when the user asks for more. */
  #inHand: ChunkPart<Body>[] = []
  #committedAt: number
  #isClosed = false

  constructor(options: LitePullReaderOptions<Body>) {
    this.#options = options
    this.#committedAt = options.clock.elapsed()
  }

  /** The messages of one pull. Those of earlier polls are done. @throws ClientError BAD_OPTION, ABORTED */
  async poll(options: CallOptions): Promise<readonly ReceivedMessage<Body>[]> {
    const { timeoutMs = this.#options.settings.pollTimeoutMs, signal } = checked('poll', options)
    this.#finishInHand()
    const chunk = await this.#take({ timeoutMs, signal })
    if (chunk === undefined) return []
    this.#handOut(chunk.held, chunk.messages)
    this.#inHand.push(chunk)
    return chunk.messages
  }

  /** Messages one by one, until the consumer closes or none arrives for `timeoutMs`. @throws ClientError BAD_OPTION, ABORTED */
  async *messages(options: CallOptions): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    const { timeoutMs = Number.POSITIVE_INFINITY, signal } = checked('messages', options)
    const { clock, settings } = this.#options
    this.#finishInHand()
    let deadline = new Deadline(clock, timeoutMs)
    while (!this.#isClosed) {
      // Waits in parts, because offsets are committed at the start of each wait.
      const chunk = await this.#take({ timeoutMs: Math.min(deadline.left, settings.autoCommitMs), signal })
      if (chunk === undefined) {
        if (deadline.hasPassed) return
        continue
      }
      yield* this.#each(chunk)
      deadline = new Deadline(clock, timeoutMs)
    }
  }

  async *#each(chunk: Chunk<Body>): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    const { held, epoch, messages } = chunk
    let handed = 0
    let done = 0
    try {
      for (const message of messages) {
        if (chunk.isStale || this.#isClosed) return
        handed++
        this.#handOut(held, [message])
        yield message
        done++
        held.finish({ epoch, messages: [message] })
      }
    } finally {
      if (handed > done) this.#inHand.push({ held, epoch, messages: messages.slice(done, handed) })
      held.putBack({ epoch, messages: messages.slice(handed) })
    }
  }

  // The outcome is unknown here, so the trace shows them as consumed, as Apache's poll does.
  #handOut(held: LitePullQueue<Body>, messages: readonly ReceivedMessage<Body>[]): void {
    held.handOut(messages)
    this.#options.stats.consumed(held.queue.topic, messages.length, 0, true)
    this.#options.trace?.begin(messages)('success', 0)
  }

  async #take(options: CallOptions): Promise<Chunk<Body> | undefined> {
    const { clock, chunks, settings } = this.#options
    this.#autoCommit()
    const deadline = Deadline.of(clock, options, settings.pollTimeoutMs)
    for (;;) {
      const chunk = await chunks.take({ timeoutMs: deadline.left, signal: options.signal })
      // The queue may have been sought or lost after the chunk was handed to this wait.
      if (chunk === undefined || !chunk.isStale) return chunk
    }
  }

  #finishInHand(): void {
    const done = this.#inHand
    this.#inHand = []
    for (const part of done) part.held.finish(part)
  }

  #autoCommit(): void {
    const { clock, settings, queues } = this.#options
    const now = clock.elapsed()
    if (now - this.#committedAt < settings.autoCommitMs) return
    this.#committedAt = now
    for (const held of queues) held.updateOffset()
  }

  /** Ends polls that wait. They return no messages. */
  close(): void {
    this.#isClosed = true
    this.#options.chunks.close()
  }
}

/** The options of a call whose timeout may be 0. @throws ClientError BAD_OPTION */
function checked(what: string, options: CallOptions): CallOptions {
  const problem = problemWith('options', options, pollOptions)
  if (problem !== undefined) throw new ClientError('BAD_OPTION', `${what}: ${problem}`)
  return options
}

const pollOptions = callOptions(
  {},
  { expected: 'a number of milliseconds of 0 or more', accepts: given => typeof given === 'number' && given >= 0 },
)
