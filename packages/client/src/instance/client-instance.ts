import { clearInterval, setInterval } from 'node:timers'
import { clientNotices, queryRequests } from '@gantrymq/protocol'
import {
  type CallInput,
  type Clock,
  type Logger,
  RemotingClient,
  RemotingError,
  type Reply,
  type RequestDeclaration,
  ResponseError,
  Router,
  silent,
  systemClock,
} from '@gantrymq/remoting'
import { Deadline } from '../deadline.ts'
import { ClientError, closed, toClientError } from '../errors.ts'
import type { CallOptions } from '../message/message.ts'
import { BrokerTable, type KnownBroker } from '../routes/broker-table.ts'
import { NameServers } from '../routes/name-servers.ts'
import { RouteCache } from '../routes/route-cache.ts'
import { RouteReasons } from '../routes/route-reasons.ts'
import { guardedLog } from './guarded-log.ts'
import { Heartbeats } from './heartbeats.ts'
import { InstanceMembers, type Member } from './instance-members.ts'
import type { InstanceOptions } from './instance-options.ts'
import { peerHandlers } from './peer-handlers.ts'
import { requestFields } from './request-fields.ts'
import { vipAddress } from './vip-channel.ts'

/** The pause after a failed attempt to connect, milliseconds; it grows to ten times as long. */
const RECONNECT_PAUSE_MS = 100

/** The longest delay that a timer takes, nearly: the timer only keeps the process running. */
const FOREVER_MS = 2 ** 30

/**
 * What producers, consumers and admins with the same options share: connections, name servers, routes and heartbeats. Users
 * acquire it with `acquireInstance`. Apache's MQClientInstance.
 */
export class ClientInstance {
  readonly clientId: string
  readonly options: InstanceOptions
  readonly log: Logger
  readonly nameServers: NameServers
  readonly routes: RouteCache
  readonly brokers = new BrokerTable()
  readonly #members = new InstanceMembers()
  readonly #client: RemotingClient
  readonly #heartbeats: Heartbeats
  #starting: Promise<void> | undefined
  #keepRunning: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(options: InstanceOptions, clientId: string) {
    const { clock, dial, connectTimeoutMs, tls, requestTimeoutMs } = options
    const log = guardedLog(options.log === false ? silent : options.log)
    this.options = options
    this.log = log
    this.clientId = clientId
    const router = new Router(clientNotices, peerHandlers, { members: this.#members, log }, { log })
    this.#client = new RemotingClient({
      clock,
      log,
      connectTimeoutMs,
      reconnectPauseMs: RECONNECT_PAUSE_MS,
      tls: tls === true ? {} : tls === false ? undefined : tls,
      onRequest: (command, peer) => router.dispatch(command, peer),
      onSend: requestFields(options),
      onOpen: ({ remoteAddress }) => this.#heartbeats.onOpen(remoteAddress),
      onClose: ({ remoteAddress }) => this.#heartbeats.onClose(remoteAddress),
      ...(dial === undefined ? {} : { dial }),
    })
    this.nameServers = new NameServers({
      source: options.nameServers ?? process.env['NAMESRV_ADDR'],
      client: this.#client,
      clock,
      log,
      refreshMs: options.nameServerRefreshMs,
      // TLS certificates are issued for names, and a custom `dial` resolves names itself.
      ...(tls !== false || dial !== undefined ? { resolve: null } : {}),
    })
    this.routes = new RouteCache({
      nameServers: this.nameServers,
      reasons: new RouteReasons({ client: this.#client, clock, zone: isInZone(options) ? options.zone : '' }),
      brokers: this.brokers,
      clock,
      log,
      refreshMs: options.routeRefreshMs,
      timeoutMs: requestTimeoutMs,
    })
    this.#heartbeats = new Heartbeats({
      clientId,
      members: this.#members,
      brokers: this.brokers,
      calls: this,
      clock,
      log,
      everyMs: options.heartbeatMs,
    })
  }

  get clock(): Clock {
    return this.options.clock
  }

  /** Starts the background work, once. */
  start(): Promise<void> {
    return (this.#starting ??= this.#start())
  }

  async #start(): Promise<void> {
    // The client's timers and an unreachable broker do not keep the process running; this does, until the instance is closed. Not with
    // the clock of a test: a client that a failed test has left open would keep its test runner from ending.
    if (this.options.clock === systemClock) this.#keepRunning = setInterval(() => {}, FOREVER_MS)
    await this.nameServers.start()
    if (this.#closing !== undefined) return
    this.routes.start()
    this.#heartbeats.start()
  }

  /** Closes the connections; calls in flight may finish within `drainMs`. Idempotent. */
  close(drainMs = 0): Promise<void> {
    return (this.#closing ??= this.#close(drainMs))
  }

  async #close(drainMs: number): Promise<void> {
    this.#heartbeats.close()
    this.nameServers.close()
    this.routes.close()
    await this.#client.close({ drainMs })
    clearInterval(this.#keepRunning)
  }

  // -- Members -------------------------------------------------------------------------------------------------------

  /** From now on heartbeats list the member, and brokers' requests reach it. */
  join(member: Member): void {
    this.#members.add(member)
  }

  /** Unregisters the member's group at the brokers, unless another member of the group remains. Never rejects. */
  async leave(member: Member): Promise<void> {
    if (this.#members.delete(member)) await this.#heartbeats.unregister(member)
  }

  /** Sends the brokers the members of this moment. Never rejects. */
  heartbeat(): Promise<void> {
    return this.#heartbeats.beat()
  }

  // -- Calls ---------------------------------------------------------------------------------------------------------

  isConnected(address: string): boolean {
    return this.#client.isConnected(address)
  }

  /**
   * Sends a request to a broker.
   * @throws ClientError BROKER_REFUSED, CONNECT_FAILED, TIMEOUT, ABORTED, CLOSED, BACK_PRESSURE, BAD_BODY, TLS
   */
  async call<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D> = {},
    options: CallOptions = {},
  ): Promise<Reply<D>> {
    const to = this.#portOf(address, declaration)
    try {
      return await this.#client.call(to, declaration, input, this.#limits(options))
    } catch (error) {
      if (!this.#mayBeSignedWrongly(declaration, error)) throw this.#toClientError(error, address)
    }
    try {
      return await this.#client.call(to, declaration, input, this.#limits(options))
    } catch (error) {
      throw this.#toClientError(error, address)
    }
  }

  // 4.9 brokers leave one field of this request out of the signature (PlainAccessValidator), and the first answer on a
  // connection is what tells the broker's version.
  #mayBeSignedWrongly({ code }: RequestDeclaration, error: unknown): boolean {
    if (this.options.credentials === undefined || code !== queryRequests.QUERY_MESSAGE.code) return false
    return error instanceof ResponseError && error.remark?.includes('Check signature failed') === true
  }

  /** Sends a broker a request that is not answered. @throws ClientError as `call` */
  async oneway<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D> = {},
    options: CallOptions = {},
  ): Promise<void> {
    try {
      await this.#client.oneway(this.#portOf(address, declaration), declaration, input, this.#limits(options))
    } catch (error) {
      throw this.#toClientError(error, address)
    }
  }

  /** Sends a request to a name server, and to the next if it fails. @throws ClientError as `NameServers.call` */
  nameServer<const D extends RequestDeclaration>(
    declaration: D,
    input: CallInput<D> = {},
    options: CallOptions = {},
  ): Promise<Reply<D>> {
    if (this.#closing !== undefined) return Promise.reject(closed('this client'))
    return this.nameServers.call(declaration, input, Deadline.of(this.clock, options, this.options.requestTimeoutMs))
  }

  #portOf(address: string, declaration: RequestDeclaration): string {
    return this.options.vipChannel ? vipAddress(address, declaration) : address
  }

  #limits({ timeoutMs, signal }: CallOptions) {
    return { timeoutMs: timeoutMs ?? this.options.requestTimeoutMs, signal }
  }

  #toClientError(error: unknown, address: string): ClientError {
    if (this.#closing !== undefined) return closed('this client')
    const failure = toClientError(error, address)
    const isUnreachable =
      failure.code === 'CONNECT_FAILED' && error instanceof RemotingError && error.code === 'CONNECT_FAILED'
    const broker = isUnreachable ? this.brokers.all().find(each => each.address === address) : undefined
    return broker === undefined ? failure : unreachable(failure, broker)
  }
}

// The address of a broker is what it registered, which is often one that only its own machine or container can reach.
function unreachable(error: ClientError, { name, address }: KnownBroker): ClientError {
  const { code, cause, retriable, responseCode } = error
  const text = `${error.message}. The broker ${name} registered this address: if it cannot be reached from here, set brokerIP1 in its broker.conf`
  return new ClientError(code, text, { cause, retriable, responseCode, address })
}

function isInZone({ zoneMode }: InstanceOptions): boolean {
  return zoneMode.toLowerCase() === 'true'
}
