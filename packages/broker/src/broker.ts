import type { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers'
import type { Readiness } from '@gantrymq/daemon'
import { requestNames, responseCodes, type TopicConfig, UniqueIds } from '@gantrymq/protocol'
import {
  AwakeClock,
  type CloseReason,
  type Connection,
  Router,
  type ServerCloseOptions,
  silent,
  systemClock,
} from '@gantrymq/remoting'
import type { MessageStore } from '@gantrymq/store'
import { brokerStatus } from './broker-status.ts'
import { ClientNotices } from './clients/client-notices.ts'
import { ClientRegistry } from './clients/client-registry.ts'
import { QueueLocks } from './clients/queue-locks.ts'
import type { BrokerContext } from './context.ts'
import { readDelayLevels } from './delays/delay-levels.ts'
import { DueMessages } from './due-messages.ts'
import { BrokerFastPath } from './fast/broker-fast-path.ts'
import { KnownNames } from './fast/known-names.ts'
import { PullPath } from './fast/pull-path.ts'
import { SendPath } from './fast/send-path.ts'
import { brokerRequests, fastPortRequests, handlers } from './handlers/index.ts'
import { tryHeldPull } from './handlers/pull.ts'
import { refusedRequests } from './handlers/refused.ts'
import { HeldRequests } from './held-requests.ts'
import { coldReadLimits, hotBytes, sendWaitLimits } from './limits.ts'
import { closeLoaded, type LoadedParts, loadParts } from './loaded-parts.ts'
import { BrokerMetrics } from './metrics/broker-metrics.ts'
import { NameServers } from './name-servers/name-servers.ts'
import { OwnAddress } from './name-servers/own-address.ts'
import { type BrokerOptions, brokerOptions } from './options.ts'
import { PeriodicWork } from './periodic-work.ts'
import { Popping } from './popping/popping.ts'
import { Ports } from './ports.ts'
import { AnswerTurns } from './pulling/answer-turns.ts'
import { ColdReads } from './pulling/cold-reads.ts'
import { type HeldPulls, heldPullRules } from './pulling/held-pull.ts'
import { MessageWriter } from './sending/message-writer.ts'
import { WaitingSends } from './sending/waiting-sends.ts'
import type { BrokerAddress, BrokerStartOptions, GivenParts } from './start-options.ts'
import { MessageCounts } from './statistics/message-counts.ts'
import type { BrokerStatus } from './status.ts'

/**
 * A RocketMQ broker. Several may run in one process; they share nothing.
 *
 *     await using broker = await Broker.start({ port: 0, namesrvAddr: '127.0.0.1:9876' })
 *     console.log(broker.address.port)
 */
export class Broker {
  readonly status: BrokerStatus
  readonly metrics: BrokerMetrics
  readonly #loaded: LoadedParts
  readonly #own: OwnAddress
  readonly #nameServers: NameServers
  readonly #due: DueMessages
  /** What the handlers work on. */
  readonly #context: BrokerContext
  readonly #sends: SendPath
  readonly #ports: Ports
  readonly #work = new PeriodicWork()
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
    const loaded = await loadParts(options, {
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
    try {
      broker = new Broker(loaded, { log, random, dial, metricsPage, otherServers, onRequest })
    } catch (error) {
      await closeLoaded(loaded, log)
      throw error
    }
    try {
      await broker.#open(listen)
    } catch (error) {
      await broker.close()
      throw error
    }
    return broker
  }

  private constructor(loaded: LoadedParts, { log, random, dial, metricsPage, otherServers, onRequest }: GivenParts) {
    const { clock, settings, topics, groups, store, tls } = loaded
    const options = (): BrokerOptions => settings.options
    const atStart = options()
    const memoryBytes = hotBytes()
    const startedAt = clock.now()
    this.#loaded = loaded

    // Name servers.
    const own = new OwnAddress({ options, port: () => this.#ports.address?.port ?? atStart.listenPort, clock, log })
    const { identity } = own
    const chooseAgain = (addresses: readonly string[]) => own.chooseAgain(addresses)
    const nameServers = new NameServers({ options, identity, chooseAgain, topics, tls: tls.client, dial, clock, log })

    // Clients and messages.
    const clients = new ClientRegistry({ maxGroupsPerConnection: () => options().maxGroupsPerConnection })
    const isEnabled = (): boolean => options().notifyConsumerIdsChangedEnable
    const notices = new ClientNotices({ clients, groups, isEnabled, log })
    const counts = new MessageCounts()
    const offsets = loaded.offsets.table
    const writer = new MessageWriter({
      store,
      storeHost: () => own.storeHostBytes,
      delayLevels: readDelayLevels(atStart.messageDelayLevel).length,
      timers: () => this.#due.timers,
    })
    const shared = { options, store, writer, topics, groups, offsets, clients, notices, counts, clock, log }
    const due = new DueMessages({ ...shared, delayOffsets: loaded.delayOffsets, own })
    const isInMemory = atStart.storePathRootDir === null
    const turns = new AnswerTurns(work => void setImmediate(work))
    const popping = isInMemory ? new Popping({ ...shared, turns, memoryBytes, random }) : undefined
    const heldPulls: HeldPulls = new HeldRequests({
      ...heldPullRules,
      tryAgain: (pull, reason) => tryHeldPull(pull, reason, this.#context),
      turns,
    })
    store.onArrival(queue => {
      heldPulls.arrived(queue.topic, queue.id, clock.elapsed())
      popping?.arrived(queue.topic, queue.id)
    })

    // Requests.
    const seed = Math.floor(random() * 2 ** 32)
    const context: BrokerContext = {
      settings,
      topics,
      groups,
      offsets,
      clients,
      notices,
      locks: new QueueLocks(),
      delays: due.delays,
      transactions: due.transactions,
      store,
      writer,
      waitingSends: new WaitingSends({ limits: () => sendWaitLimits(options()), clock }),
      heldPulls,
      coldReads: new ColdReads({ limits: () => coldReadLimits(options()), turns, clock }),
      popping,
      timers: due.timers,
      topicQueues: nameServers.topicQueues,
      counts,
      startedAt,
      uniqueIds: new UniqueIds({ clock, ip: '127.0.0.1', pid: process.pid, seed }),
      identity,
      host: () => own.host,
      storeHost: () => own.storeHost,
      memoryBytes,
      random,
      registered: ms => nameServers.registered(ms),
      clock,
      log,
    }
    this.#own = own
    this.#nameServers = nameServers
    this.#due = due
    this.#context = context
    const names = new KnownNames()
    this.#sends = new SendPath(context, names)
    store.onCommit(this.#sends.unanswered)

    // What the broker shows of itself.
    this.status = brokerStatus({
      ...context,
      options: atStart,
      heldPulls: () => heldPulls.size,
      delayLevels: () => due.delays.progress(),
      readiness: () => this.#readiness(),
    })
    this.metrics = new BrokerMetrics({
      requests: Object.values(brokerRequests).map(({ code }) => [code, requestNames.get(code) ?? String(code)]),
      responses: Object.entries(responseCodes).map(([name, code]) => [code, name]),
      counts,
    })
    this.metrics.watch({
      status: this.status,
      heldPulls: () => heldPulls.size,
      brokerPermission: () => options().brokerPermission,
      unflushed: () => store.written - store.flushed,
      storedBytes: () => store.end - store.start,
    })

    // Ports.
    const of = { log, refused: refusedRequests }
    this.#ports = new Ports({
      options: atStart,
      main: {
        router: new Router(brokerRequests, handlers, context, of),
        fastPath: new BrokerFastPath(this.#sends, new PullPath(context, names)),
      },
      fast: {
        router: new Router(fastPortRequests, handlers, context, of),
        fastPath: new BrokerFastPath(this.#sends),
      },
      onRequest,
      onClose: (connection, reason) => this.#onClose(connection, reason),
      status: this.status,
      metrics: this.metrics,
      pages: { metrics: metricsPage?.(this.metrics), otherServers },
      tls: tls.server,
      clock,
      log,
    })
  }

  /** The address that the broker listens on. */
  get address(): BrokerAddress {
    const { address } = this.#ports
    if (address === undefined) throw new Error('the broker has not been started')
    return address
  }

  /** `host:port` under which clients reach the broker: what name servers know. */
  get advertisedAddress(): string {
    return this.#own.identity().address
  }

  /** The address of the port that serves everything but pulls; undefined if there is none. */
  get fastAddress(): BrokerAddress | undefined {
    return this.#ports.fastAddress
  }

  /** The address that serves HTTP: its own, or the same as `address`. Undefined if HTTP is off. */
  get httpAddress(): BrokerAddress | undefined {
    return this.#ports.httpAddress
  }

  /** The current options. */
  get options(): BrokerOptions {
    return this.#loaded.settings.options
  }

  /** The messages, for programs that look at them without a consumer. */
  get store(): MessageStore {
    return this.#loaded.store
  }

  /** Serves one connection over any stream, for tests without a port. */
  accept(stream: Duplex, remoteAddress: string): void {
    this.#ports.accept(stream, remoteAddress)
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
    this.#nameServers.announce(topics)
  }

  /** Does what a change of the options requires. @internal */
  optionsChanged(before: BrokerOptions, after: BrokerOptions): void {
    this.#ports.optionsChanged(after)
    // Without the option no pull takes the offset of a reset, which would hide what the group commits.
    if (!after.useServerSideResetOffset) this.#loaded.offsets.table.forgetResets()
    if (before.brokerPermission === after.brokerPermission) return
    this.#loaded.topics.touch()
    void this.#nameServers.registerAll()
  }

  #readiness(): Readiness {
    if (this.#state === 'starting') return { ready: false, code: 'STARTING', reason: 'the port is not open yet' }
    if (this.#state === 'draining') return { ready: false, code: 'DRAINING', reason: 'the broker is shutting down' }
    return { ready: true }
  }

  #onClose(connection: Connection, reason: CloseReason): void {
    const { heldPulls, coldReads, popping, notices, clients } = this.#context
    this.metrics.connectionsClosed.add({ reason })
    heldPulls.drop(connection.id)
    coldReads.drop(connection.id)
    popping?.drop(connection.id)
    notices.membersChanged(clients.drop(connection.id))
  }

  // -- Start and end -------------------------------------------------------------------------------------------------

  async #open(listen: boolean): Promise<void> {
    await this.#nameServers.find()
    await this.#own.choose(this.#nameServers.addresses)
    if (listen) await this.#ports.open(() => this.#own.opened())
    else {
      this.#ports.openNone(this.#own.host)
      this.#own.opened()
    }
    this.#state = 'serving'
    const { offsets, clock } = this.#loaded
    const { unanswered } = this.#sends
    const parts = { context: this.#context, nameServers: this.#nameServers, due: this.#due, offsets, unanswered, clock }
    this.#work.start(parts)
    await this.#nameServers.register()
  }

  async #shutDown(): Promise<void> {
    this.#stopServing()
    const { enableShutdownGracefully, shutdownWaitTimeSeconds, shutdownDrainMillis } = this.options
    await this.#nameServers.leave()
    const goAwayMs = enableShutdownGracefully ? shutdownWaitTimeSeconds * 1000 : 0
    await this.#closeConnections({ goAwayMs, drainMs: shutdownDrainMillis })
    try {
      await this.store.close()
    } finally {
      await this.#closeParts()
    }
  }

  async #endAsKilled(): Promise<void> {
    this.#stopServing()
    await this.#closeConnections({ goAwayMs: 0, drainMs: 0 })
    // The disk fails, which is meant.
    await this.store.close().catch(() => {})
    await this.#closeParts()
  }

  #stopServing(): void {
    this.#state = 'draining'
    this.#work.stop()
    this.#nameServers.stop()
  }

  async #closeConnections(limits: Required<ServerCloseOptions>): Promise<void> {
    const { heldPulls, coldReads, popping, waitingSends, clock } = this.#context
    // Clients that are served until they have gone away would pull in a loop if they were answered at once.
    if (limits.goAwayMs > 0) heldPulls.answerAll(clock.elapsed())
    else heldPulls.close(clock.elapsed())
    popping?.stop()
    await this.#ports.close(limits)
    this.#work.end()
    await Promise.all([this.#nameServers.close(), this.#loaded.settings.close()])
    this.#due.stop()
    waitingSends.close()
    coldReads.close()
  }

  /** After the store: each of them waits for messages that it was storing. */
  async #closeParts(): Promise<void> {
    const { offsets, topics, groups, tls, clock } = this.#loaded
    await Promise.all([this.#due.close(), this.#context.popping?.close()])
    await Promise.all([offsets.close(), topics.close(), groups.close()])
    this.metrics.close()
    tls.server?.close()
    clock[Symbol.dispose]()
  }
}
