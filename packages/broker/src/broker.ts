import { totalmem } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import {
  type GivenOptions,
  HttpEndpoint,
  httpProtocols,
  idleMsOf,
  limitsOf,
  type MetricSource,
  type MetricsPage,
  openServerTls,
  type OpenServerTls,
  type OtherServer,
  Pages,
  type PagesOptions,
  type Readiness,
  ServerSettings,
  storeInFile,
  TurnBudget,
} from '@gantrymq/daemon'
import {
  type Host,
  hostBytes,
  type MessageQueue,
  requestNames,
  responseCodes,
  type TopicConfig,
  UniqueIds,
} from '@gantrymq/protocol'
import {
  type Eventual,
  type Command,
  addressRanges,
  AddressList,
  AwakeClock,
  type Clock,
  type CloseReason,
  type Connection,
  type Dial,
  type FastPath,
  type Logger,
  RemotingClient,
  RemotingServer,
  type ReplyParts,
  Router,
  type ServerCloseOptions,
  signing,
  silent,
  systemClock,
  upTo,
} from '@gantrymq/remoting'
import { type Disk, MessageStore, WholeFiles } from '@gantrymq/store'
import { brokerStatus } from './broker-status.ts'
import { ClientNotices } from './clients/client-notices.ts'
import { ClientRegistry } from './clients/client-registry.ts'
import { QueueLocks } from './clients/queue-locks.ts'
import type { BrokerContext } from './context.ts'
import { readDelayLevels } from './delays/delay-levels.ts'
import { DelayOffsets } from './delays/delay-offsets.ts'
import { DelayedDelivery, DELIVERY_TICK_MS } from './delays/delayed-delivery.ts'
import { BrokerFastPath } from './fast/broker-fast-path.ts'
import { KnownNames } from './fast/known-names.ts'
import { PullPath } from './fast/pull-path.ts'
import { SendPath } from './fast/send-path.ts'
import { DUE_TICK_MS } from './due-sets.ts'
import { Groups } from './groups/groups.ts'
import { brokerRequests, fastPortRequests, handlers } from './handlers/index.ts'
import { tryHeldPull } from './handlers/pull.ts'
import { refusedRequests } from './handlers/refused.ts'
import { brokerPages } from './http/pages.ts'
import { BrokerMetrics } from './metrics/broker-metrics.ts'
import { addressText, type AdvertisedAddress, advertisedAddress } from './name-servers/advertised-address.ts'
import { ipAddressOf, localAddressTowards } from './name-servers/local-address.ts'
import { Registrar } from './name-servers/registrar.ts'
import { TopicQueues } from './name-servers/topic-queues.ts'
import type { BrokerIdentity } from './name-servers/registration-form.ts'
import { OffsetFile } from './offsets/offset-file.ts'
import { type BrokerOptions, brokerOptions } from './options.ts'
import { Popping } from './popping/popping.ts'
import { AnswerTurns } from './pulling/answer-turns.ts'
import { type ColdPullLimits, ColdPulls } from './pulling/cold-pulls.ts'
import { HeldPulls } from './pulling/held-pulls.ts'
import { MessageWriter } from './sending/message-writer.ts'
import { type SendWaitLimits, WaitingSends } from './sending/waiting-sends.ts'
import { MessageCounts } from './statistics/message-counts.ts'
import type { BrokerStatus } from './status.ts'
import { storeOptions } from './store-options.ts'
import { Timers } from './timers/timers.ts'
import { Topics } from './topics/topics.ts'
import { TransactionChecks } from './transactions/transaction-checks.ts'
import { askProducer } from './transactions/transaction-notice.ts'
import { Transactions } from './transactions/transactions.ts'

/** What a program passes besides the options. */
export interface BrokerParts {
  /** Default: nothing is logged. */
  readonly log?: Logger
  readonly clock?: Clock
  /** How the broker connects to name servers. Default: TCP, with TLS if it is configured. */
  readonly dial?: Dial
  /** Unknown keys of the configuration file. GET_BROKER_CONFIG shows them. */
  readonly unknownKeys?: ReadonlyMap<string, string>
  /** Creates the page at `/metrics`. Default: that page says that metrics are off. */
  readonly metricsPage?: (source: MetricSource) => MetricsPage
  /** Servers of the same process that have pages, too: the page for browsers links to them. Default none. */
  readonly otherServers?: () => readonly OtherServer[]
  /** False: no port is opened, and `accept` gets the connections. The broker registers brokerIP1 and listenPort. Default true. */
  readonly listen?: boolean
  /** The files of the store and of the tables. Default: those of the machine; in memory, if there is no storePathRootDir. */
  readonly disk?: Disk
  /** At least 0, below 1. Default Math.random. */
  readonly random?: () => number
  /** Gets each request in place of the broker, and `dispatch` to hand it on: for tests that make requests fail. */
  readonly onRequest?: (command: Command, dispatch: () => Eventual<ReplyParts>) => Eventual<ReplyParts>
}

export interface BrokerStartOptions extends GivenOptions<BrokerOptions>, BrokerParts {
  /** Short for `listenPort`. */
  readonly port?: number
  /** Short for `bindAddress`. */
  readonly host?: string
}

/** Where a broker listens. */
export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

/** How often the broker looks for clients that have been silent for too long (Apache's ClientHousekeepingService). */
const EXPIRY_CHECK_MS = 10_000
const LOCK_SWEEP_MS = 60_000
/** How long a closing broker waits for name servers, milliseconds. */
const UNREGISTER_MS = 3000
/** Apache's fast port is this far below the main port. */
const FAST_PORT_DISTANCE = 2
/** Replication is not served; the address is part of every registration. */
const HA_PORT_DISTANCE = 1

/** What a program gives to the broker itself. */
interface GivenParts extends Required<Pick<BrokerParts, 'log' | 'random'>> {
  readonly dial: Dial | undefined
  readonly metricsPage: BrokerParts['metricsPage']
  readonly otherServers: BrokerParts['otherServers']
  readonly onRequest: BrokerParts['onRequest']
}

/** The parts that are loaded from disk before the broker is put together. */
interface LoadedParts {
  readonly clock: AwakeClock
  readonly settings: ServerSettings<BrokerOptions>
  readonly topics: Topics
  readonly groups: Groups
  readonly offsets: OffsetFile
  readonly delayOffsets: DelayOffsets
  readonly store: MessageStore
  readonly tls: OpenServerTls
}

/**
 * A RocketMQ broker. Several may run in one process; they share nothing.
 *
 *     await using broker = await Broker.start({ port: 0, namesrvAddr: '127.0.0.1:9876' })
 *     console.log(broker.address.port)
 */
export class Broker {
  readonly status: BrokerStatus
  readonly metrics: BrokerMetrics
  readonly #log: Logger
  readonly #clock: AwakeClock
  readonly #settings: ServerSettings<BrokerOptions>
  readonly #topics: Topics
  readonly #groups: Groups
  readonly #offsets: OffsetFile
  readonly #clients = new ClientRegistry()
  readonly #notices: ClientNotices
  readonly #locks = new QueueLocks()
  readonly #store: MessageStore
  readonly #writer: MessageWriter
  readonly #waitingSends: WaitingSends
  readonly #delays: DelayedDelivery
  readonly #transactions: Transactions
  readonly #checks: TransactionChecks
  readonly #heldPulls: HeldPulls
  readonly #coldPulls: ColdPulls
  readonly #sends: SendPath
  /** Undefined: the broker has a folder, see `Popping`. */
  readonly #popping: Popping | undefined
  /** Undefined: the broker has a folder, see `Timers`. */
  readonly #messageTimers: Timers | undefined
  readonly #counts = new MessageCounts()
  /** Time for the pages of HTTP, beside the requests of clients. */
  readonly #turns = new TurnBudget<'page'>({ lanes: ['page'] })
  readonly #random: () => number
  readonly #tls: OpenServerTls
  readonly #client: RemotingClient
  readonly #nameServers: AddressList
  readonly #topicQueues: TopicQueues
  readonly #registrar: Registrar
  readonly #server: RemotingServer
  readonly #fastServer: RemotingServer
  readonly #http: HttpEndpoint | undefined
  readonly #startedAt: number
  readonly #timers: Disposable[] = []
  #advertised: AdvertisedAddress = { host: '127.0.0.1' }
  #storeHost: Host = { ip: '127.0.0.1', port: 0 }
  #storeHostBytes: Buffer = hostBytes(this.#storeHost)
  #address: BrokerAddress | undefined
  #fastAddress: BrokerAddress | undefined
  #httpAddress: BrokerAddress | undefined
  #announced: Promise<void> = Promise.resolve()
  #state: 'starting' | 'serving' | 'draining' = 'starting'
  #closing: Promise<void> | undefined

  /**
   * Starts a broker: loads its tables, opens its ports and registers with the name servers.
   * @throws RemotingError BAD_OPTION, TLS, CONNECT_FAILED; Error if a table can neither be read nor put aside.
   */
  static async start(given: BrokerStartOptions = {}): Promise<Broker> {
    const { log = silent, clock = systemClock, random = Math.random, ...others } = given
    const { dial, unknownKeys, disk, metricsPage, otherServers, onRequest, listen = true, port, host, ...rest } = others
    const options = brokerOptions.resolve({ listenPort: port, bindAddress: host, ...rest })
    // The tables tell the broker of changes; it exists once they are loaded.
    let broker: Broker | undefined
    const awake = new AwakeClock(clock)
    const parts = await loadParts(options, {
      log,
      clock: awake,
      unknownKeys,
      disk,
      onTopics: changed => broker?.announce(changed),
      onOptions: (before, after) => broker?.optionsChanged(before, after),
    }).catch((error: unknown) => {
      awake[Symbol.dispose]()
      throw error
    })
    broker = new Broker(parts, { log, dial, random, metricsPage, otherServers, onRequest })
    try {
      await broker.#open(listen)
    } catch (error) {
      await broker.close()
      throw error
    }
    return broker
  }

  private constructor(parts: LoadedParts, given: GivenParts) {
    const { log, dial, random, metricsPage, otherServers, onRequest } = given
    const { clock, settings, topics, groups, offsets, delayOffsets, store, tls } = parts
    const { options } = settings
    this.#log = log
    this.#clock = clock
    this.#settings = settings
    this.#topics = topics
    this.#groups = groups
    this.#offsets = offsets
    this.#store = store
    this.#random = random
    this.#tls = tls
    this.#startedAt = clock.now()
    const credentials = options.innerClientAuthenticationCredentials
    this.#client = new RemotingClient({
      clock,
      log,
      tls: tls.client,
      ...(dial && { dial }),
      ...(credentials && { onSend: signing(credentials) }),
    })
    this.#nameServers = new AddressList({
      source: nameServersOf(options),
      clock,
      what: 'the name servers',
      refreshMs: options.updateNameServerAddrPeriod,
      onChange: () => void (this.#state === 'serving' && this.#registerAll()),
      onFailure: problem => log.warn({ err: problem }, 'the list of name servers could not be read'),
    })
    this.#registrar = new Registrar({
      broker: { identity: this.#identity, topics: () => topics.content, settings: () => settings.options },
      client: this.#client,
      addresses: () => this.#nameServers.addresses,
      onOrdered: names => topics.setOrdered(names),
      log,
    })
    this.#topicQueues = new TopicQueues({
      client: this.#client,
      addresses: () => this.#nameServers.addresses,
      own: topic => this.#ownQueues(topic),
      log,
    })
    this.#notices = new ClientNotices({
      clients: this.#clients,
      groups,
      isEnabled: () => settings.options.notifyConsumerIdsChangedEnable,
      log,
    })
    const isInMemory = options.storePathRootDir === null
    const levels = readDelayLevels(options.messageDelayLevel)
    const writer = new MessageWriter({
      store,
      storeHost: () => this.#storeHostBytes,
      delayLevels: levels.length,
      timers: () => this.#messageTimers,
    })
    this.#writer = writer
    this.#waitingSends = new WaitingSends({ limits: () => sendWaitLimits(settings.options), clock })
    const onDelivered = (topic: string, bytes: number): void => this.#counts.stored(topic, 1, bytes)
    this.#delays = new DelayedDelivery({ store, writer, offsets: delayOffsets, levels, clock, log, onDelivered })
    const maxDelayMs = (): number => settings.options.timerMaxDelaySec * 1000
    this.#messageTimers = isInMemory ? new Timers({ store, writer, maxDelayMs, onDelivered, clock, log }) : undefined
    this.#transactions = new Transactions({ writer, storeHost: () => this.#storeHostBytes, clock, log })
    this.#checks = this.#createChecks()
    this.#popping = isInMemory ? this.#createPopping() : undefined
    this.status = brokerStatus({
      options,
      topics,
      groups,
      offsets: offsets.table,
      clients: this.#clients,
      counts: this.#counts,
      store,
      popping: this.#popping,
      startedAt: this.#startedAt,
      heldPulls: () => this.#heldPulls.size,
      readiness: () => this.#readiness(),
    })
    this.metrics = new BrokerMetrics({
      requests: Object.values(brokerRequests).map(({ code }) => [code, requestNames.get(code) ?? String(code)]),
      responses: Object.entries(responseCodes).map(([name, code]) => [code, name]),
      counts: this.#counts,
    })
    this.metrics.watch({
      status: this.status,
      heldPulls: () => this.#heldPulls.size,
      brokerPermission: () => settings.options.brokerPermission,
      unflushed: () => store.written - store.safe,
      storedBytes: () => store.end - store.start,
    })
    const further = { metrics: metricsPage?.(this.metrics), otherServers }
    this.#http = options.httpEnabled ? this.#createHttp(options, further) : undefined
    const turns = new AnswerTurns(work => void setImmediate(work))
    this.#heldPulls = new HeldPulls((pull, reason) => tryHeldPull(pull, reason, context), turns)
    this.#coldPulls = new ColdPulls({ limits: () => coldPullLimits(settings.options), turns, clock })
    const context = this.#createContext()
    store.onArrival(queue => {
      this.#heldPulls.arrived(queue, clock.elapsed())
      this.#popping?.arrived(queue.topic, queue.id)
    })
    const names = new KnownNames()
    this.#sends = new SendPath(context, names)
    store.onCommit(this.#sends.unanswered)
    const router = new Router(brokerRequests, handlers, context, { log, refused: refusedRequests })
    const fastPortRouter = new Router(fastPortRequests, handlers, context, { log, refused: refusedRequests })
    const pulls = new PullPath(context, names)
    this.#server = this.#createServer(options, router, new BrokerFastPath(this.#sends, pulls), onRequest)
    this.#fastServer = this.#createServer(options, fastPortRouter, new BrokerFastPath(this.#sends), onRequest)
  }

  /** The address that the broker listens on. */
  get address(): BrokerAddress {
    if (this.#address === undefined) throw new Error('the broker has not been started')
    return this.#address
  }

  /** `host:port` under which clients reach the broker: what name servers know. */
  get advertisedAddress(): string {
    return this.#identity().address
  }

  /** The address of the port that serves everything but pulls; undefined if there is none. */
  get fastAddress(): BrokerAddress | undefined {
    return this.#fastAddress
  }

  /** The address that serves HTTP: its own, or the same as `address`. Undefined if HTTP is off. */
  get httpAddress(): BrokerAddress | undefined {
    return this.#httpAddress
  }

  /** The current options. */
  get options(): BrokerOptions {
    return this.#settings.options
  }

  /** The messages, for programs that look at them without a consumer. */
  get store(): MessageStore {
    return this.#store
  }

  /** Serves one connection over any stream, for tests without a port. */
  accept(stream: Duplex, remoteAddress: string): void {
    this.#server.accept(stream, remoteAddress)
  }

  /** Leaves the name servers, answers the requests in progress, stores everything and closes. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#shutDown())
  }

  /**
   * Ends as a killed process does, for tests: connections end without the answers that are due, name servers are not told, and
   * nothing more is stored. The disk of the broker must fail already, as it does after `MemoryDisk.afterKill`.
   */
  kill(): Promise<void> {
    return (this.#closing ??= this.#endAsKilled())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Registers topics that were created or changed. @internal */
  announce(topics: readonly TopicConfig[]): void {
    if (this.#state === 'serving') this.#announced = this.#registrar.announce(topics)
  }

  /** Does what a change of the options requires. @internal */
  optionsChanged(before: BrokerOptions, after: BrokerOptions): void {
    this.#server.setIdleMs(idleMsOf(after))
    if (before.brokerPermission === after.brokerPermission) return
    this.#topics.touch()
    void this.#registerAll()
  }

  // -- Wiring --------------------------------------------------------------------------------------------------------

  #createServer(
    options: BrokerOptions,
    router: Pick<Router<never, never>, 'dispatch'>,
    fastPath: FastPath,
    onRequest: BrokerParts['onRequest'],
  ): RemotingServer {
    return new RemotingServer({
      onRequest: (command, peer) =>
        onRequest === undefined
          ? router.dispatch(command, peer)
          : onRequest(command, () => router.dispatch(command, peer)),
      // A caller that gets requests in place of the broker gets all of them, as commands.
      fastPath: onRequest === undefined ? fastPath : undefined,
      onAnswered: (request, response, ms, count) => this.metrics.rpc.observe(request, response, ms, count),
      traffic: this.metrics,
      onClose: (connection, reason) => this.#onClose(connection, reason),
      protocols: this.#http === undefined || options.httpPort !== null ? {} : httpProtocols(this.#http),
      tls: this.#tls.server,
      proxies:
        options.proxyProtocolRanges.length > 0 ? addressRanges(options.proxyProtocolRanges.join(',')) : undefined,
      limits: limitsOf(options),
      clock: this.#clock,
      log: this.#log,
    })
  }

  #createHttp(
    { httpAllowedHosts }: BrokerOptions,
    given: Pick<PagesOptions, 'metrics' | 'otherServers'>,
  ): HttpEndpoint {
    const of = { role: 'broker', clock: this.#clock, log: this.#log }
    const further = brokerPages(this.status, work => this.#turns.run('page', work))
    const pages = new Pages({ ...of, ...given, health: this.status, further })
    return new HttpEndpoint({ ...of, allowedHosts: httpAllowedHosts, answer: request => pages.answer(request) })
  }

  #createContext(): BrokerContext {
    return {
      settings: this.#settings,
      topics: this.#topics,
      groups: this.#groups,
      offsets: this.#offsets.table,
      clients: this.#clients,
      notices: this.#notices,
      locks: this.#locks,
      delays: this.#delays,
      transactions: this.#transactions,
      store: this.#store,
      writer: this.#writer,
      waitingSends: this.#waitingSends,
      heldPulls: this.#heldPulls,
      coldPulls: this.#coldPulls,
      popping: this.#popping,
      timers: this.#messageTimers,
      topicQueues: this.#topicQueues,
      counts: this.#counts,
      startedAt: this.#startedAt,
      uniqueIds: this.#createIds(),
      identity: this.#identity,
      host: () => this.#advertised.host,
      storeHost: () => this.#storeHost,
      memoryBytes: hotBytes(),
      random: this.#random,
      registered: ms => upTo(this.#clock, this.#announced, { timeoutMs: ms }),
      clock: this.#clock,
      log: this.#log,
    }
  }

  #createPopping(): Popping {
    return new Popping({
      store: this.#store,
      writer: this.#writer,
      topics: this.#topics,
      groups: this.#groups,
      offsets: this.#offsets.table,
      counts: this.#counts,
      options: () => this.#settings.options,
      memoryBytes: hotBytes(),
      random: this.#random,
      clock: this.#clock,
      log: this.#log,
    })
  }

  #ownQueues(topic: string): MessageQueue[] {
    const { brokerName } = this.#settings.options
    const queues = this.#topics.get(topic)?.readQueueNums ?? 0
    return Array.from({ length: queues }, (_, queueId) => ({ topic, brokerName, queueId }))
  }

  #createChecks(): TransactionChecks {
    const log = this.#log
    return new TransactionChecks({
      store: this.#store,
      writer: this.#writer,
      transactions: this.#transactions,
      topics: this.#topics,
      offsets: this.#offsets.table,
      rules: () => this.#settings.options,
      ask: half => {
        const { brokerName } = this.#settings.options
        askProducer(half, {
          clients: this.#clients,
          notices: this.#notices,
          brokerName,
          storeHost: this.#storeHost,
          log,
        })
      },
      clock: this.#clock,
      log,
    })
  }

  #createIds(): UniqueIds {
    const seed = Math.floor(this.#random() * 2 ** 32)
    return new UniqueIds({ clock: this.#clock, ip: '127.0.0.1', pid: process.pid, seed })
  }

  readonly #identity = (): BrokerIdentity => {
    const { brokerClusterName, brokerName, brokerIP2 } = this.#settings.options
    const { host } = this.#advertised
    const { port } = this.address
    return {
      brokerClusterName,
      brokerName,
      address: addressText(host, port),
      haAddress: addressText(brokerIP2 ?? host, port + HA_PORT_DISTANCE),
    }
  }

  #readiness(): Readiness {
    if (this.#state === 'starting') return { ready: false, code: 'STARTING', reason: 'the port is not open yet' }
    if (this.#state === 'draining') return { ready: false, code: 'DRAINING', reason: 'the broker is shutting down' }
    return { ready: true }
  }

  // -- Lifecycle -----------------------------------------------------------------------------------------------------

  async #open(listen: boolean): Promise<void> {
    await this.#nameServers.start()
    this.#advertised = await this.#findAddress()
    if (listen) await this.#listen()
    else this.#address = { host: this.#advertised.host, port: this.#settings.options.listenPort }
    this.#storeHost = { ip: await ipAddressOf(this.#advertised.host), port: this.address.port }
    this.#storeHostBytes = hostBytes(this.#storeHost)
    this.#state = 'serving'
    this.#startTimers()
    await this.#registerAll()
  }

  #registerAll(): Promise<void> {
    return (this.#announced = this.#registrar.registerAll())
  }

  async #findAddress(): Promise<AdvertisedAddress> {
    const { brokerIP1, bindAddress } = this.#settings.options
    const [nameServer] = this.#nameServers.addresses
    const towardsNameServer =
      brokerIP1 !== null || nameServer === undefined ? undefined : await localAddressTowards(nameServer, this.#clock)
    const found = advertisedAddress({
      configured: brokerIP1,
      bindAddress,
      towardsNameServer,
      hasNameServers: nameServer !== undefined,
    })
    if (found.warning !== undefined) this.#log.warn({}, found.warning)
    return found
  }

  async #listen(): Promise<void> {
    const { bindAddress: host, listenPort, fastListenPort, serverSocketBacklog: backlog, httpPort, httpBindAddress } = this.#settings.options // biome-ignore format: one thought
    const { port } = await this.#server.listen({ host, port: listenPort, backlog })
    this.#address = { host, port }
    const fastPort = fastListenPort ?? (listenPort > FAST_PORT_DISTANCE ? listenPort - FAST_PORT_DISTANCE : undefined)
    if (fastPort !== undefined) {
      this.#fastAddress = { host, port: (await this.#fastServer.listen({ host, port: fastPort, backlog })).port }
    }
    if (this.#http === undefined) return
    this.#httpAddress = this.#address
    if (httpPort === null) return
    const httpHost = httpBindAddress ?? host
    this.#httpAddress = { host: httpHost, port: (await this.#http.listen(httpPort, httpHost)).port }
  }

  #startTimers(): void {
    const {
      registerNameServerPeriod,
      flushConsumerOffsetInterval,
      flushDelayOffsetInterval,
      transactionCheckInterval,
    } = this.#settings.options
    const every = (ms: number, tick: () => void): void => void this.#timers.push(this.#clock.every(ms, tick))
    every(registerNameServerPeriod, () => void this.#registerAll())
    every(flushConsumerOffsetInterval, () => void this.#offsets.save())
    every(DELIVERY_TICK_MS, () => this.#delays.tick())
    every(DELIVERY_TICK_MS, () => this.#checks.flushed(this.#store.flushed))
    every(transactionCheckInterval, () => void this.#checks.check())
    every(flushDelayOffsetInterval, () => this.#delays.save())
    every(EXPIRY_CHECK_MS, () => this.#dropSilentClients())
    every(DUE_TICK_MS, () => this.#heldPulls.tick(this.#clock.elapsed()))
    every(DUE_TICK_MS, () => this.#sends.unanswered.tick(this.#clock.elapsed()))
    if (this.#popping !== undefined) every(DUE_TICK_MS, () => this.#tickInMemory())
    every(1000, () => this.#counts.tick(new Date(this.#clock.now()).getDate()))
    every(LOCK_SWEEP_MS, () => this.#locks.sweep(this.#clock.elapsed()))
  }

  /** What only a broker that keeps its messages in memory does. */
  #tickInMemory(): void {
    this.#popping?.tick()
    this.#messageTimers?.tick()
  }

  #dropSilentClients(): void {
    for (const peer of this.#clients.expired(this.#clock.elapsed())) {
      this.#log.warn({ peer: peer.remoteAddress }, 'SCAN: remove expired channel')
      peer.destroy('idle')
    }
  }

  #onClose(connection: Connection, reason: CloseReason): void {
    this.metrics.connectionsClosed.add({ reason })
    this.#heldPulls.drop(connection.id)
    this.#coldPulls.drop(connection.id)
    this.#popping?.drop(connection.id)
    this.#notices.membersChanged(this.#clients.drop(connection.id))
  }

  #stopServing(): void {
    this.#state = 'draining'
    for (const timer of this.#timers) timer[Symbol.dispose]()
  }

  async #shutDown(): Promise<void> {
    this.#stopServing()
    const { enableShutdownGracefully, shutdownWaitTimeSeconds, shutdownDrainMillis } = this.#settings.options
    if (this.#address !== undefined) {
      await upTo(this.#clock, this.#registrar.unregisterAll(), { timeoutMs: UNREGISTER_MS })
    }
    const goAwayMs = enableShutdownGracefully ? shutdownWaitTimeSeconds * 1000 : 0
    await this.#closeConnections({ goAwayMs, drainMs: shutdownDrainMillis })
    try {
      await this.#store.close()
    } finally {
      await this.#closeParts()
    }
  }

  async #endAsKilled(): Promise<void> {
    this.#stopServing()
    await this.#closeConnections({ goAwayMs: 0, drainMs: 0 })
    // The disk fails, which is meant.
    await this.#store.close().catch(() => {})
    await this.#closeParts()
  }

  async #closeConnections(limits: Required<ServerCloseOptions>): Promise<void> {
    this.#heldPulls.close(this.#clock.elapsed())
    this.#popping?.stop()
    await Promise.all([this.#server.close(limits), this.#fastServer.close(limits)])
    await Promise.all([this.#http?.close(), this.#client.close(), this.#settings.close()])
    this.#delays.stop()
    this.#checks.stop()
    this.#messageTimers?.stop()
    this.#waitingSends.close()
    this.#coldPulls.close()
  }

  async #closeParts(): Promise<void> {
    await this.#checks.close()
    await Promise.all([this.#delays.close(), this.#offsets.close(), this.#topics.close(), this.#groups.close()])
    this.#nameServers.close()
    this.#turns[Symbol.dispose]()
    this.metrics.close()
    this.#tls.server?.close()
    this.#clock[Symbol.dispose]()
  }
}

interface Loading {
  readonly log: Logger
  readonly clock: AwakeClock
  readonly unknownKeys: ReadonlyMap<string, string> | undefined
  readonly disk: Disk | undefined
  readonly onTopics: (changed: readonly TopicConfig[]) => void
  readonly onOptions: (before: BrokerOptions, after: BrokerOptions) => void
}

async function loadParts(options: BrokerOptions, loading: Loading): Promise<LoadedParts> {
  const { log, clock, unknownKeys, disk, onTopics, onOptions } = loading
  let current = options
  const settings = new ServerSettings(brokerOptions, options, {
    ...(unknownKeys && { unknown: unknownKeys }),
    ...(options.brokerConfigPath !== null && { store: storeInFile(options.brokerConfigPath) }),
    onChange: changed => {
      const before = current
      current = changed
      onOptions(before, changed)
    },
    log,
  })
  const stored = storeOptions(options, { disk, clock, log })
  const file = (name: string) => join(stored.root, 'config', name)
  const of = { settings: () => settings.options, files: new WholeFiles(stored.disk), clock, log }
  // The store comes first: it claims the folder, so that no other broker changes the tables meanwhile.
  const store = await MessageStore.open(stored)
  try {
    const [topics, groups, offsets, delayOffsets, tls] = await Promise.all([
      Topics.open({ ...of, path: file('topics.json'), onChange: onTopics }),
      Groups.open({ ...of, path: file('subscriptionGroup.json') }),
      OffsetFile.open({ ...of, path: file('consumerOffset.json') }),
      DelayOffsets.open({ ...of, path: file('delayOffset.json') }),
      openServerTls(brokerOptions, options, { log, clock }),
    ])
    return { clock, settings, topics, groups, offsets, delayOffsets, store, tls }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Part of the machine's memory that likely holds the newest messages (Apache's accessMessageInMemoryMaxRatio). */
const MEMORY_RATIO = 0.4

function hotBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY) * MEMORY_RATIO
}

function sendWaitLimits(options: BrokerOptions): SendWaitLimits {
  const { brokerFastFailureEnable, waitTimeMillsInSendQueue, sendThreadPoolQueueCapacity: sends } = options
  return { sends, ms: brokerFastFailureEnable ? waitTimeMillsInSendQueue : undefined }
}

function coldPullLimits(options: BrokerOptions): ColdPullLimits {
  const { brokerFastFailureEnable, waitTimeMillsInPullQueue, maxColdPulls: pulls, maxRequestsInProgress } = options
  const pullsPerConnection = Math.max(Math.floor(maxRequestsInProgress / 2), 1)
  return { pulls, pullsPerConnection, ms: brokerFastFailureEnable ? waitTimeMillsInPullQueue : undefined }
}

function nameServersOf({ namesrvAddr, fetchNamesrvAddrByAddressServer, ...options }: BrokerOptions) {
  if (namesrvAddr !== null || !fetchNamesrvAddrByAddressServer) return namesrvAddr ?? undefined
  const { rmqAddressServerDomain: domain, rmqAddressServerSubGroup: group } = options
  // As in Apache's TopAddressing: port 8080, unless the domain names one.
  return { url: `http://${domain}${domain.includes(':') ? '' : ':8080'}/rocketmq/${group}` }
}
