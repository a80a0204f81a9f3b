import { type SubscriptionData, V5_0_0 } from '@gantrymq/protocol'
import { pause } from '@gantrymq/remoting'
import { bytes, type Codec } from '../message/codec.ts'
import { checkedCall, Deadline } from '../deadline.ts'
import { ClientError, closed } from '../errors.ts'
import { type ClientOptions, instanceOptions } from '../instance/instance-options.ts'
import type { ConsumerMember } from '../instance/instance-members.ts'
import type { CallOptions } from '../message/message.ts'
import { type GivenOf, millis, readOptions, type ValuesOf, whole } from '../options.ts'
import { checkedGroup, checkedTopic } from './group/checked-names.ts'
import { Membership, started } from './group/membership.ts'
import { acknowledgeAll, MAX_POP } from './pop/call.ts'
import { PopPlaces } from './pop/turns.ts'
import { pullMember } from './group/pull-member.ts'
import { pushOptions } from './push/settings.ts'
import { type SimpleContext, SimpleMessage } from './pop/simple-message.ts'
import { type Expression, subscriptionOf } from './subscription.ts'

const { consumeFrom, unitMode } = pushOptions

/** What simple consumers have beside `instanceOptions`. */
export const simpleOptions = {
  /** Where a group begins that has no offsets yet; a time counts as `last`. Default `last`. */
  consumeFrom,
  unitMode,
  /** How long a received message is hidden from others, milliseconds. Default 60,000. */
  invisibleMs: millis(60_000, 'popInvisibleTime', { min: 1000 }),
  /** Messages that `receive` gives at most. Default 16. */
  maxMessages: whole(16, 'popBatchNums', { min: 1, max: MAX_POP }),
  /** How long `receive` waits for messages, milliseconds. Default 15,000. */
  waitMs: millis(15_000, null, { max: 600_000 }),
}

/** What a simple consumer is started with. */
export interface SimpleConsumerOptions<Body = Buffer> extends ClientOptions, GivenOf<typeof simpleOptions> {
  /** Name of the group. Each message goes to one of its members. */
  readonly group: string
  /** Topics, each with what is wanted of it: `*`, tags such as `new || paid`, or `{ sql: 'amount > 5' }`. */
  readonly subscriptions: Readonly<Record<string, Expression>>
  /** Makes bodies of bytes. Default: bodies are bytes. */
  readonly codec?: Codec<Body> | undefined
}

/** What a simple consumer has done since it started. */
export interface SimpleConsumerStats {
  readonly received: number
  /** Acknowledged, and known to the broker. */
  readonly acked: number
}

/** What one `receive` differs in from the options of the consumer. */
export interface ReceiveOptions extends CallOptions {
  /** Messages at most, 1 to 32. */
  readonly max?: number | undefined
  readonly invisibleMs?: number | undefined
  readonly waitMs?: number | undefined
  /**
   * How long all of it may take, milliseconds; `waitMs` ends a second before, or when half of it is over. What a broker gives
   * out when the time is up is hidden until `invisibleMs` are over, so the default waits for every answer: `waitMs`, and 10 s
   * more for each silent broker in turn.
   */
  readonly timeoutMs?: number | undefined
  /** Gives up waiting. Messages that are on their way then come again when their time is over. */
  readonly signal?: AbortSignal | undefined
}

const table = { ...instanceOptions, ...simpleOptions }

/** What a loop has left comes to others after so long, milliseconds. */
const RELEASE_MS = 1000
/** Of the time of a receive, kept for the answer after the last wait, milliseconds. */
const ANSWER_MS = 1000
/** After a receive that failed, in `for await`, milliseconds. */
const AGAIN_MS = 1000

/**
 * Receives messages that stay hidden from others until they are acknowledged or their time is over: no queues, no offsets,
 * no order. Any number of members share a topic, whatever its queues. For brokers of 5.x. Do not mix it with pulling
 * consumers in one group.
 */
export class SimpleConsumer<Body = Buffer> {
  readonly group: string
  readonly #membership: Membership
  readonly #settings: ValuesOf<typeof simpleOptions> & ValuesOf<typeof instanceOptions>
  readonly #codec: Codec<Body>
  readonly #pop: SimpleContext
  readonly #places: PopPlaces
  readonly #member: ConsumerMember
  readonly #subscriptions = new Map<string, SubscriptionData>()
  readonly #stop = new AbortController()

  /** Joins a group. @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN, UNSUPPORTED if all brokers are of 4.9, one has no SQL92 or a topic is static */
  static async start<Body = Buffer>(options: SimpleConsumerOptions<Body>): Promise<SimpleConsumer<Body>> {
    return await started(
      new SimpleConsumer<Body>(options),
      consumer => consumer.#start(),
      consumer => consumer.close(),
    )
  }

  private constructor(options: SimpleConsumerOptions<Body>) {
    const { group, subscriptions, codec = bytes as Codec<never>, ...given } = options
    this.group = checkedGroup(group)
    this.#codec = codec
    this.#settings = readOptions('SimpleConsumer', table, given)
    for (const [topic, expression] of Object.entries(subscriptions)) this.#addSubscription(topic, expression)
    this.#membership = new Membership(this.#settings, this.group)
    const { instance, group: wireGroup, stats } = this.#membership
    this.#pop = { instance, group: wireGroup, stats }
    this.#places = new PopPlaces(this.#pop, this.#subscriptions)
    this.#member = pullMember({
      membership: this.#membership,
      settings: this.#settings,
      table,
      subscriptions: () => [...this.#subscriptions.values()],
    })
  }

  async #start(): Promise<void> {
    await this.#membership.prepare([...this.#subscriptions.values()])
    await this.#membership.join(this.#member)
    this.#checkVersions()
  }

  #addSubscription(topic: string, expression: Expression): void {
    const wireTopic = checkedTopic(this.#settings.namespace, topic)
    this.#subscriptions.set(wireTopic, subscriptionOf(wireTopic, expression, this.#settings.clock.now()))
  }

  #checkVersions(): void {
    const { brokers } = this.#pop.instance
    const masters = brokers.masters()
    const isOld = masters
      .map(({ name, address }) => brokers.version(name, address))
      .map(each => each > 0 && each < V5_0_0)
    if (masters.length === 0 || !isOld.every(Boolean)) return
    const names = masters.map(({ name, address }) => `${name} at ${address}`).join(', ')
    const text = `SimpleConsumer needs brokers of 5.0 or later; these are older: ${names}. Use PushConsumer or LitePullConsumer`
    throw new ClientError('UNSUPPORTED', text)
  }

  get clientId(): string {
    return this.#pop.instance.clientId
  }

  get stats(): SimpleConsumerStats {
    const { pulled, ok } = this.#pop.stats.total
    return { received: pulled, acked: ok }
  }

  /**
   * Adds a topic, or changes what is wanted of it. With ABORTED or TIMEOUT nothing has changed. If only the brokers have not
   * been told yet when the time is up or the signal is aborted, it resolves: the subscription counts, and they are told all
   * the same. `timeoutMs` is by default six times `requestTimeoutMs`, longer than all of it takes.
   * @throws ClientError BAD_OPTION, BAD_NAME, UNSUPPORTED, TIMEOUT, ABORTED, CLOSED
   */
  async subscribe(topic: string, expression: Expression = '*', options: CallOptions = {}): Promise<void> {
    const wireTopic = this.#membership.topic(topic)
    const subscription = subscriptionOf(wireTopic, expression, this.#settings.clock.now())
    const deadline = this.#membership.changing('subscribe', options)
    await this.#membership.admit(subscription, deadline)
    this.#membership.watch(wireTopic)
    this.#subscriptions.set(wireTopic, subscription)
    await deadline.upTo(this.#pop.instance.heartbeat())
  }

  /**
   * Gives a topic up. Resolves when the brokers know, or when the time is up or the signal aborted: they are told all the
   * same. ABORTED means that it was so before the call, and that nothing has changed.
   * @throws ClientError BAD_OPTION, BAD_NAME, ABORTED, CLOSED
   */
  async unsubscribe(topic: string, options: CallOptions = {}): Promise<void> {
    const wireTopic = this.#membership.topic(topic)
    const deadline = this.#membership.changing('unsubscribe', options)
    this.#subscriptions.delete(wireTopic)
    this.#membership.part(wireTopic)
    await deadline.upTo(this.#pop.instance.heartbeat())
  }

  // -- Messages ------------------------------------------------------------------------------------------------------

  /**
   * Messages of one of the topics, perhaps redelivered ones; none if none have come in time. After ABORTED or TIMEOUT those
   * that a broker had given out by then are hidden until `invisibleMs` are over; nothing else has changed.
   * @throws ClientError BAD_OPTION, UNSUPPORTED, ROUTE_MISSING, BROKER_REFUSED, CONNECT_FAILED, TIMEOUT, ABORTED, CLOSED
   */
  async receive(options: ReceiveOptions = {}): Promise<SimpleMessage<Body>[]> {
    this.#membership.checkOpen()
    const call = checkedCall('receive', options, Number.POSITIVE_INFINITY)
    const { max, invisibleMs, waitMs } = this.#receiving(options)
    const from = this.#settings.consumeFrom === 'first' ? 'oldest' : 'newest'
    const signals = [this.#stop.signal, ...(call.signal === undefined ? [] : [call.signal])]
    const deadline = new Deadline(this.#settings.clock, call.timeoutMs, AbortSignal.any(signals))
    const wait = Math.min(waitMs, Math.floor(call.timeoutMs - Math.min(ANSWER_MS, call.timeoutMs / 2)))
    try {
      const { topic, found } = await this.#places.receive({ max, invisibleMs, from }, wait, deadline)
      const context = { namespace: this.#settings.namespace, codec: this.#codec }
      return found.map(each => new SimpleMessage(this.#pop, topic, each, context))
    } catch (error) {
      throw this.#stop.signal.aborted ? closed('this consumer') : error
    }
  }

  #receiving({ max, invisibleMs, waitMs }: ReceiveOptions) {
    const { maxMessages, unitMode: _, ...rest } = simpleOptions
    const table = { max: maxMessages, invisibleMs: rest.invisibleMs, waitMs: rest.waitMs }
    const own = this.#settings
    const given = {
      max: max ?? own.maxMessages,
      invisibleMs: invisibleMs ?? own.invisibleMs,
      waitMs: waitMs ?? own.waitMs,
    }
    return readOptions('receive', table, given)
  }

  /**
   * Messages one by one until the consumer closes; each is to be acknowledged. Those whose time is over before their turn
   * are left out, as others get them. Leaving the loop gives what it has left back.
   */
  [Symbol.asyncIterator](): AsyncGenerator<SimpleMessage<Body>, void, undefined> {
    return this.messages()
  }

  /** As `for await` on the consumer. What fails in between is logged and tried again. @throws ClientError ABORTED, UNSUPPORTED */
  async *messages(options: ReceiveOptions = {}): AsyncGenerator<SimpleMessage<Body>, void, undefined> {
    while (!this.#stop.signal.aborted) {
      const messages = await this.#receiveForLoop(options)
      yield* this.#each(messages, options)
    }
  }

  async #receiveForLoop(options: ReceiveOptions): Promise<SimpleMessage<Body>[]> {
    try {
      return await this.receive(options)
    } catch (error) {
      if (this.#stop.signal.aborted) return []
      if (!(error instanceof ClientError) || !error.retriable) throw error
      this.#pop.instance.log.warn({ group: this.group, error: error.message }, 'receive failed')
      await pause(this.#pop.instance.clock, AGAIN_MS, this.#stop.signal)
      return []
    }
  }

  async *#each(messages: readonly SimpleMessage<Body>[], { invisibleMs }: ReceiveOptions) {
    const { clock } = this.#pop.instance
    const end = clock.elapsed() + (invisibleMs ?? this.#settings.invisibleMs)
    let at = 0
    try {
      while (at < messages.length && clock.elapsed() < end && !this.#stop.signal.aborted) {
        yield messages[at++] as SimpleMessage<Body>
      }
    } finally {
      if (clock.elapsed() < end) this.#release(messages.slice(at))
    }
  }

  /** Others may have them at once. What cannot be told comes when its time is over. */
  #release(messages: readonly SimpleMessage<Body>[]): void {
    for (const message of messages) message.changeInvisible(RELEASE_MS).catch(() => {})
  }

  /** Messages are done with, several in one request. @throws ClientError */
  async ack(messages: Iterable<SimpleMessage<Body>>, options: CallOptions = {}): Promise<void> {
    const done = [...messages].map(({ acknowledgement }) => acknowledgement)
    await acknowledgeAll(this.#pop, done, options)
    for (const { topic } of done) this.#pop.stats.consumed(topic, 1, 0, true)
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /**
   * Leaves the group: ends what waits, closes the connections. Acknowledge before: what is in hand comes again to others.
   * Idempotent.
   */
  close(): Promise<void> {
    return this.#membership.close({
      stop: async () => this.#stop.abort(),
      keep: async () => {},
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
