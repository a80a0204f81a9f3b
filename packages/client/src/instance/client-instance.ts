import { clientNotices, INNER_PRODUCER_GROUP, membershipRequests, queryRequests } from '@gantrymq/protocol'
import {
  type CallInput,
  type Clock,
  type Connection,
  type Logger,
  pause,
  RemotingClient,
  type Reply,
  type RequestDeclaration,
  ResponseError,
  Router,
} from '@gantrymq/remoting'
import { BrokerTable, type KnownBroker } from '../routes/broker-table.ts'
import { clientIdOf, freshInstanceName, ownAddress } from './client-id.ts'
import { Deadline } from '../deadline.ts'
import { ClientError, closed, toClientError } from '../errors.ts'
import { guardedLog } from './guarded-log.ts'
import { heartbeatOf } from './heartbeat.ts'
import { Heartbeats } from './heartbeats.ts'
import type { InstanceOptions } from './instance-options.ts'
import type { ConsumerMember, Member, ProducerMember } from './instance-members.ts'
import type { CallOptions } from '../message/message.ts'
import { NameServers } from '../routes/name-servers.ts'
import { peerHandlers } from './peer-handlers.ts'
import { requestFields } from './request-fields.ts'
import { RouteBook } from '../routes/route-book.ts'
import { onlyShared, shareKey } from './instance-key.ts'
import { unregister } from './unregister.ts'
import { vipAddress } from './vip-channel.ts'

/** Instances by what makes them the same; see `shareKey`. */
const instances = new Map<string, ClientInstance>()

/** After a failed attempt to connect; up to ten times as long after several. */
const RECONNECT_PAUSE_MS = 100

/** Until a broker has surely seen the end of a connection, milliseconds. */
const GOODBYE_MS = 1000

/** Longer than any timer can be asked for: it only keeps the process alive. */
const FOREVER_MS = 2 ** 30

/**
 * What producers, consumers and admin share: one set of connections, name servers, routes and heartbeats per client id and
 * process. Each of them acquires it and releases it; the last to leave closes it. Apache's MQClientInstance.
 */
export class ClientInstance {
  readonly clientId: string
  readonly options: InstanceOptions
  readonly log: Logger
  readonly nameServers: NameServers
  readonly routes: RouteBook
  readonly brokers = new BrokerTable()
  readonly #key: string
  readonly #client: RemotingClient
  readonly #members = new Set<Member>()
  /** Groups that are here or about to be. */
  readonly #claims = new Set<string>()
  readonly #heartbeats = new Heartbeats(broker => this.#sendHeartbeat(broker))
  readonly #end = new AbortController()
  #holders = 0
  #starting: Promise<void> | undefined
  #timer: Disposable | undefined
  #anchor: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  /**
   * The instance for these options, shared with others that have the same; options of a producer's or consumer's own do not
   * count. One that has a consumer of this group already is
   * not shared: a group's members need ids of their own.
   * @throws ClientError GROUP_TAKEN if the instance name was given and the group is there
   */
  static acquire(given: InstanceOptions, claim?: { readonly kind: Member['kind']; readonly group: string }) {
    const options = onlyShared(given)
    for (let copy = 0; ; copy++) {
      const key = `${shareKey(options)}|${copy}`
      const instance = instances.get(key) ?? new ClientInstance(options, key)
      if (claim === undefined || !instance.#has(claim.kind, claim.group)) return instance.#hold(claim)
      if (options.instanceName !== '') throw groupTaken(claim.kind, claim.group)
    }
  }

  private constructor(options: InstanceOptions, key: string) {
    this.options = options
    this.#key = key
    const { clock, dial, connectTimeoutMs, tls, requestTimeoutMs } = options
    const log = guardedLog(options.log)
    this.log = log
    this.clientId = freeId(options)
    const router = new Router(clientNotices, peerHandlers, this, { log })
    this.#client = new RemotingClient({
      clock,
      log,
      connectTimeoutMs,
      reconnectPauseMs: RECONNECT_PAUSE_MS,
      tls: tls === true ? {} : tls === false ? undefined : tls,
      onRequest: (command, peer) => router.dispatch(command, peer),
      onSend: requestFields(options),
      onOpen: connection => this.#onOpen(connection),
      onClose: connection => this.#onClose(connection),
      ...(dial === undefined ? {} : { dial }),
    })
    this.nameServers = new NameServers({
      source: options.nameServers ?? process.env['NAMESRV_ADDR'],
      client: this.#client,
      clock,
      log,
      refreshMs: options.nameServerRefreshMs,
      // Certificates are made out for names; and who dials by himself resolves by himself.
      ...(tls !== false || dial !== undefined ? { resolve: null } : {}),
    })
    this.routes = new RouteBook({
      nameServers: this.nameServers,
      brokers: this.brokers,
      clock,
      log,
      refreshMs: options.routeRefreshMs,
      timeoutMs: requestTimeoutMs,
    })
    instances.set(key, this)
  }

  get clock(): Clock {
    return this.options.clock
  }

  get producers(): ProducerMember[] {
    return [...this.#members].filter(member => member.kind === 'producer')
  }

  get consumers(): ConsumerMember[] {
    return [...this.#members].filter(member => member.kind === 'consumer')
  }

  /** The consumer of a group, if it is here. */
  consumer(group: string): ConsumerMember | undefined {
    return this.consumers.find(member => member.group === group)
  }

  /** Starts what runs in the background, once. */
  start(): Promise<void> {
    return (this.#starting ??= this.#run())
  }

  async #run(): Promise<void> {
    // Timers of this client do not keep the process alive, nor does a broker that is away: this does, until the end.
    this.#anchor = setInterval(() => {}, FOREVER_MS)
    await this.nameServers.start()
    if (this.#closing !== undefined) return
    this.routes.start()
    this.#timer = this.clock.every(this.options.heartbeatMs, () => void this.#beatAll(false))
  }

  // -- Calls ---------------------------------------------------------------------------------------------------------

  /**
   * Asks a broker.
   * @throws ClientError BROKER_REFUSED, CONNECT_FAILED, TIMEOUT, ABORTED, CLOSED, BACK_PRESSURE, BAD_BODY, TLS
   */
  async call<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D> = {},
    options: CallOptions = {},
  ): Promise<Reply<D>> {
    const door = this.#doorOf(address, declaration)
    try {
      return await this.#client.call(door, declaration, input, this.#limits(options))
    } catch (error) {
      if (!this.#mayBeSignedWrongly(declaration, error)) throw this.#explain(error, address)
    }
    try {
      return await this.#client.call(door, declaration, input, this.#limits(options))
    } catch (error) {
      throw this.#explain(error, address)
    }
  }

  // Brokers of 4.9 sign this request differently, and the first answer of a connection is the one that tells its release
  // (spec remoting 9.3).
  #mayBeSignedWrongly({ code }: RequestDeclaration, error: unknown): boolean {
    if (this.options.credentials === undefined || code !== queryRequests.QUERY_MESSAGE.code) return false
    return error instanceof ResponseError && error.remark?.includes('Check signature failed') === true
  }

  /** Tells a broker something that is not answered. @throws ClientError as `call` */
  async oneway<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D> = {},
    options: CallOptions = {},
  ): Promise<void> {
    try {
      await this.#client.oneway(this.#doorOf(address, declaration), declaration, input, this.#limits(options))
    } catch (error) {
      throw this.#explain(error, address)
    }
  }

  /** Asks a name server, and the next when it fails. @throws ClientError see `NameServers.call` */
  nameServer<const D extends RequestDeclaration>(
    declaration: D,
    input: CallInput<D> = {},
    options: CallOptions = {},
  ): Promise<Reply<D>> {
    if (this.#closing !== undefined) return Promise.reject(closed('this client'))
    return this.nameServers.call(declaration, input, Deadline.of(this.clock, options, this.options.requestTimeoutMs))
  }

  #doorOf(address: string, declaration: RequestDeclaration): string {
    return this.options.vipChannel ? vipAddress(address, declaration) : address
  }

  #limits({ timeoutMs, signal }: CallOptions) {
    return { timeoutMs: timeoutMs ?? this.options.requestTimeoutMs, signal }
  }

  #explain(error: unknown, address: string): ClientError {
    if (this.#closing !== undefined) return closed('this client')
    return toClientError(error, address)
  }

  // -- Members and heartbeats ----------------------------------------------------------------------------------------

  #has(kind: Member['kind'], group: string): boolean {
    return this.#claims.has(`${kind} ${group}`)
  }

  #hold(claim: { readonly kind: Member['kind']; readonly group: string } | undefined): this {
    this.#holders++
    if (claim !== undefined) this.#claims.add(`${claim.kind} ${claim.group}`)
    return this
  }

  /** From now on heartbeats tell of it and brokers' requests reach it. */
  join(member: Member): void {
    this.#members.add(member)
  }

  /** Takes leave of the brokers, unless another of the group stays: they know a client once. Never rejects. */
  async leave(member: Member): Promise<void> {
    if (!this.#members.delete(member)) return
    const { kind } = member
    if (this.#hasMember(member)) return
    const told = this.brokers.all().filter(({ address }) => this.#client.isConnected(address))
    await Promise.all(
      told.map(async broker => {
        // While a heartbeat was waited for another of the group may have come.
        const isTold = await this.#farewell(broker, member, () => !this.#hasMember(member))
        if (isTold && kind === 'producer' && this.#members.size > 0) await this.#noteAnew(broker)
      }),
    )
  }

  #hasMember({ kind, group }: Member): boolean {
    return [...this.#members].some(other => other.kind === kind && other.group === group)
  }

  /**
   * Makes a broker note anew over which connection replies go. It forgets that when any producer group or connection of
   * the client leaves, and notes it only with a group that is new on its connection (Apache's ProducerManager).
   */
  async #noteAnew(broker: KnownBroker): Promise<void> {
    // A connection on which this gets no answer ends too: one that does not hear is left to the next heartbeat.
    if (await this.#farewell(broker, { kind: 'producer', group: INNER_PRODUCER_GROUP }))
      await this.#heartbeats.beat(broker, true)
  }

  /** False if the broker has not heard, or is not to. Where the connection ended meanwhile it has forgotten by itself. */
  #farewell(
    { address }: KnownBroker,
    group: Pick<Member, 'kind' | 'group'>,
    isWanted: () => boolean = () => true,
  ): Promise<boolean> {
    return this.#heartbeats.leave(
      address,
      async () => this.#client.isConnected(address) && isWanted() && (await unregister(this, address, group)),
    )
  }

  /** Gives the instance back. The last to do so closes it; calls that still wait may finish within `drainMs`. */
  release(claim: { readonly kind: Member['kind']; readonly group: string } | undefined, drainMs = 0): Promise<void> {
    if (claim !== undefined) this.#claims.delete(`${claim.kind} ${claim.group}`)
    if (--this.#holders > 0) return Promise.resolve()
    return (this.#closing ??= this.#shutDown(drainMs))
  }

  async #shutDown(drainMs: number): Promise<void> {
    if (instances.get(this.#key) === this) instances.delete(this.#key)
    this.#end.abort()
    this.#timer?.[Symbol.dispose]()
    this.nameServers.close()
    this.routes.close()
    await this.#client.close({ drainMs })
    clearInterval(this.#anchor)
  }

  /** Tells every broker who is here now; without consumers the masters only. Never rejects. */
  heartbeat(): Promise<void> {
    return this.#beatAll(true)
  }

  async #beatAll(anew: boolean): Promise<void> {
    if (this.#members.size === 0) return
    const all = this.consumers.length > 0 ? this.brokers.all() : this.brokers.masters()
    await Promise.all(all.map(broker => this.#heartbeats.beat(broker, anew)))
  }

  async #sendHeartbeat({ name, address }: KnownBroker): Promise<void> {
    try {
      const body = heartbeatOf(this.clientId, this.#members)
      const { command } = await this.call(address, membershipRequests.HEART_BEAT, { body })
      this.brokers.setVersion(name, address, command.version)
    } catch (error) {
      if (this.#closing === undefined) this.log.warn({ address, error: String(error) }, 'heartbeat failed')
    }
  }

  // A broker that was away has forgotten who is here, and refuses pulls until it hears (code 24).
  #onOpen({ remoteAddress }: Connection): void {
    const broker = this.brokers.all().find(({ address }) => address === remoteAddress)
    if (broker === undefined || this.#members.size === 0 || this.#heartbeats.isBeating(remoteAddress)) return
    void this.#heartbeats.beat(broker, false).then(() => {
      for (const consumer of this.consumers) consumer.rebalance()
    })
  }

  // One that was given up ends after the next was opened, as when a call timed out: with it the broker forgets the client.
  #onClose({ remoteAddress }: Connection): void {
    const broker = this.brokers.all().find(({ address }) => address === remoteAddress)
    if (broker === undefined || this.producers.length === 0 || !this.#client.isConnected(remoteAddress)) return
    void pause(this.clock, GOODBYE_MS, this.#end.signal).then(() =>
      this.#end.signal.aborted ? undefined : this.#noteAnew(broker),
    )
  }
}

// Brokers tell clients apart by their ids: where an instance of the same name is not shared this one gets a number.
function freeId({ clientIp, instanceName, unitName }: InstanceOptions): string {
  const ip = clientIp === '' ? ownAddress() : clientIp
  const name = instanceName === '' ? freshInstanceName() : instanceName
  const taken = new Set([...instances.values()].map(({ clientId }) => clientId))
  for (let copy = 1; ; copy++) {
    const id = clientIdOf(ip, copy === 1 ? name : `${name}#${copy}`, unitName)
    if (!taken.has(id)) return id
  }
}

function groupTaken(kind: Member['kind'], group: string): ClientError {
  const text = `The ${kind} group[${group}] has been created before, specify another name please: one of this instance name has it already`
  return new ClientError('GROUP_TAKEN', text)
}
