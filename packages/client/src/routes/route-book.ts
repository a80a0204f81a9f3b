import { AUTO_CREATE_TOPIC, nameServerRequests, type TopicRoute } from '@gantrymq/protocol'
import { type Clock, type Logger, pause } from '@gantrymq/remoting'
import type { BrokerTable } from './broker-table.ts'
import { Deadline } from '../deadline.ts'
import { aborted, ClientError, javaCodes, toClientError } from '../errors.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import type { NameServers } from './name-servers.ts'
import { publishQueues, readQueues, refuseStatic, sameRoute, withDefaultTopic } from './routes.ts'

export interface RouteBookOptions {
  readonly nameServers: NameServers
  readonly brokers: BrokerTable
  readonly clock: Clock
  readonly log: Logger
  /** How often the routes of watched topics are asked for, milliseconds. Apache: pollNameServerInterval 30,000. */
  readonly refreshMs: number
  /** How long one query may take, milliseconds. Apache: mqClientApiTimeout 3,000. */
  readonly timeoutMs: number
}

/** What is known of a topic. */
export interface KnownTopic {
  readonly route: TopicRoute
  /** Queues to send to, in Apache's order. */
  readonly publish: readonly MessageQueue[]
  /** Queues to read from. */
  readonly read: readonly MessageQueue[]
}

type Listener = (known: KnownTopic) => void

/** Queries of a refresh that run side by side: enough to be quick, few enough not to be a storm. */
const AT_A_TIME = 4
/** A topic is asked for again after a failure this much later at the earliest, milliseconds. */
const ASK_AGAIN_MS = 1000
/** And so much later where somebody waits for the answer. */
const RENEW_MS = 100

/** The routes of the topics in use. One query at a time a topic; everybody who wants it waits for the same. */
export class RouteBook {
  readonly #options: RouteBookOptions
  readonly #known = new Map<string, KnownTopic>()
  readonly #queries = new Map<string, Promise<KnownTopic>>()
  readonly #listeners = new Map<string, Set<Listener>>()
  /** Topics that somebody sent to: refreshed like those that are watched. */
  readonly #used = new Set<string>()
  readonly #askedAt = new Map<string, number>()
  #timer: Disposable | undefined
  #refreshing: Promise<void> | undefined

  constructor(options: RouteBookOptions) {
    this.#options = options
  }

  start(): void {
    const { clock, refreshMs } = this.#options
    this.#timer = clock.every(refreshMs, () => void this.refresh())
  }

  close(): void {
    this.#timer?.[Symbol.dispose]()
    this.#listeners.clear()
    this.#used.clear()
  }

  /** What is known now; undefined if nothing. */
  peek(topic: string): KnownTopic | undefined {
    return this.#known.get(topic)
  }

  /** All routes that are known. */
  get routes(): Iterable<TopicRoute> {
    return [...this.#known.values()].map(({ route }) => route)
  }

  /**
   * The queues of a topic, asked for if they are not known.
   * @throws ClientError ROUTE_MISSING, NO_NAME_SERVER, TIMEOUT, ABORTED, CONNECT_FAILED
   */
  async get(topic: string, options: CallOptions = {}): Promise<KnownTopic> {
    this.#used.add(topic)
    return this.#known.get(topic) ?? this.#asked(topic, options)
  }

  /** The same, asked for anew. */
  async fresh(topic: string, options: CallOptions = {}): Promise<KnownTopic> {
    return this.#asked(topic, options)
  }

  /**
   * The queues to send to. A topic nobody made yet gets those of the topic that brokers copy when they make one
   * (`TBW102`), with at most `queues` a broker (spec client 2.5).
   * @throws as `get`; ROUTE_MISSING too if no queue takes messages, UNSUPPORTED for static topics
   */
  async toPublish(topic: string, queues: number, template: string, options: CallOptions = {}): Promise<KnownTopic> {
    const deadline = Deadline.of(this.#options.clock, options, this.#options.timeoutMs)
    const known = await this.#forPublish(topic, deadline).catch((error: unknown) => {
      if (!isMissing(error)) throw error
      return this.#fromTemplate(topic, queues, template, deadline, error)
    })
    // A topic that is there is not made anew, even if nobody takes messages for it now.
    if (known.publish.length > 0) return known
    refuseStatic(topic, known.route)
    throw noQueue(topic, known.route)
  }

  // A route without a queue may be older than the topic's last change.
  #forPublish(topic: string, deadline: Deadline): Promise<KnownTopic> {
    this.#used.add(topic)
    const known = this.#known.get(topic)
    return known !== undefined && known.publish.length > 0
      ? Promise.resolve(known)
      : this.#asked(topic, deadline.options())
  }

  async #fromTemplate(topic: string, queues: number, template: string, deadline: Deadline, missing: ClientError) {
    const { route } = await this.#asked(template, deadline.options()).catch((error: unknown) => {
      throw isMissing(error) ? missing : error
    })
    // Nobody refreshes it: kept, it would hold on to brokers that are gone.
    if (!this.#used.has(template) && !this.#listeners.has(template)) this.#known.delete(template)
    return this.#learn(topic, withDefaultTopic(route, queues))
  }

  /** Calls back at once with what is known and whenever it changes. The topic's route is kept fresh until disposed. */
  watch(topic: string, listener: Listener): Disposable {
    const listeners = this.#listeners.get(topic) ?? new Set()
    listeners.add(listener)
    this.#listeners.set(topic, listeners)
    const known = this.#known.get(topic)
    if (known !== undefined) listener(known)
    return {
      [Symbol.dispose]: () => {
        listeners.delete(listener)
        if (listeners.size === 0 && this.#listeners.get(topic) === listeners) this.#listeners.delete(topic)
      },
    }
  }

  /** Asks for a topic again soon, as a call to one of its brokers failed: at most once a second. */
  suspect(topic: string): void {
    const now = this.#options.clock.elapsed()
    if (now - (this.#askedAt.get(topic) ?? Number.NEGATIVE_INFINITY) < ASK_AGAIN_MS) return
    this.#asked(topic, {}).catch(error => this.#missed(topic, error))
  }

  /** The same for who waits for it before he tries again: at most ten times a second. Never rejects. */
  async renew(topic: string, deadline: Deadline): Promise<void> {
    const { clock } = this.#options
    const rest = (this.#askedAt.get(topic) ?? Number.NEGATIVE_INFINITY) + RENEW_MS - clock.elapsed()
    if (rest > 0 && !this.#queries.has(topic)) await pause(clock, Math.min(rest, deadline.left), deadline.signal)
    if (!deadline.hasPassed) await this.#asked(topic, deadline.options()).catch(() => {})
  }

  /** Asks for all topics in use, a few at a time. Never rejects. */
  refresh(): Promise<void> {
    return (this.#refreshing ??= this.#refreshAll().finally(() => (this.#refreshing = undefined)))
  }

  async #refreshAll(): Promise<void> {
    const topics = new Set([...this.#used, ...this.#listeners.keys()]).values()
    const next = async (): Promise<void> => {
      for (const topic of topics) await this.#asked(topic, {}).catch(error => this.#missed(topic, error))
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, next))
    // Addresses that no route has any more, such as a broker that moved (Apache's cleanOfflineBroker).
    this.#options.brokers.dropUnknown(this.routes)
  }

  #missed(topic: string, error: unknown): void {
    // Of no use to anybody. A route that was known stays: a name server just started knows no topic for a while.
    if (isMissing(error) && !this.#known.has(topic)) this.#used.delete(topic)
    this.#options.log.debug({ topic, error: toClientError(error).message }, 'route not refreshed')
  }

  #asked(topic: string, options: CallOptions): Promise<KnownTopic> {
    const { clock, timeoutMs } = this.#options
    const what = `the route of topic ${topic}`
    // Nobody is asked for whoever does not wait.
    if (options.signal?.aborted) return Promise.reject(aborted(options.signal, what))
    const query = this.#queries.get(topic) ?? this.#query(topic)
    return Deadline.of(clock, options, timeoutMs).wait(query, what)
  }

  #query(topic: string): Promise<KnownTopic> {
    const query = this.#ask(topic).finally(() => this.#queries.delete(topic))
    query.catch(() => {})
    this.#queries.set(topic, query)
    return query
  }

  async #ask(topic: string): Promise<KnownTopic> {
    const { clock, timeoutMs } = this.#options
    this.#askedAt.set(topic, clock.elapsed())
    return this.#learn(topic, await this.look(topic, new Deadline(clock, timeoutMs)))
  }

  /** What name servers say of a topic now, of which nothing is remembered: for operators. @throws as `get` */
  async look(topic: string, deadline: Deadline): Promise<TopicRoute> {
    const header = { topic, acceptStandardJsonOnly: true }
    const reply = await this.#options.nameServers
      .call(nameServerRequests.GET_ROUTEINFO_BY_TOPIC, { header }, deadline)
      .catch((error: unknown) => {
        throw isMissing(error) ? missingRoute(topic, error) : error
      })
    if (reply.body === null) throw new ClientError('BAD_BODY', `the name server's route of ${topic} is empty`)
    return reply.body
  }

  #learn(topic: string, route: TopicRoute): KnownTopic {
    const { brokers } = this.#options
    const before = this.#known.get(topic)
    if (before !== undefined && sameRoute(before.route, route)) {
      // Written again all the same: what was dropped as offline may be back at its old address.
      brokers.learn(route)
      return before
    }
    const known = { route, publish: publishQueues(topic, route), read: readQueues(topic, route) }
    brokers.learn(route)
    this.#known.set(topic, known)
    for (const listener of new Set(this.#listeners.get(topic))) listener(known)
    return known
  }
}

function isMissing(error: unknown): error is ClientError {
  return error instanceof ClientError && error.code === 'ROUTE_MISSING'
}

// The first words are what users of Apache's client know and search for.
function missingRoute(topic: string, { message }: ClientError): ClientError {
  const advice =
    topic === AUTO_CREATE_TOPIC
      ? 'no broker makes topics by itself'
      : 'create the topic, or check that its brokers are registered with these name servers'
  return new ClientError('ROUTE_MISSING', `No route info of this topic: ${topic}. ${message}. ${advice}`, {
    responseCode: javaCodes.topicMissing,
    retriable: true,
  })
}

function noQueue(topic: string, { queueDatas }: TopicRoute): ClientError {
  const perms = queueDatas.map(({ brokerName, perm }) => `${brokerName} has permission ${perm}`).join(', ')
  const text = `No route info of this topic: ${topic}. No queue of it takes messages: ${perms || 'it has none'}, or its master is gone`
  return new ClientError('ROUTE_MISSING', text, { responseCode: javaCodes.topicMissing, retriable: true })
}
