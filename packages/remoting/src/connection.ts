import diagnostics from 'node:diagnostics_channel'
import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { Answering } from './answering.ts'
import { type Clock, systemClock } from './clock.ts'
import type { CloseReason } from './close-reason.ts'
import {
  type BodyBytes,
  type Command,
  isOneway,
  isReply,
  ONEWAY_FLAG,
  REPLY_FLAG,
  type ReplyParts,
  withoutContent,
} from './command.ts'
import {
  ANNOUNCED_VERSION,
  type ConnectionLimits,
  type ConnectionOptions,
  defaultConnectionLimits,
  type Traffic,
} from './connection-options.ts'
import { ConnectionWrites } from './connection-writes.ts'
import { FrameError, RemotingError } from './errors.ts'
import type { FastConnection, FastPath } from './fast-path.ts'
import { foreignPeer, OPENING_BYTES } from './foreign-peer.ts'
import { FrameDecoder, readCommand, scanHeader } from './frame.ts'
import type { MemoryShare } from './frame-memory.ts'
import { HeaderView } from './header-view.ts'
import { Held } from './held.ts'
import { type Logger, silent } from './log.ts'
import type { Outbox } from './outbox.ts'
import { PendingCalls } from './pending-calls.ts'
import { ReadTurns } from './read-turns.ts'
import type { CallInput, CallOptions, Reply, RequestDeclaration } from './request.ts'
import { readReply, writeRequest } from './request-codec.ts'
import { REQUEST_CODE_NOT_SUPPORTED } from './router.ts'
import { ownsReads, readShared } from './shared-reads.ts'
import { giveUpAfter, upTo } from './waits.ts'

const closed = diagnostics.channel('gantrymq:remoting:connection:close')
const dropped = diagnostics.channel('gantrymq:remoting:reply:late')

/** Frames on the fast path between two looks at the clock, which would cost more than one of them. */
const FRAMES_PER_CHECK = 32

const NO_BYTES = Buffer.alloc(0)

/** Views that no connection uses. One is used during a read only; more than one if a read causes another one in this process. */
const views: HeaderView[] = []

let lastId = 0

/** Assigns the id of the next connection of this process. */
export function nextConnectionId(): number {
  return ++lastId
}

/**
 * One side of a connection: reads and writes frames over any duplex stream, sends own calls and waits for their replies,
 * and answers the peer's requests. Owns the stream and closes it once.
 */
export class Connection implements FastConnection {
  readonly id: number
  readonly remoteAddress: string
  readonly outbox: Outbox
  readAt = 0
  readonly #stream: Duplex
  readonly #options: ConnectionOptions
  readonly #limits: ConnectionLimits
  readonly #clock: Clock
  readonly #log: Logger
  readonly #decoder: FrameDecoder
  readonly #writes: ConnectionWrites
  readonly #calls: PendingCalls
  readonly #answering: Answering
  readonly #traffic: Traffic | undefined
  readonly #turns: NonNullable<ConnectionOptions['turns']>
  readonly #share: MemoryShare | undefined
  /** True if the next read overwrites the memory of the current one. */
  readonly #sharesReads: boolean
  #paused = false
  #pausedAt = 0
  /** True while the connection waits for memory. */
  #starved = false
  /** The first bytes of the peer, until its first command has been read. */
  #opening: Buffer = NO_BYTES
  /** Length of the frame that is being handled, bytes. */
  #frameSize = 0
  /** The version in the peer's last command; 0 before the first one. */
  #peerVersion = 0
  #frameSince = 0
  /** When bytes were last read, by `Clock.elapsed`; at first when the connection began. */
  #heardAt: number
  #state: 'open' | 'closing' | 'closed' = 'open'
  /** Reported when a closing stream ends: `peer` if the peer closed first. */
  #closeReason: CloseReason = 'closed'
  #onDrained: (() => void) | null = null
  #closing: Promise<void> | undefined
  readonly #ended = Promise.withResolvers<void>()

  constructor(stream: Duplex, options: ConnectionOptions) {
    this.#stream = stream
    this.#options = options
    this.id = options.id ?? nextConnectionId()
    this.remoteAddress = options.remoteAddress
    this.#limits = { ...defaultConnectionLimits, ...options.limits }
    this.#traffic = options.traffic
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silent
    this.#heardAt = this.#clock.elapsed()
    this.#turns = options.turns ?? new ReadTurns()
    this.#share = options.memory?.share({
      onMemory: () => this.#onMemory(),
      onOutOfMemory: why => this.#onOutOfMemory(why),
    })
    this.#decoder = new FrameDecoder(this.#limits.maxFrame, options.pool, this.#share)
    this.#calls = new PendingCalls(this.#clock, this.#limits.maxPending)
    this.#answering = new Answering(this.#limits, options.onAnswered)
    this.#writes = new ConnectionWrites(stream, {
      limits: this.#limits,
      clock: this.#clock,
      traffic: this.#traffic,
      turns: options.writeTurns,
      share: this.#share,
      onBlocked: () => this.#pause(),
      onSlowReader: queued => this.#dropSlowReader(queued),
    })
    this.outbox = this.#writes.outbox
    const isOwn = ownsReads(stream)
    this.#sharesReads = readShared(stream, chunk => this.#onData(chunk, isOwn))
    stream.on('drain', () => this.#onDrain())
    stream.on('error', (error: Error) => this.#end('error', error))
    stream.on('close', () => this.#end(this.#state === 'closing' ? this.#closeReason : 'peer', null))
    stream.on('end', () => this.#turns.later(this.#onHangUp))
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** When bytes were last read or written, by `Clock.elapsed`. */
  get lastActivity(): number {
    return Math.max(this.#heardAt, this.#writes.writtenAt)
  }

  /** True if the peer has sent anything. */
  get hasSpoken(): boolean {
    return this.#peerVersion !== 0 || this.#opening.length > 0
  }

  get mayHold(): boolean {
    return this.#answering.mayHold
  }

  get isBehind(): boolean {
    return this.#writes.isBehind
  }

  /**
   * Requests of the peer being answered, and own calls that wait for a reply. Held requests do not count; frames that were read
   * and wait for their turn count as one.
   */
  get inFlight(): number {
    return this.#answering.count + this.#calls.size + (this.#decoder.rest > 0 ? 1 : 0)
  }

  /** Resolves when the connection has ended, no matter which side ended it. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  // -- The peer's frames ---------------------------------------------------------------------------------------------

  /** Processes bytes that were read before this connection took over the stream. */
  feed(chunk: Buffer): void {
    this.#onData(chunk, false)
  }

  #onData(chunk: Buffer, isOwn: boolean): void {
    if (this.#state === 'closed') return
    const now = this.#clock.elapsed()
    this.#heardAt = now
    if (this.#traffic !== undefined) this.#traffic.bytesIn += chunk.length
    if (this.#peerVersion === 0 && this.#options.isClient === true && this.#isForeign(chunk)) return
    this.#decoder.push(chunk, isOwn)
    if (!this.#paused) this.#read(now)
  }

  /** Ends the connection to a server that speaks another protocol, as soon as its first bytes tell. */
  #isForeign(chunk: Buffer): boolean {
    if (this.#opening.length >= OPENING_BYTES) return false
    this.#opening = Buffer.concat([this.#opening, chunk.subarray(0, OPENING_BYTES - this.#opening.length)])
    const what = foreignPeer(this.#opening)
    if (what === undefined) return false
    this.#refuseFrame(new FrameError(what))
    return true
  }

  /** Handles the frames of the last read until it is used up, or until the connection must stop. */
  #read(now: number): void {
    const decoder = this.#decoder
    this.#writes.cork()
    const view = views.pop() ?? new HeaderView()
    try {
      this.#readFrames(decoder, view)
      if (decoder.pending === 0) this.#frameSince = 0
      else if (this.#frameSince === 0) this.#frameSince = now
    } catch (error) {
      this.#refuseFrame(error)
    }
    view.bytes = NO_BYTES
    views.push(view)
    this.#answering.endRun()
    this.#writes.uncorkInTurn()
    if (decoder.rest > 0) this.#leaveRest(decoder)
  }

  #readFrames(decoder: FrameDecoder, view: HeaderView): void {
    const { fastPath, pool } = this.#options
    const { maxHeader, maxFields } = this.#limits
    let unchecked = 0
    let checks = 0
    if (fastPath !== undefined) this.#startRun()
    while (decoder.next()) {
      this.#frameSince = 0
      const { bytes, start, end, lent } = decoder
      const scanned = scanHeader(bytes, start, end, maxHeader, view)
      if (fastPath !== undefined && scanned && this.#isTaken(fastPath, view)) {
        if (lent !== undefined) {
          pool?.give(lent)
          this.#share?.dropFrame()
        }
        if (++unchecked >= FRAMES_PER_CHECK) this.readAt = performance.now()
      } else {
        this.#answering.endRun()
        const command = readCommand(bytes, start, view, scanned, this.#calls.nextOpaque())
        const fields = command.extFields?.size ?? 0
        if (fields > maxFields) throw new FrameError(`a header of ${fields} fields, the limit is ${maxFields}`)
        this.#frameSize = end - start
        this.#onCommand(this.#sharesReads && lent === undefined ? withOwnBody(command) : command, lent)
        if (lent !== undefined) this.#share?.dropFrame()
        if (fastPath !== undefined) this.#startRun()
        unchecked = FRAMES_PER_CHECK
      }
      if (decoder.isUsedUp() || this.#state === 'closed' || this.#paused) return
      if (unchecked >= FRAMES_PER_CHECK) {
        if (this.#turns.isOver(checks++, this.readAt)) return
        unchecked = 0
      }
    }
    if (decoder.rest > 0) this.#starve()
  }

  /** Keeps the rest of a read for a later turn, and reads nothing else until then. */
  #leaveRest(decoder: FrameDecoder): void {
    if (this.#state === 'closed') return
    if (this.#sharesReads) decoder.keepRest()
    // Whatever stopped the connection lets it read on.
    if (this.#paused) return
    this.#pause()
    this.#turns.later(this.#readOn)
  }

  readonly #readOn = (): void => {
    if (this.#state === 'closed' || this.#isBlocked()) return
    const now = this.#clock.elapsed()
    this.#unpause(now)
    this.#read(now)
    if (this.#decoder.rest > 0) return
    if (!this.#paused) this.#stream.resume()
    this.#onDrained?.()
  }

  /** Waits until there is memory for the frame that is arriving, or room for further requests. */
  #starve(): void {
    if (this.#share === undefined || this.#starved) return
    this.#starved = true
    this.#pause()
    this.#share.wait(this.#decoder.rest)
  }

  #onMemory(): void {
    this.#starved = false
    this.#resume()
  }

  #onOutOfMemory(why: string): void {
    this.#log.warn({ peer: this.remoteAddress, why }, 'connection closed to free memory')
    this.#end('memory', new RemotingError('OUT_OF_MEMORY', why, { retriable: true }))
  }

  #refuseFrame(error: unknown): void {
    // A frame that cannot be read gets no answer, as in Java: the stream is out of sync.
    const cause = error instanceof Error ? error : new FrameError(String(error))
    // A stack says nothing about a peer that is no client.
    const why = cause instanceof FrameError ? { why: cause.message } : { err: cause }
    this.#log.warn({ peer: this.remoteAddress, ...why }, 'decode exception, connection closed')
    this.#writes.uncork()
    this.#end('bad_frame', cause)
  }

  // -- Answers -------------------------------------------------------------------------------------------------------

  /** @param lent Pooled memory of the command's frame; it returns to the pool when a request is answered or held. */
  #onCommand(command: Command, lent: Buffer | undefined): void {
    this.#peerVersion = command.version
    if (isReply(command)) {
      if (!this.#calls.settle(command) && dropped.hasSubscribers) {
        dropped.publish({ connection: this.id, opaque: command.opaque, code: command.code })
      }
      return
    }
    const started = performance.now()
    this.readAt = started
    const reply = this.#options.onRequest?.(command, this) ?? {
      code: REQUEST_CODE_NOT_SUPPORTED,
      remark: ` request type ${command.code} not supported`,
    }
    if (reply instanceof Promise) this.#answerLater(command, reply, started, lent)
    else this.#settle(command, reply, started, lent)
  }

  #answerLater(
    command: Command,
    reply: Promise<ReplyParts | Held<ReplyParts>>,
    started: number,
    lent: Buffer | undefined,
  ): void {
    this.#begin()
    const bytes = this.#share?.hold(this.#frameSize) ?? 0
    if (this.#share?.isFull === true) this.#starve()
    reply
      .then(parts => this.#settle(command, parts, started, lent))
      .catch((error: unknown) => this.#end('error', error as Error))
      .finally(() => {
        this.#share?.release(bytes)
        this.#finish()
      })
  }

  #settle(command: Command, reply: ReplyParts | Held<ReplyParts>, started: number, lent: Buffer | undefined): void {
    if (reply instanceof Held) {
      this.#hold(withoutContent(command), reply)
      if (lent !== undefined) this.#options.pool?.give(lent)
      return
    }
    this.readAt = performance.now()
    this.#answering.answered(command.code, reply.code, this.readAt - started)
    this.#answer(command, reply)
    // An answer that shares memory with its request has not been sent yet.
    if (lent !== undefined && !isPartOf(reply.body, lent)) this.#options.pool?.give(lent)
  }

  /** @param request Without its content: there may be many, and for long. */
  #hold(request: Command, { answer }: Held<ReplyParts>): void {
    const counted = this.mayHold
    if (counted) this.#answering.hold()
    else this.#begin()
    const release = (): void => {
      if (counted) this.#answering.release()
      else this.#finish()
    }
    answer.then(
      parts => {
        try {
          this.#answer(request, parts)
        } catch (error) {
          this.#end('error', error as Error)
        }
        release()
      },
      (error: unknown) => {
        this.#end('error', error as Error)
        release()
      },
    )
  }

  #begin(): void {
    this.#answering.begin()
    if (this.#answering.isFull) this.#pause()
  }

  #finish(): void {
    this.#answering.finish()
    this.#resume()
    this.#onDrained?.()
  }

  #answer(request: Command, parts: ReplyParts): void {
    if (isOneway(request) || this.#state === 'closed') return
    this.#writes.send({
      code: parts.code,
      language: this.#options.language ?? 'JAVA',
      version: this.#options.version ?? ANNOUNCED_VERSION,
      opaque: request.opaque,
      flag: REPLY_FLAG,
      remark: parts.remark ?? null,
      extFields: parts.extFields ?? null,
      body: parts.body ?? null,
      serializeType: request.serializeType,
    })
  }

  // -- The fast path -------------------------------------------------------------------------------------------------

  answered(requestCode: number, responseCode: number, ms: number): void {
    this.#answering.answered(requestCode, responseCode, ms)
    this.#finish()
  }

  flush(): void {
    this.#writes.flush()
  }

  #startRun(): void {
    this.readAt = performance.now()
    this.#answering.startRun(this.readAt)
  }

  /** Offers a request to the fast path. True if the router must not see it. */
  #isTaken(fastPath: FastPath, view: HeaderView): boolean {
    if (view.flag !== 0 && !(view.flag === ONEWAY_FLAG && fastPath.takesOneway === true)) return false
    this.#peerVersion = view.version
    try {
      if (!this.#answering.offer(fastPath, view, this)) return false
      if (this.#answering.isFull) this.#pause()
    } catch (error) {
      this.#log.error({ err: error, code: view.code, peer: this.remoteAddress }, 'fast path failed, connection closed')
      this.#end('error', error as Error)
    }
    return true
  }

  // -- Own requests --------------------------------------------------------------------------------------------------

  /**
   * Sends a request and waits for its reply.
   * @throws RemotingError TIMEOUT, ABORTED, CLOSED, TOO_MANY_IN_FLIGHT; ResponseError if the peer's code is neither 0 nor one of
   * the reply codes in the declaration.
   */
  async call<const D extends RequestDeclaration>(
    declaration: D,
    input: CallInput<D> = {},
    { timeoutMs = 3000, signal }: CallOptions = {},
  ): Promise<Reply<D>> {
    if (this.#state !== 'open') throw this.#isClosed()
    const request = writeRequest(declaration, input, 0, this.#options, this.#peerVersion)
    const reply = await this.#calls.open(this.remoteAddress, timeoutMs, signal, opaque => {
      request.opaque = opaque
      this.#writes.send(request)
    })
    return readReply(declaration, reply)
  }

  /** Sends a command as it is, under a new opaque, and waits for the reply, whatever its code. */
  exchange(
    command: Omit<Command, 'body' | 'opaque'> & { readonly body: Uint8Array | null },
    { timeoutMs = 3000, signal }: CallOptions = {},
  ): Promise<Command> {
    if (this.#state !== 'open') return Promise.reject(this.#isClosed())
    return this.#calls.open(this.remoteAddress, timeoutMs, signal, opaque => this.#writes.send({ ...command, opaque }))
  }

  /**
   * Sends a request that the peer does not answer.
   * @throws RemotingError CLOSED
   */
  oneway<const D extends RequestDeclaration>(declaration: D, input: CallInput<D> = {}): void {
    if (this.#state !== 'open') throw this.#isClosed()
    const request = writeRequest(declaration, input, ONEWAY_FLAG, this.#options, this.#peerVersion)
    request.opaque = this.#calls.nextOpaque()
    this.#writes.send(request)
  }

  #isClosed(): RemotingError {
    return new RemotingError('CLOSED', `the connection to ${this.remoteAddress} is closed`, { retriable: true })
  }

  // -- Pauses: the peer reads slowly, memory is short, or it asks too much -------------------------------------------

  #onDrain(): void {
    this.#writes.drained()
    this.#resume()
  }

  #pause(): void {
    if (this.#paused || this.#state === 'closed') return
    this.#paused = true
    this.#pausedAt = this.#clock.elapsed()
    this.#stream.pause()
  }

  #isBlocked(): boolean {
    return this.#writes.isBlocked() || this.#starved || this.#answering.isFull
  }

  #resume(): void {
    if (!this.#paused || this.#isBlocked()) return
    if (this.#decoder.rest > 0) {
      this.#turns.later(this.#readOn)
      return
    }
    this.#unpause(this.#clock.elapsed())
    if (this.#state !== 'closed') this.#stream.resume()
  }

  /** The time of a pause does not count as time that the peer took for a frame. */
  #unpause(now: number): void {
    this.#paused = false
    if (this.#frameSince !== 0) this.#frameSince += now - this.#pausedAt
  }

  #dropSlowReader(queued: number): void {
    const text = `${this.remoteAddress} leaves ${queued} bytes unread`
    this.#log.warn({ peer: this.remoteAddress, queued }, 'slow reader, connection closed')
    this.#end('slow_reader', new RemotingError('SLOW_READER', text, { retriable: true }))
  }

  // -- Deadlines and the end -----------------------------------------------------------------------------------------

  /**
   * Ends the connection if the peer stalls within a frame or does not read. The owner must call this periodically, with the time
   * of `Clock.elapsed`.
   */
  sweep(now: number): void {
    if (this.#state === 'closed') return
    if (this.#frameSince !== 0 && now - this.#frameSince > this.#limits.slowFrameMs && !this.#paused) {
      this.#log.warn(
        { peer: this.remoteAddress, bytes: this.#decoder.pending },
        'frame not completed, connection closed',
      )
      this.#end('slow_frame', new FrameError(`a frame was not completed in ${this.#limits.slowFrameMs} ms`))
    } else this.#writes.sweep(now)
  }

  /**
   * Ends the connection: refuses new calls, lets calls and requests in flight finish within `drainMs` milliseconds (default 0),
   * then ends the stream. Idempotent; resolves when the stream is closed.
   */
  close({ drainMs = 0 }: { drainMs?: number } = {}): Promise<void> {
    return (this.#closing ??= this.#shutDown(drainMs))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Ends the connection now. Own calls fail with CLOSED. */
  destroy(reason: CloseReason = 'closed', error: Error | null = null): void {
    this.#end(reason, error)
  }

  /** In its turn: when hundreds of peers hang up at once, the ends of their connections must not delay all others. */
  readonly #onHangUp = (): void => {
    if (this.#state === 'closed') return
    if (this.#state === 'open') this.#closeReason = 'peer'
    this.#writes.uncork()
    // Without bytes on their way, there is nothing that a gentle end would wait for.
    if (this.#answering.held === 0 && this.#writes.queued === 0) this.#end(this.#closeReason, null)
    else void this.close()
  }

  async #shutDown(drainMs: number): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing'
    if (drainMs > 0 && this.inFlight > 0) await this.#drain(drainMs)
    // The reply to a held request that was answered just before passes through some promises first.
    if (this.#answering.held > 0) await turn()
    if (this.#state !== 'closed') {
      this.#writes.uncork()
      const stream = this.#stream
      // Bytes already written still go out; the timer cuts off a peer that never reads them.
      const timeoutMs = Math.max(drainMs, 1000)
      const cut = giveUpAfter(this.#clock, { timeoutMs }, () => this.#end(this.#closeReason, null))
      stream.end(() => this.#end(this.#closeReason, null))
      await this.#ended.promise
      cut[Symbol.dispose]()
    }
  }

  #drain(drainMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onDrained = () => {
      if (this.inFlight === 0) resolve()
    }
    this.#calls.onSettled = this.#onDrained
    this.#ended.promise.then(resolve, resolve)
    return upTo(this.#clock, promise, { timeoutMs: drainMs })
  }

  #hungUpAtOnce(reason: CloseReason): boolean {
    const isSecure = (this.#stream as { readonly encrypted?: boolean }).encrypted === true
    return reason === 'peer' && this.#options.isClient === true && !this.hasSpoken && !isSecure
  }

  #end(reason: CloseReason, error: Error | null): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#turns.forget(this.#readOn)
    this.#turns.forget(this.#onHangUp)
    this.#share?.close()
    this.#decoder.close()
    this.#writes.close()
    this.#stream.destroy()
    const why = error?.message ?? (this.#hungUpAtOnce(reason) ? HUNG_UP : reason)
    const address = this.remoteAddress
    this.#calls.fail(
      () =>
        new RemotingError('CLOSED', `the connection to ${address} ended before the reply: ${why}`, { retriable: true }),
    )
    if (closed.hasSubscribers) closed.publish({ connection: this.id, remoteAddress: address, reason, error })
    this.#ended.resolve()
    this.#options.onClose?.(reason, error)
  }
}

const HUNG_UP =
  'it closed the connection without any answer, as a server does that accepts only TLS (set option tls) or is no RocketMQ server'

function isPartOf(body: BodyBytes | null | undefined, { buffer }: Buffer): boolean {
  if (body === null || body === undefined) return false
  return body instanceof Uint8Array ? body.buffer === buffer : body.some(part => part.buffer === buffer)
}

function withOwnBody(command: Command): Command {
  return command.body === null ? command : { ...command, body: Buffer.from(command.body) }
}
