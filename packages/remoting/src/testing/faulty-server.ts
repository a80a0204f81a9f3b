import { createServer, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import type { CallInput, CallOptions, Peer, Reply, RequestDeclaration, RequestTable } from '../request.ts'
import type { Clock } from '../clock.ts'
import type { CloseReason } from '../close-reason.ts'
import { type Command, isOneway, REPLY_FLAG, type ReplyParts } from '../command.ts'
import { Connection } from '../connection.ts'
import type { ConnectionOptions } from '../connection-options.ts'
import { encodeFrame } from '../frame.ts'
import { type Eventual, type Held, held, settled } from '../held.ts'
import { Outbox } from '../outbox.ts'
import { type Fault, Faults, type SeenRequest, type SetFault } from './faults.ts'

export interface FaultyServerOptions {
  readonly address: string
  readonly clock: Clock
  /** The requests that it serves, by name. */
  readonly table: RequestTable
  /** The release that its answers announce, see `release.ts` of the protocol package. */
  readonly version: number
  readonly dispatch: (command: Command, peer: Peer) => Eventual<ReplyParts>
  /** Called when a connection has ended. */
  readonly onClose?: (peerId: number) => void
}

/** The connection of one client, as handlers see it: a frozen one counts as closed. */
class Link implements Peer {
  readonly stream: Duplex
  readonly connection: Connection
  /** Timers of answers that are not sent yet. */
  readonly timers = new Set<Disposable>()
  isFrozen = false

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
    return !this.isFrozen && this.connection.isOpen
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

  /** Stops reading from the client, which can no longer be called. */
  freeze(): void {
    this.isFrozen = true
    this.stream.pause()
  }
}

/**
 * A server for tests that fails on demand. Connections come over memory sockets (`accept`) or a real port (`listen`);
 * `requests` records what the server received, and `fault` sets which requests are not answered properly.
 */
export class FaultyServer {
  /** All requests received, oldest first, including one-way requests. */
  readonly requests: SeenRequest[] = []
  /** Whether new connections succeed, fail or, over memory sockets, never complete. */
  accepting: 'connects' | 'refuses' | 'hangs' = 'connects'
  readonly #options: FaultyServerOptions
  readonly #names: ReadonlyMap<number, string>
  readonly #faults = new Faults()
  readonly #links = new Set<Link>()
  #address: string
  #server: Server | undefined
  #closing: Promise<void> | undefined

  constructor(options: FaultyServerOptions) {
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

  /** Closes all connections and accepts no new ones, like a server that was killed. */
  down(): void {
    this.accepting = 'refuses'
    this.dropAll()
  }

  /** Accepts connections again. */
  up(): void {
    this.accepting = 'connects'
  }

  /** Closes all connections; new ones are accepted. */
  dropAll(): void {
    for (const link of this.#links) link.destroy('shutdown')
  }

  /** Stops reading and writing on all open connections, like a machine that lost its network. */
  freeze(): void {
    for (const link of this.#links) link.freeze()
  }

  /** Sends raw bytes to every client. */
  write(bytes: Buffer): void {
    for (const { stream } of this.#links) stream.write(bytes)
  }

  // -- Connections ---------------------------------------------------------------------------------------------------

  /** Accepts a client at the other end of a stream. */
  accept(stream: Duplex, remoteAddress: string): void {
    if (this.accepting !== 'connects' || this.#closing !== undefined) {
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

  /** Closes all connections and the port. Idempotent. */
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
    this.#options.onClose?.(link.id)
  }

  // -- Faults ---------------------------------------------------------------------------------------------------------

  #onRequest(command: Command, link: Link): Eventual<ReplyParts> {
    if (link.isFrozen) return noReply()
    const seen = this.#see(command, link)
    this.requests.push(seen)
    const fault = this.#faults.take(seen)
    return fault === undefined ? this.#options.dispatch(command, link) : this.#answerWith(fault, command, link)
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

  async #answerWith(fault: Fault, command: Command, link: Link): Promise<ReplyParts | Held<ReplyParts>> {
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
      case 'wrong-opaque':
        link.stream.write(this.#frame({ ...command, opaque: command.opaque + 1_000_000 }, reply))
        break
      default:
        await this.#spoil(fault, this.#frame(command, reply), link)
        return noReply()
    }
    return reply
  }

  /** Applies a fault that leaves the request without a complete answer. */
  async #spoil(fault: Fault, frame: Buffer, link: Link): Promise<void> {
    if (fault.answer === 'garbage') link.stream.write(fault.bytes ?? Buffer.alloc(64, 0xff))
    if (fault.answer === 'cut') link.stream.end(frame.subarray(0, fault.bytes ?? frame.length >> 1))
    if (fault.answer === 'hang-up') link.destroy('shutdown')
    if (fault.answer === 'half-open') link.freeze()
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

/** An answer that is never sent. */
export function noReply(): Held<never> {
  return held(new Promise<never>(() => {}))
}
