import { randomInt } from 'node:crypto'
import { UniqueIds } from '@gantrymq/protocol'
import { upTo } from '@gantrymq/remoting'
import { ownAddress } from '../instance/client-id.ts'
import type { Codec } from '../message/codec.ts'
import { checkedCall, Deadline } from '../deadline.ts'
import { closed } from '../errors.ts'
import type { CallOptions, MessageQueue, OutgoingMessage, SendReceipt } from '../message/message.ts'
import type { KnownTopic } from '../routes/route-cache.ts'
import { Gate } from './in-flight-limit.ts'
import { type Additions, compressed, illegal, type PreparedMessage, prepare } from './prepared-message.ts'
import { chosenQueue, type QueueChoice } from './queue-choice.ts'
import {
  publishRoute,
  queuesOf,
  sendBlindly,
  type Sender,
  type SendForm,
  sendToQueue,
  sendWithRetries,
} from './send-loop.ts'
import { type ProducerStats, SendStats } from './send-stats.ts'

/** Where and how long one message is sent. */
export interface SendOptions<Body> extends CallOptions, QueueChoice<Body> {}

/** What this client adds to one message. */
export type Extra = Omit<Additions, 'messageId' | 'now'>

/** A message, or a batch, that is to go through the gate. */
export interface Passage<Body> {
  readonly prepared: PreparedMessage
  /** Messages in it. */
  readonly count: number
  readonly form: SendForm
  /** What selectors see. */
  readonly message: OutgoingMessage<Body>
  readonly choice: QueueChoice<Body>
}

/** The way of messages from the caller to a broker: checks, ids, back-pressure, queue, counts. One a producer. */
export class Outbound<Body> {
  readonly sender: Sender
  readonly #codec: Codec<Body>
  readonly #gate: Gate
  readonly #ids: UniqueIds
  readonly #stats: SendStats
  /** Work that goes on after its message was sent. */
  #others = 0
  #closed = false
  #onIdle: (() => void) | undefined

  constructor(sender: Omit<Sender, 'stats'>, codec: Codec<Body>) {
    const { clock, maxInFlight, maxInFlightBytes } = sender.settings
    this.#stats = new SendStats()
    this.sender = { ...sender, stats: this.#stats }
    this.#codec = codec
    this.#gate = new Gate(clock, maxInFlight, maxInFlightBytes)
    // Ids of several producers in one process differ by the seed.
    this.#ids = new UniqueIds({ clock, ip: ownAddress(), pid: process.pid, seed: randomInt(1, 2 ** 31) })
  }

  get stats(): ProducerStats {
    return this.#stats.read(this.#gate.inFlight, this.#gate.waiting)
  }

  nextId(): string {
    return this.#ids.next()
  }

  /** The end of a call. @throws ClientError CLOSED, BAD_OPTION */
  deadline(options: CallOptions): Deadline {
    if (this.#closed) throw closed('this producer')
    const { timeoutMs, signal } = checkedCall('a send', options, this.sender.settings.timeoutMs)
    return new Deadline(this.sender.settings.clock, timeoutMs, signal)
  }

  /** @throws ClientError BAD_NAME, MESSAGE_ILLEGAL */
  prepare(message: OutgoingMessage<Body>, { properties, sysFlag, traced, bare }: Extra): PreparedMessage {
    if (typeof message !== 'object' || message === null) throw illegal('the message is null')
    const { settings } = this.sender
    const additions = { messageId: this.#ids.next(), now: settings.clock.now(), properties, sysFlag, traced, bare }
    return prepare(message, this.#encoded(message.body), settings, additions)
  }

  #encoded(body: Body): Uint8Array | undefined {
    if (body === undefined || body === null) return undefined
    try {
      return this.#codec.encode(body)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw illegal(`the codec cannot encode the message body: ${why}`, error)
    }
  }

  /** Sends one message. */
  send(message: OutgoingMessage<Body>, options: SendOptions<Body>, form: SendForm, extra: Extra): Promise<SendReceipt> {
    // Not async: each promise between the caller and the socket costs half a microsecond.
    try {
      const deadline = this.deadline(options)
      const prepared = this.prepare(message, extra)
      return this.pass({ prepared, count: 1, form, message, choice: options }, deadline)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Through the gate to a broker. */
  async pass(passage: Passage<Body>, deadline: Deadline): Promise<SendReceipt> {
    const { prepared, count, form } = passage
    const { settings } = this.sender
    const size = prepared.body.length
    const entering = this.#enter(size, deadline)
    if (entering !== undefined) await entering
    const started = settings.clock.elapsed()
    try {
      const mayShrink = !form.batch && size >= settings.compressOver
      const shrunk = mayShrink ? await compressed(prepared, settings) : prepared
      const receipt = await this.#deliver(passage, shrunk, deadline)
      this.#stats.sent(count, shrunk.body.length, settings.clock.elapsed() - started)
      return receipt
    } catch (error) {
      this.#stats.failed(count)
      throw error
    } finally {
      this.#gate.leave(size)
    }
  }

  #enter(size: number, deadline: Deadline): Promise<void> | undefined {
    if (this.#closed) throw closed('this producer')
    return this.#gate.tryEnter(size) ? undefined : this.#gate.enter(size, deadline.left, deadline.signal)
  }

  #deliver(passage: Passage<Body>, prepared: PreparedMessage, deadline: Deadline): Promise<SendReceipt> {
    const route = publishRoute(this.sender, prepared.topic, deadline)
    return route instanceof Promise
      ? route.then(known => this.#sendTo(known, passage, prepared, deadline))
      : this.#sendTo(route, passage, prepared, deadline)
  }

  #sendTo(
    known: KnownTopic,
    { form, message, choice }: Passage<Body>,
    prepared: PreparedMessage,
    deadline: Deadline,
  ): Promise<SendReceipt> {
    const { sender } = this
    const queue = chosenQueue(queuesOf(known, sender.settings), message, choice)
    return queue === undefined
      ? sendWithRetries(sender, prepared, known, form, deadline)
      : sendToQueue(sender, prepared, queue, form, deadline)
  }

  /** Sends one message that nobody answers. */
  async sendOneway(message: OutgoingMessage<Body>, options: SendOptions<Body>, extra: Extra): Promise<void> {
    const { settings } = this.sender
    const deadline = this.deadline(options)
    const prepared = this.prepare(message, extra)
    const size = prepared.body.length
    await this.#enter(size, deadline)
    try {
      const shrunk = size >= settings.compressOver ? await compressed(prepared, settings) : prepared
      const queue = await this.#anyQueue(message, options, shrunk, deadline)
      await sendBlindly(this.sender, shrunk, queue, deadline)
      this.#stats.left(1, shrunk.body.length)
    } catch (error) {
      this.#stats.failed(1)
      throw error
    } finally {
      this.#gate.leave(size)
    }
  }

  async #anyQueue(
    message: OutgoingMessage<Body>,
    choice: QueueChoice<Body>,
    prepared: PreparedMessage,
    deadline: Deadline,
  ): Promise<MessageQueue> {
    const { picker, faults, settings } = this.sender
    const queues = queuesOf(await publishRoute(this.sender, prepared.topic, deadline), settings)
    const chosen =
      chosenQueue(queues, message, choice) ?? picker.next(queues, { faults, now: settings.clock.elapsed() })
    // Routes without a queue are refused before.
    return chosen as MessageQueue
  }

  /** Counts work as on its way until it is done, so that closing waits for it. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#others++
    try {
      return await work()
    } finally {
      if (--this.#others === 0) this.#onIdle?.()
    }
  }

  /** Takes nothing more, and waits `drainMs` at most for what is on its way. */
  async close(drainMs: number): Promise<void> {
    this.#closed = true
    this.#gate.refuseAll(closed('this producer'))
    const { clock } = this.sender.settings
    const end = clock.elapsed() + drainMs
    await this.#gate.emptied(drainMs)
    await this.#othersDone(Math.max(0, end - clock.elapsed()))
  }

  async #othersDone(ms: number): Promise<void> {
    if (this.#others === 0 || ms === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onIdle = resolve
    await upTo(this.sender.settings.clock, promise, { timeoutMs: ms })
  }
}
