import { createServer, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  type CallInput,
  type CallOptions,
  type Clock,
  type CloseReason,
  type Command,
  Connection,
  type ConnectionOptions,
  encodeFrame,
  type Eventual,
  type Held,
  held,
  isOneway,
  Outbox,
  type Peer,
  REPLY_FLAG,
  type Reply,
  type ReplyParts,
  type RequestDeclaration,
  type RequestTable,
  settled,
} from '@gantrymq/remoting'
import { type Fault, Faults, type SeenRequest, type SetFault } from './faults.ts'

export interface RudeServerOptions {
  readonly address: string
  readonly clock: Clock
  /** Names of the requests it may be asked. */
  readonly table: RequestTable
  /** What its answers say of its release, see `release.ts` of the protocol package. */
  readonly version: number
  readonly dispatch: (command: Command, peer: Peer) => Eventual<ReplyParts>
  /** Called when a connection has ended. */
  readonly onGone?: (peerId: number) => void
}

/** One client, as the handlers see it: a link that went deaf is as good as ended. */
class Link implements Peer {
  readonly stream: Duplex
  readonly connection: Connection
  /** Timers of answers that are not out yet. */
  readonly timers = new Set<Disposable>()
  deaf = false

  constructor(stream: Duplex, options: (link: Link) => ConnectionOptions) {
    this.stream = stream
    this.connection = new Connection(stream, options(this))
  }

  get id(): number {
    return this.connection.id
  }

  get remoteAddress(): string {
    return this.connection.remoteAddress
  }

  get isOpen(): boolean {
    return !this.deaf && this.connection.isOpen
  }

  get mayHold(): boolean {
    return this.connection.mayHold
  }

  call<const D extends RequestDeclaration>(
    declaration: D,
    input?: CallInput<D>,
    options?: CallOptions,
  ): Promise<Reply<D>> {
    return this.connection.call(declaration, input, options)
  }

  oneway<const D extends RequestDeclaration>(declaration: D, input?: CallInput<D>): void {
    this.connection.oneway(declaration, input)
  }

  destroy(reason?: CloseReason): void {
    this.connection.destroy(reason)
  }

  /** From now on nothing is read from the client and it can no longer be called. */
  deafen(): void {
    this.deaf = true
    this.stream.pause()
  }
}

/**
 * The sockets of a scripted server and its manners. Connections come over memory sockets (`accept`) or a real port
 * (`listen`); what it is asked is in `requests`.
 */
export class RudeServer {
  /** What was asked, oldest first, one-way requests too. */
  readonly requests: SeenRequest[] = []
  /** `refuses`: new connections fail. `hangs`: over memory sockets they never come about. */
  door: 'open' | 'refuses' | 'hangs' = 'open'
  readonly #options: RudeServerOptions
  readonly #names: ReadonlyMap<number, string>
  readonly #faults = new Faults()
  readonly #links = new Set<Link>()
  #address: string
  #server: Server | undefined
  #closing: Promise<void> | undefined

  constructor(options: RudeServerOptions) {
    this.#options = options
    this.#address = options.address
    this.#names = new Map(Object.entries(options.table).map(([name, { code }]) => [code, name]))
  }

  /** `host:port`; after `listen` the real one. */
  get address(): string {
    return this.#address
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#links.size
  }

  /** Requests of one name. */
  requestsOf(name: string): SeenRequest[] {
    return this.requests.filter(each => each.name === name)
  }

  fault(name: string, fault: Fault): SetFault {
    return this.#faults.set(name, fault)
  }

  clearFaults(): void {
    this.#faults.clear()
  }

  /** Ends all connections and takes no new ones, like a server that was killed. */
  down(): void {
    this.door = 'refuses'
    this.dropAll()
  }

  /** Takes connections again. */
  up(): void {
    this.door = 'open'
  }

  /** Ends all connections; new ones are taken. */
  dropAll(): void {
    for (const link of this.#links) link.destroy('shutdown')
  }

  /** Reads and says nothing any more on the connections that are open, like a machine that lost its network. */
  freeze(): void {
    for (const link of this.#links) link.deafen()
  }

  /** Bytes to every client, whatever they are. */
  write(bytes: Buffer): void {
    for (const { stream } of this.#links) stream.write(bytes)
  }

  // -- Connections ---------------------------------------------------------------------------------------------------

  /** Takes a client at the other end of a stream. */
  accept(stream: Duplex, remoteAddress: string): void {
    if (this.door !== 'open' || this.#closing !== undefined) {
      stream.destroy()
      return
    }
    const options = (link: Link): ConnectionOptions => ({
      remoteAddress,
      clock: this.#options.clock,
      version: this.#options.version,
      onRequest: command => this.#onRequest(command, link),
      onClose: () => this.#onClose(link),
    })
    this.#links.add(new Link(stream, options))
  }

  /** Listens on a free port of 127.0.0.1. */
  async listen(): Promise<string> {
    const server = createServer(socket => {
      socket.setNoDelay()
      this.accept(socket, `${socket.remoteAddress}:${socket.remotePort}`)
    })
    this.#server = server
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
    await promise
    const bound = server.address()
    if (bound !== null && typeof bound === 'object') this.#address = `127.0.0.1:${bound.port}`
    return this.#address
  }

  /** Ends everything. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#shutDown())
  }

  async #shutDown(): Promise<void> {
    this.dropAll()
    const server = this.#server
    if (server !== undefined) await new Promise<void>(resolve => server.close(() => resolve()))
  }

  #onClose(link: Link): void {
    for (const timer of link.timers) timer[Symbol.dispose]()
    link.timers.clear()
    this.#links.delete(link)
    this.#options.onGone?.(link.id)
  }

  // -- Manners -------------------------------------------------------------------------------------------------------

  #onRequest(command: Command, link: Link): Eventual<ReplyParts> {
    if (link.deaf) return silence()
    const seen = this.#see(command, link)
    this.requests.push(seen)
    const fault = this.#faults.take(seen)
    return fault === undefined ? this.#options.dispatch(command, link) : this.#answerRudely(fault, command, link)
  }

  #see(command: Command, { remoteAddress }: Peer): SeenRequest {
    return {
      name: this.#names.get(command.code) ?? String(command.code),
      code: command.code,
      header: Object.fromEntries(command.extFields ?? []),
      body: command.body === null ? null : Buffer.from(command.body),
      remark: command.remark,
      oneway: isOneway(command),
      from: remoteAddress,
      at: this.#options.clock.now(),
      command,
    }
  }

  async #answerRudely(fault: Fault, command: Command, link: Link): Promise<ReplyParts | Held<ReplyParts>> {
    const handled = fault.handled ?? fault.answer !== 'code'
    const reply = handled ? await settled(this.#options.dispatch(command, link)) : { code: 0 }
    switch (fault.answer) {
      case 'code':
        return { ...reply, code: fault.code, remark: fault.remark ?? null }
      case 'late':
        await this.#wait(fault.ms, link)
        break
      case 'twice':
        link.stream.write(this.#frame(command, reply))
        break
      case 'stranger':
        link.stream.write(this.#frame({ ...command, opaque: command.opaque + 1_000_000 }, reply))
        break
      default:
        await this.#spoil(fault, this.#frame(command, reply), link)
        return silence()
    }
    return reply
  }

  /** What leaves the request without a whole answer of its own. */
  async #spoil(fault: Fault, frame: Buffer, link: Link): Promise<void> {
    if (fault.answer === 'garbage') link.stream.write(fault.bytes ?? Buffer.alloc(64, 0xff))
    if (fault.answer === 'cut') link.stream.end(frame.subarray(0, fault.bytes ?? frame.length >> 1))
    if (fault.answer === 'hang-up') link.destroy('shutdown')
    if (fault.answer === 'half-open') link.deafen()
    if (fault.answer === 'slow') await this.#drip(frame, fault, link)
  }

  #wait(ms: number, link: Link): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#options.clock.every(Math.max(ms, 1), () => {
        timer[Symbol.dispose]()
        link.timers.delete(timer)
        resolve()
      })
      link.timers.add(timer)
    })
  }

  async #drip(frame: Buffer, { bytes, everyMs }: { bytes: number; everyMs: number }, link: Link): Promise<void> {
    for (let at = 0; at < frame.length; at += bytes) {
      link.stream.write(frame.subarray(at, at + bytes))
      await this.#wait(everyMs, link)
    }
  }

  #frame(request: Command, reply: ReplyParts): Buffer {
    const { opaque, serializeType } = request
    const { code, remark = null, extFields = null, body = null } = reply
    const { version } = this.#options
    return encodeFrame(
      { code, remark, extFields, body, opaque, serializeType, version, language: 'JAVA', flag: REPLY_FLAG },
      new Outbox(),
    )
  }
}

/** The answer to a request that gets none. */
export function silence(): Held<never> {
  return held(new Promise<never>(() => {}))
}
