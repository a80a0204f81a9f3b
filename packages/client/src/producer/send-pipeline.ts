import { randomInt } from 'node:crypto'
import { UniqueIds } from '@gantrymq/protocol'
import { upTo } from '@gantrymq/remoting'
import { ownAddress } from '../instance/client-id.ts'
import type { BytesInput, Codec } from '../message/codec.ts'
import { CALL_FIELDS, checkedCall, Deadline } from '../deadline.ts'
import { closed } from '../errors.ts'
import type { CallOptions, MessageQueue, OutgoingMessage, SendReceipt } from '../message/message.ts'
import type { KnownTopic } from '../routes/route-cache.ts'
import { InFlightLimit } from './in-flight-limit.ts'
import {
  checkFields,
  checkSize,
  compressed,
  type Extras,
  illegal,
  type PreparedMessage,
  prepare,
} from './prepared-message.ts'
import { chosenQueue, type QueueChoice } from './queue-choice.ts'
import {
  publishRoute,
  queuesOf,
  sendOnewayTo,
  type Sender,
  type SendForm,
  sendToQueue,
  sendWithRetries,
} from './send-loop.ts'
import { type ProducerStats, SendStats } from './send-stats.ts'

/** The options of one send: its queue, timeout and signal. */
export interface SendOptions<Body = BytesInput> extends CallOptions, QueueChoice<Body> {}

const SEND_FIELDS = { ...CALL_FIELDS, queue: true, hashKey: true, selector: true } as const

/** A prepared message or batch, and how to send it. */
export interface SendJob<Body> {
  readonly prepared: PreparedMessage
  /** The number of messages in it. */
  readonly count: number
  readonly form: SendForm
  /** What a selector gets. */
  readonly message: OutgoingMessage<Body>
  readonly choice: QueueChoice<Body>
}

/** The steps from a caller's message to a broker: checks, id, in-flight limit, compression, queue, counts. One per producer. */
export class SendPipeline<Body> {
  readonly sender: Sender
  readonly #codec: Codec<Body>
  readonly #limit: InFlightLimit
  readonly #ids: UniqueIds
  readonly #stats: SendStats
  /** Work that goes on after its message was sent, such as local transactions. */
  #followUps = 0
  /** No further calls are taken; those that were may still send. */
  #refuses = false
  #closed = false
  #onIdle: (() => void) | undefined

  constructor(sender: Omit<Sender, 'stats'>, codec: Codec<Body>) {
    const { clock, maxInFlight, maxInFlightBytes } = sender.settings
    this.#stats = new SendStats()
    this.sender = { ...sender, stats: this.#stats }
    this.#codec = codec
    this.#limit = new InFlightLimit(clock, maxInFlight, maxInFlightBytes)
    // The seed keeps the ids of several producers in one process apart.
    this.#ids = new UniqueIds({ clock, ip: ownAddress(), pid: process.pid, seed: randomInt(1, 2 ** 31) })
  }

  get stats(): ProducerStats {
    return this.#stats.read(this.#limit.inFlight, this.#limit.waiting)
  }

  nextId(): string {
    return this.#ids.next()
  }

  /** The deadline of a send. @throws ClientError CLOSED, BAD_OPTION */
  deadline(options: CallOptions): Deadline {
    if (this.#refuses) throw closed('this producer')
    const { timeoutMs, signal } = checkedCall('a send', options, this.sender.settings.timeoutMs, SEND_FIELDS)
    return new Deadline(this.sender.settings.clock, timeoutMs, signal)
  }

  /** @throws ClientError BAD_NAME, MESSAGE_ILLEGAL */
  prepare(message: OutgoingMessage<Body>, extras: Extras): PreparedMessage {
    checkFields(message)
    const { settings } = this.sender
    const additions = { messageId: this.#ids.next(), now: settings.clock.now(), ...extras }
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
  send(
    message: OutgoingMessage<Body>,
    options: SendOptions<Body>,
    form: SendForm,
    extras: Extras,
  ): Promise<SendReceipt> {
    // Not async: each promise between the caller and the socket costs half a microsecond.
    try {
      const deadline = this.deadline(options)
      const prepared = this.prepare(message, extras)
      this.#checkNow(prepared)
      return this.run({ prepared, count: 1, form, message, choice: options }, deadline)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Checks the size of a message that will not be compressed. */
  #checkNow(prepared: PreparedMessage): void {
    const { compressOver, maxMessageSize } = this.sender.settings
    if (prepared.body.length < compressOver) checkSize(prepared, maxMessageSize)
  }

  /** As `prepare`, for a message that is not compressed: one of a batch. @throws ClientError BAD_NAME, MESSAGE_ILLEGAL */
  prepareForBatch(message: OutgoingMessage<Body>, extras: Extras): PreparedMessage {
    const prepared = this.prepare(message, extras)
    checkSize(prepared, this.sender.settings.maxMessageSize)
    return prepared
  }

  /** Sends a prepared message or batch. @throws ClientError */
  async run(job: SendJob<Body>, deadline: Deadline): Promise<SendReceipt> {
    const { prepared, count, form } = job
    const { settings } = this.sender
    const size = prepared.body.length
    const entering = this.#enter(size, deadline)
    if (entering !== undefined) await entering
    const started = settings.clock.elapsed()
    try {
      const mayShrink = !form.batch && size >= settings.compressOver
      const shrunk = mayShrink ? await compressed(prepared, settings) : prepared
      if (mayShrink) checkSize(shrunk, settings.maxMessageSize)
      const receipt = await this.#deliver(job, shrunk, deadline)
      this.#stats.sent(count, shrunk.body.length, settings.clock.elapsed() - started)
      return receipt
    } catch (error) {
      this.#stats.failed(count)
      throw error
    } finally {
      this.#limit.leave(size)
    }
  }

  #enter(size: number, deadline: Deadline): Promise<void> | undefined {
    if (this.#closed) throw closed('this producer')
    return this.#limit.tryEnter(size) ? undefined : this.#limit.enter(size, deadline.left, deadline.signal)
  }

  #deliver(job: SendJob<Body>, prepared: PreparedMessage, deadline: Deadline): Promise<SendReceipt> {
    const route = publishRoute(this.sender, prepared.topic, deadline)
    return route instanceof Promise
      ? route.then(known => this.#sendTo(known, job, prepared, deadline))
      : this.#sendTo(route, job, prepared, deadline)
  }

  #sendTo(
    known: KnownTopic,
    { form, message, choice }: SendJob<Body>,
    prepared: PreparedMessage,
    deadline: Deadline,
  ): Promise<SendReceipt> {
    const { sender } = this
    const queue = chosenQueue(queuesOf(known, sender.settings), message, choice)
    return queue === undefined
      ? sendWithRetries(sender, prepared, known, form, deadline)
      : sendToQueue(sender, prepared, queue, form, deadline)
  }

  /** Sends one message without an answer. @throws ClientError */
  async sendOneway(message: OutgoingMessage<Body>, options: SendOptions<Body>, extras: Extras): Promise<void> {
    const { settings } = this.sender
    const deadline = this.deadline(options)
    const prepared = this.prepare(message, extras)
    this.#checkNow(prepared)
    const size = prepared.body.length
    await this.#enter(size, deadline)
    try {
      const shrunk = size >= settings.compressOver ? await compressed(prepared, settings) : prepared
      checkSize(shrunk, settings.maxMessageSize)
      const queue = await this.#anyQueue(message, options, shrunk, deadline)
      await sendOnewayTo(this.sender, shrunk, queue, deadline)
      this.#stats.sentOneway(1, shrunk.body.length)
    } catch (error) {
      this.#stats.failed(1)
      throw error
    } finally {
      this.#limit.leave(size)
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
    // publishRoute fails for a route without queues.
    return chosen as MessageQueue
  }

  /** Runs work that `close` waits for. */
  async followUp<T>(work: () => Promise<T>): Promise<T> {
    this.#followUps++
    try {
      return await work()
    } finally {
      if (--this.#followUps === 0) this.#onIdle?.()
    }
  }

  /** Takes no further calls. Messages that wait for others of their batch are still sent. */
  refuse(): void {
    this.#refuses = true
  }

  /** Refuses further messages, and waits at most `drainMs` for those in flight. */
  async close(drainMs: number): Promise<void> {
    this.refuse()
    this.#closed = true
    this.#limit.refuseAll(closed('this producer'))
    const { clock } = this.sender.settings
    const end = clock.elapsed() + drainMs
    await this.#limit.emptied(drainMs)
    await this.#followUpsDone(Math.max(0, end - clock.elapsed()))
  }

  async #followUpsDone(ms: number): Promise<void> {
    if (this.#followUps === 0 || ms === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onIdle = resolve
    await upTo(this.sender.settings.clock, promise, { timeoutMs: ms })
  }
}
