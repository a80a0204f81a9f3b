import { AUTO_CREATE_TOPIC, nameServerRequests, type QueueData, type TopicRoute } from '@gantrymq/protocol'
import { type Clock, type Logger, pause } from '@gantrymq/remoting'
import type { BrokerTable } from './broker-table.ts'
import { Deadline } from '../deadline.ts'
import { aborted, ClientError, javaCodes, toClientError } from '../errors.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import type { NameServers } from './name-servers.ts'
import { RecentQueries } from './recent-queries.ts'
import { type RouteReason, type RouteReasons, reasonText } from './route-reasons.ts'
import { publishQueues, readQueues, refuseStatic, sameRoute, withDefaultTopic } from './routes.ts'

export interface RouteCacheOptions {
  readonly nameServers: NameServers
  readonly reasons: RouteReasons
  readonly brokers: BrokerTable
  readonly clock: Clock
  readonly log: Logger
  /** Time between two refreshes, milliseconds. Apache: pollNameServerInterval 30,000. */
  readonly refreshMs: number
  /** Timeout of one query, milliseconds. Apache: mqClientApiTimeout 3,000. */
  readonly timeoutMs: number
}

/** A topic's route, and the queues that follow from it. */
export interface KnownTopic {
  readonly route: TopicRoute
  /** Queues to send to, in Apache's order. */
  readonly publish: readonly MessageQueue[]
  /** Queues to read from. */
  readonly read: readonly MessageQueue[]
}

type RouteListener = (known: KnownTopic) => void

/** Concurrent queries of a refresh: enough to be quick, few enough to spare the name server. */
const AT_A_TIME = 4
/** Least time between two queries for a topic after failed calls, milliseconds. */
const SUSPECT_MS = 1000
/** The same when a call waits for the answer. */
const RENEW_MS = 100

/** The routes of the topics in use. Concurrent calls for one topic share one query. */
export class RouteCache {
  readonly #options: RouteCacheOptions
  readonly #known = new Map<string, KnownTopic>()
  readonly #queries = new Map<string, Promise<KnownTopic>>()
  readonly #listeners = new Map<string, Set<RouteListener>>()
  /** Topics that were sent to or looked up: refreshed like those that are watched. */
  readonly #used = new Set<string>()
  readonly #recent = new RecentQueries(SUSPECT_MS)
  #timer: Disposable | undefined
  #refreshing: Promise<void> | undefined

  constructor(options: RouteCacheOptions) {
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

  /** The cached topic. */
  peek(topic: string): KnownTopic | undefined {
    return this.#known.get(topic)
  }

  /** All cached routes. */
  get routes(): Iterable<TopicRoute> {
    return [...this.#known.values()].map(({ route }) => route)
  }

  /**
   * The topic, from the cache if it is there, else from a name server.
   * @throws ClientError ROUTE_MISSING, NO_NAME_SERVER, TIMEOUT, ABORTED, CONNECT_FAILED
   */
  async get(topic: string, options: CallOptions = {}): Promise<KnownTopic> {
    this.#used.add(topic)
    return this.#known.get(topic) ?? this.#ask(topic, options)
  }

  /** The topic, from a name server. @throws ClientError as `get` */
  async fresh(topic: string, options: CallOptions = {}): Promise<KnownTopic> {
    return this.#ask(topic, options)
  }

  /**
   * The topic with at least one queue to send to. A topic that does not exist gets the queues that a broker will create for
   * it: those of the template topic (`TBW102`), at most `queues` per broker (Apache's
   * MQClientInstance.updateTopicRouteInfoFromNameServer).
   * @throws ClientError as `get`; ROUTE_MISSING also if no queue takes messages, UNSUPPORTED for static topics
   */
  async toPublish(topic: string, queues: number, template: string, options: CallOptions = {}): Promise<KnownTopic> {
    const deadline = Deadline.of(this.#options.clock, options, this.#options.timeoutMs)
    const known = await this.#forPublish(topic, deadline).catch((error: unknown) => {
      if (!isMissing(error)) throw error
      return this.#fromTemplate(topic, queues, template, deadline, error)
    })
    // The template is not for a topic that exists and takes no messages now.
    if (known.publish.length > 0) return known
    refuseStatic(topic, known.route)
    throw await this.explained(topic, noQueue(topic, known.route), deadline)
  }

  /** The name server's reason why a topic has no usable route, if it tells. Never rejects. */
  reason(topic: string, deadline: Deadline): Promise<RouteReason | undefined> {
    const { reasons, nameServers } = this.#options
    return reasons.ask(nameServers.addresses[0], topic, deadline)
  }

  /** A failure because of a route, with the name server's reason. Any other failure is returned as it is. Never rejects. */
  async explained(topic: string, error: unknown, deadline: Deadline): Promise<unknown> {
    if (!isMissing(error)) return error
    const reason = await this.reason(topic, deadline)
    if (reason === undefined) return error
    const { responseCode, remark, retriable, message } = error
    // The reason replaces the advice of an error whose cause is not known.
    const [first = ''] = message.split(ADVICE_MARK)
    const options = { cause: error, responseCode, remark, retriable, address: reason.address, diagnosis: reason.code }
    return new ClientError('ROUTE_MISSING', `${first.replace(ONE_UNKNOWN, '')}. ${reasonText(reason)}`, options)
  }

  // A cached route without a queue to send to may be out of date.
  #forPublish(topic: string, deadline: Deadline): Promise<KnownTopic> {
    this.#used.add(topic)
    const known = this.#known.get(topic)
    return known !== undefined && known.publish.length > 0
      ? Promise.resolve(known)
      : this.#ask(topic, deadline.options())
  }

  async #fromTemplate(topic: string, queues: number, template: string, deadline: Deadline, missing: ClientError) {
    const { route } = await this.#ask(template, deadline.options()).catch(async (error: unknown) => {
      throw isMissing(error) ? await this.explained(topic, missing, deadline) : error
    })
    // The template is not refreshed: in the cache it would keep brokers that are gone.
    if (!this.#used.has(template) && !this.#listeners.has(template)) this.#known.delete(template)
    return this.#learn(topic, withDefaultTopic(route, queues))
  }

  /** Calls the listener with the cached topic at once, and with each change until it is disposed. The topic is refreshed meanwhile. */
  watch(topic: string, listener: RouteListener): Disposable {
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

  /** Refreshes a topic in the background after a call to one of its brokers failed, at most once a second. */
  suspect(topic: string): void {
    if (this.#recent.age(topic, this.#options.clock.elapsed()) < SUSPECT_MS) return
    this.#ask(topic, {}).catch(error => this.#missed(topic, error))
  }

  /** Refreshes a topic before a call is retried, at most ten times a second. Never rejects. */
  async renew(topic: string, deadline: Deadline): Promise<void> {
    const { clock } = this.#options
    const rest = RENEW_MS - this.#recent.age(topic, clock.elapsed())
    if (rest > 0 && !this.#queries.has(topic)) await pause(clock, Math.min(rest, deadline.left), deadline.signal)
    if (!deadline.hasPassed) await this.#ask(topic, deadline.options()).catch(() => {})
  }

  /** Refreshes all topics in use. Never rejects. */
  refresh(): Promise<void> {
    return (this.#refreshing ??= this.#refreshAll().finally(() => (this.#refreshing = undefined)))
  }

  async #refreshAll(): Promise<void> {
    const topics = new Set([...this.#used, ...this.#listeners.keys()]).values()
    const next = async (): Promise<void> => {
      for (const topic of topics) await this.#ask(topic, {}).catch(error => this.#missed(topic, error))
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, next))
    // Addresses that no route names any longer, such as those of a broker that moved (Apache's cleanOfflineBroker).
    this.#options.brokers.dropUnknown(this.routes)
  }

  #missed(topic: string, error: unknown): void {
    // A topic that was never found is not refreshed. A cached route stays: a name server that has just started knows no
    // topic for a while.
    if (isMissing(error) && !this.#known.has(topic)) this.#used.delete(topic)
    this.#options.log.debug({ topic, error: toClientError(error).message }, 'route not refreshed')
  }

  #ask(topic: string, options: CallOptions): Promise<KnownTopic> {
    const { clock, timeoutMs } = this.#options
    const what = `the route of topic ${topic}`
    // No query for a caller that has given up already.
    if (options.signal?.aborted) return Promise.reject(aborted(options.signal, what))
    const query = this.#queries.get(topic) ?? this.#startQuery(topic)
    return Deadline.of(clock, options, timeoutMs).wait(query, what)
  }

  #startQuery(topic: string): Promise<KnownTopic> {
    const query = this.#query(topic).finally(() => this.#queries.delete(topic))
    query.catch(() => {})
    this.#queries.set(topic, query)
    return query
  }

  async #query(topic: string): Promise<KnownTopic> {
    const { clock, timeoutMs } = this.#options
    this.#recent.note(topic, clock.elapsed())
    return this.#learn(topic, await this.look(topic, new Deadline(clock, timeoutMs)))
  }

  /** A topic's route as the name servers have it now, past the cache: for operators. @throws ClientError as `get` */
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
      // The brokers learn it all the same: one that was dropped as offline may be back at its old address.
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

/** Separates what happened from the advice. */
const ADVICE_MARK = '. Next: '

/** The answer of a single name server that does not know a topic: its reason says the same. */
const ONE_UNKNOWN = /\. [^,; ]+: No topic route info in name server for the topic: [^;]*$/

function isMissing(error: unknown): error is ClientError {
  return error instanceof ClientError && error.code === 'ROUTE_MISSING'
}

// The first words are those of Apache's client, which users know and search for.
function missingRoute(topic: string, { message }: ClientError): ClientError {
  const advice =
    topic === AUTO_CREATE_TOPIC
      ? 'no broker creates topics automatically'
      : 'create the topic, or check that its brokers are registered with these name servers'
  return new ClientError('ROUTE_MISSING', `No route info of this topic: ${topic}. ${message}${ADVICE_MARK}${advice}`, {
    responseCode: javaCodes.topicMissing,
    retriable: true,
  })
}

function queueText({ brokerName, perm, writeQueueNums }: QueueData): string {
  return `${brokerName} has permission ${perm} and ${writeQueueNums} write queue${writeQueueNums === 1 ? '' : 's'}`
}

/** The error for a topic that takes no messages now. */
export function noQueue(topic: string, { queueDatas }: TopicRoute): ClientError {
  const perms = queueDatas.map(queueText).join(', ')
  const text = `No route info of this topic: ${topic}. No queue of it takes messages (${perms || 'it has none'}), or its master is gone`
  return new ClientError('ROUTE_MISSING', text, { responseCode: javaCodes.topicMissing, retriable: true })
}
