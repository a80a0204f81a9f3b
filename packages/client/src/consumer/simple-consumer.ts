import { V5_0_0 } from '@gantrymq/protocol'
import { pause } from '@gantrymq/remoting'
import { CALL_FIELDS, checkedCall, Deadline } from '../deadline.ts'
import { ClientError, closed } from '../errors.ts'
import type { ConsumerMember } from '../instance/instance-members.ts'
import { check, listOf, shown } from '../fields.ts'
import { asJava, type ClientOptions, instanceOptions } from '../instance/instance-options.ts'
import { bytes, type Codec } from '../message/codec.ts'
import type { CallOptions } from '../message/message.ts'
import { checkedOptions, type GivenOf, millis, readOptions, type OptionValues, whole } from '../options.ts'
import { checkedGroup, checkedSubscriptions, checkedTopic } from './group/checked-names.ts'
import type { Readiness } from './group/member-health.ts'
import { Membership, startOrClose } from './group/membership.ts'
import { pullMember } from './group/pull-member.ts'
import type { Expression } from './group/subscription.ts'
import { type Subscriber, SubscriptionChanges } from './group/subscription-changes.ts'
import { Subscriptions } from './group/subscriptions.ts'
import { acknowledgeAll } from './pop/acknowledge.ts'
import { MAX_POP } from './pop/call.ts'
import { type SimpleContext, SimpleMessage } from './pop/simple-message.ts'
import { PopTurns } from './pop/turns.ts'
import { pushOptions } from './push/settings.ts'

const { consumeFrom, unitMode, waitForNameServer, onProblem } = pushOptions

/** The options of simple consumers besides `instanceOptions`. */
export const simpleOptions = {
  /** Where a group without offsets starts: `last` or `first`. A time counts as `last`. Default `last`. */
  consumeFrom,
  unitMode,
  waitForNameServer,
  onProblem,
  /** How long a received message is invisible to other members, in milliseconds. Default 60,000. */
  invisibleMs: millis(60_000, 'popInvisibleTime', { min: 1000 }),
  /** The most messages that `receive` returns. Default 16. */
  maxMessages: whole(16, 'popBatchNums', { min: 1, max: MAX_POP }),
  /** How long `receive` waits for messages, in milliseconds. Default 15,000. */
  waitMs: millis(15_000, null, { max: 600_000 }),
}

/** The options of a simple consumer. */
export interface SimpleConsumerOptions<Body = Buffer> extends ClientOptions, GivenOf<typeof simpleOptions> {
  /** Name of the consumer group. Each message goes to one of its members. */
  readonly group: string
  /** The topics to receive, each with `*` for all messages, tags such as `new || paid`, or a filter `{ sql: 'amount > 5' }`. */
  readonly subscriptions: Readonly<Record<string, Expression>>
  /** Decodes message bodies. Default: bodies stay bytes. */
  readonly codec?: Codec<Body> | undefined
}

/** What a simple consumer has done since it started. */
export interface SimpleConsumerStats {
  readonly received: number
  /** Messages whose acknowledgement the broker has. */
  readonly acked: number
}

/** Options of one `receive`. Those left out are taken from the consumer's options. */
export interface ReceiveOptions extends CallOptions {
  /** The most messages, 1 to 32. */
  readonly max?: number | undefined
  readonly invisibleMs?: number | undefined
  readonly waitMs?: number | undefined
  /**
   * How long the whole call may take, in milliseconds. The wait for messages ends one second earlier, or when half of the time
   * is over. Messages that a broker hands out after that stay invisible until `invisibleMs` is over. By default the call
   * therefore waits for every reply: `waitMs`, and 10 s more for each broker that does not answer.
   */
  readonly timeoutMs?: number | undefined
  /** Ends the wait. Messages that are on their way stay invisible until `invisibleMs` is over. */
  readonly signal?: AbortSignal | undefined
}

const table = { ...instanceOptions, ...simpleOptions }

const RECEIVE_FIELDS = { ...CALL_FIELDS, max: true, invisibleMs: true, waitMs: true } as const

/** After how long messages that a loop did not return become visible to other members, in milliseconds. */
const RELEASE_MS = 1000
/** The part of a receive's time that is kept for the last reply, in milliseconds. */
const ANSWER_MS = 1000
/** How long a loop rests after a receive that failed, in milliseconds. */
const AGAIN_MS = 1000

/**
 * Receives messages that stay invisible to the other members until they are acknowledged or their time is over. There are no
 * queues, offsets or order, so any number of members can share a topic. Needs brokers of 5.x. Do not use it in one group with
 * consumers that pull.
 */
export class SimpleConsumer<Body = Buffer> implements Subscriber {
  readonly group: string
  readonly #membership: Membership
  readonly #settings: OptionValues<typeof simpleOptions> & OptionValues<typeof instanceOptions>
  readonly #codec: Codec<Body>
  readonly #pop: SimpleContext
  readonly #turns: PopTurns
  readonly #subscriptions = new Subscriptions()
  readonly #changes: SubscriptionChanges
  readonly #member: ConsumerMember
  readonly #stop = new AbortController()

  /**
   * Joins a group.
   * @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN; UNSUPPORTED if all brokers are of 4.9, if a broker does not filter by
   * SQL92, and for static topics
   */
  static async start<Body = Buffer>(options: SimpleConsumerOptions<Body>): Promise<SimpleConsumer<Body>> {
    return await startOrClose(
      new SimpleConsumer<Body>(options),
      consumer => consumer.#start(),
      consumer => consumer.close(),
    )
  }

  private constructor(options: SimpleConsumerOptions<Body>) {
    const { group, subscriptions, codec = bytes as Codec<never>, ...given } = checkedOptions('SimpleConsumer', options)
    this.group = checkedGroup(group)
    this.#codec = codec
    this.#settings = asJava(readOptions('SimpleConsumer', table, given))
    for (const [topic, expression] of Object.entries(checkedSubscriptions('SimpleConsumer', subscriptions)))
      this.#addSubscription(topic, expression)
    this.#membership = new Membership(this.#settings, this.group)
    const { instance, group: wireGroup, stats } = this.#membership
    this.#pop = { instance, group: wireGroup, stats }
    this.#turns = new PopTurns(this.#pop, this.#subscriptions.wanted)
    this.#changes = new SubscriptionChanges({
      membership: this.#membership,
      subscriptions: this.#subscriptions,
      announce: () => instance.heartbeat(),
    })
    this.#member = pullMember({
      membership: this.#membership,
      settings: this.#settings,
      table,
      subscriptions: () => this.#subscriptions.list,
    })
  }

  async #start(): Promise<void> {
    await this.#membership.prepare(this.#subscriptions.list)
    await this.#membership.join(this.#member)
    this.#checkVersions()
  }

  #addSubscription(topic: string, expression: Expression): void {
    const { namespace, clock } = this.#settings
    this.#subscriptions.set(checkedTopic(namespace, topic), expression, clock.now())
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

  /** Whether it gets messages, as far as it knows, and what is wrong: for the readiness probe of a service. */
  get readiness(): Readiness {
    return this.#membership.health.readiness(true)
  }

  get stats(): SimpleConsumerStats {
    const { pulled, ok } = this.#pop.stats.total
    return { received: pulled, acked: ok }
  }

  async subscribe(topic: string, expression: Expression = '*', options: CallOptions = {}): Promise<void> {
    await this.#changes.subscribe(topic, expression, options)
  }

  async unsubscribe(topic: string, options: CallOptions = {}): Promise<void> {
    await this.#changes.unsubscribe(topic, options)
  }

  // -- Messages ------------------------------------------------------------------------------------------------------

  /**
   * Messages of one of the topics, new or redelivered; none if none arrive in time. After ABORTED or TIMEOUT, messages that a
   * broker has already handed out stay invisible until `invisibleMs` is over; nothing else has changed.
   * @throws ClientError BAD_OPTION, UNSUPPORTED, ROUTE_MISSING, BROKER_REFUSED, CONNECT_FAILED, TIMEOUT, ABORTED, CLOSED
   */
  async receive(options: ReceiveOptions = {}): Promise<SimpleMessage<Body>[]> {
    this.#membership.checkOpen()
    const call = checkedCall('receive', options, Number.POSITIVE_INFINITY, RECEIVE_FIELDS)
    const { max, invisibleMs, waitMs } = this.#receiving(options)
    const from = this.#settings.consumeFrom === 'first' ? 'oldest' : 'newest'
    const signals = [this.#stop.signal, ...(call.signal === undefined ? [] : [call.signal])]
    const deadline = new Deadline(this.#settings.clock, call.timeoutMs, AbortSignal.any(signals))
    const wait = Math.min(waitMs, Math.floor(call.timeoutMs - Math.min(ANSWER_MS, call.timeoutMs / 2)))
    try {
      const { topic, found } = await this.#turns.receive({ max, invisibleMs, from }, wait, deadline)
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
   * Messages one by one until the consumer closes. Each has to be acknowledged. A message whose time is over before it could be
   * returned is left out, as another member gets it. Leaving the loop releases the messages that were not returned.
   */
  [Symbol.asyncIterator](): AsyncGenerator<SimpleMessage<Body>, void, undefined> {
    return this.messages()
  }

  /** Like `for await` on the consumer. A receive that fails is logged and repeated. @throws ClientError ABORTED, UNSUPPORTED */
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

  /** Makes messages visible to other members. One that cannot be released is redelivered when its time is over. */
  #release(messages: readonly SimpleMessage<Body>[]): void {
    for (const message of messages) message.changeInvisible(RELEASE_MS).catch(() => {})
  }

  /** Acknowledges messages, with one request to each broker. @throws ClientError */
  async ack(messages: Iterable<SimpleMessage<Body>>, options: CallOptions = {}): Promise<void> {
    check('messages of ack', messages, listOf('received messages'))
    const received = [...messages]
    const other = received.find(each => !(each instanceof SimpleMessage))
    if (received.length > 0 && !received.every(each => each instanceof SimpleMessage)) {
      throw new ClientError(
        'BAD_OPTION',
        `messages of ack must be messages that a simple consumer has received, not ${shown(other)}`,
      )
    }
    const done = received.map(({ acknowledgement }) => acknowledgement)
    await acknowledgeAll(this.#pop, done, options)
    for (const { topic } of done) this.#pop.stats.consumed(topic, 1, 0, true)
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /**
   * Leaves the group: ends calls that wait, closes the connections. Acknowledge messages before: the others are redelivered.
   * Idempotent.
   */
  close(): Promise<void> {
    return this.#membership.close({
      stop: async () => this.#stop.abort(),
      release: async () => {},
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
