import { type Duplex, duplexPair } from 'node:stream'
import { requestNames } from '@gantrymq/protocol'
import {
  type Clock,
  type Command,
  decodeFrame,
  encodeFrame,
  FrameDecoder,
  isOneway,
  isReply,
  Outbox,
  REPLY_FLAG,
} from '@gantrymq/remoting'
import { type Fault, type Faults, type FaultyAnswer, isHandled, type SeenRequest } from './faults.ts'

/** What a gateway tells its connections. */
export interface LinkOptions {
  readonly clock: Clock
  readonly faults: Faults
  /** The release that all answers announce. Default: the server's. */
  readonly version: number | undefined
  readonly onRequest: (request: SeenRequest) => void
  readonly rewrite: ((command: Command) => Command) | undefined
  readonly onAnswer: ((answer: Command) => Command) | undefined
  readonly onClose: (link: GatewayLink) => void
}

interface FaultyRequest {
  readonly fault: Fault
  readonly request: SeenRequest
}

interface Frame {
  readonly bytes: Buffer
  /** Undefined: the bytes are not RocketMQ's, for example a request of HTTP. */
  readonly command: Command | undefined
}

/** Cuts what one side sends into frames. */
class Frames {
  readonly #decoder = new FrameDecoder()
  #areForeign = false

  cut(chunk: Buffer): Frame[] {
    if (this.#areForeign) return [{ bytes: chunk, command: undefined }]
    const decoder = this.#decoder
    const frames: Frame[] = []
    try {
      decoder.push(chunk)
      while (decoder.next()) {
        const bytes = decoder.bytes.subarray(decoder.start - 4, decoder.end)
        frames.push({ bytes, command: decodeFrame(bytes) })
      }
    } catch {
      this.#areForeign = true
      frames.push({ bytes: chunk.subarray(chunk.length - decoder.rest), command: undefined })
    }
    return frames
  }
}

/** The opaque of the first request that a gateway makes itself. Servers count from 0. */
const FIRST_OPAQUE = 1 << 30
/** MESSAGE_ILLEGAL: a send that is refused with it is not tried again, so that a test sees the remark. */
const NOT_RETRIED = 13
/** How far the opaque of a wrong answer is off. */
const WRONG_OPAQUE = 1_000_000

/**
 * One connection through a gateway. It passes on what client and server send to each other, frame by frame, except where a fault
 * says otherwise.
 */
export class GatewayLink {
  readonly remoteAddress: string
  /** The server's side: what a server accepts. */
  readonly far: Duplex
  readonly #client: Duplex
  readonly #server: Duplex
  readonly #options: LinkOptions
  /** The requests that the server got, and whose answers will meet a fault. */
  readonly #faulty = new Map<number, FaultyRequest>()
  /** The requests of the gateway itself. */
  readonly #calls = new Map<number, PromiseWithResolvers<Command>>()
  /** Timers of answers that are not sent yet. */
  readonly #timers = new Set<Disposable>()
  #opaque = FIRST_OPAQUE
  #isFrozen = false

  constructor(client: Duplex, remoteAddress: string, options: LinkOptions) {
    const [near, far] = duplexPair()
    this.remoteAddress = remoteAddress
    this.far = far
    this.#client = client
    this.#server = near
    this.#options = options
    this.#join(client, near, frame => this.#fromClient(frame))
    this.#join(near, client, frame => this.#fromServer(frame))
    far.once('close', () => near.destroy())
    near.once('close', () => far.destroy())
    client.once('close', () => this.#onClose())
  }

  #join(from: Duplex, to: Duplex, onFrame: (frame: Frame) => void): void {
    const frames = new Frames()
    from.on('data', (chunk: Buffer) => {
      if (this.#isFrozen) return
      for (const frame of frames.cut(chunk)) onFrame(frame)
      if (!to.writableNeedDrain || to.destroyed) return
      from.pause()
      to.once('drain', () => {
        if (!this.#isFrozen) from.resume()
      })
    })
    from.once('end', () => to.end())
    from.once('close', () => to.destroy())
    from.on('error', () => from.destroy())
  }

  #onClose(): void {
    for (const timer of this.#timers) timer[Symbol.dispose]()
    this.#timers.clear()
    for (const { reject } of this.#calls.values())
      reject(new Error(`the connection to ${this.remoteAddress} has ended`))
    this.#calls.clear()
    this.#options.onClose(this)
  }

  destroy(): void {
    this.#client.destroy()
    this.#server.destroy()
  }

  /** Lets nothing pass any more, and keeps the connection. */
  freeze(): void {
    this.#isFrozen = true
    this.#client.pause()
  }

  /** Sends bytes to the client. */
  write(bytes: Buffer): void {
    if (!this.#isFrozen && !this.#client.destroyed) this.#client.write(bytes)
  }

  /** Sends the client a request as if it came from the server. Its answer does not reach the server. */
  call(command: Omit<Command, 'opaque'>): Promise<Command> {
    const opaque = this.#opaque++
    const request = { ...command, opaque }
    const call = Promise.withResolvers<Command>()
    if (isOneway(request)) call.resolve(request)
    else this.#calls.set(opaque, call)
    this.write(encodeFrame(request, new Outbox()))
    return call.promise
  }

  // -- Requests ------------------------------------------------------------------------------------------------------

  #fromClient({ bytes, command }: Frame): void {
    if (command === undefined) {
      this.#server.write(bytes)
    } else if (isReply(command)) {
      const call = this.#calls.get(command.opaque)
      if (call === undefined) this.#server.write(bytes)
      this.#calls.delete(command.opaque)
      call?.resolve(command)
    } else {
      this.#onRequest(bytes, command)
    }
  }

  #onRequest(received: Buffer, command: Command): void {
    const request = this.#see(command)
    const rewritten = this.#options.rewrite?.(command) ?? command
    const bytes = rewritten === command ? received : encodeFrame(rewritten, new Outbox())
    this.#options.onRequest(request)
    const fault = this.#options.faults.take(request)
    if (fault === undefined) {
      this.#server.write(bytes)
      return
    }
    if (isHandled(fault)) {
      if (!request.oneway) this.#faulty.set(command.opaque, { fault, request })
      this.#server.write(bytes)
    } else {
      const nothing = { code: 0, remark: null, extFields: null, body: null, flag: REPLY_FLAG }
      void this.#answerWith(
        { fault, request },
        { ...command, ...nothing, version: this.#options.version ?? command.version },
      )
    }
  }

  #see(command: Command): SeenRequest {
    return {
      name: requestNames.get(command.code) ?? String(command.code),
      code: command.code,
      header: Object.fromEntries(command.extFields ?? []),
      body: command.body,
      remark: command.remark,
      oneway: isOneway(command),
      from: this.remoteAddress,
      at: this.#options.clock.now(),
      command,
    }
  }

  // -- Answers -------------------------------------------------------------------------------------------------------

  #fromServer({ bytes, command }: Frame): void {
    if (command === undefined || !isReply(command)) {
      this.#client.write(bytes)
      return
    }
    const { version = command.version, onAnswer } = this.#options
    const answer = onAnswer?.(command) ?? command
    const faulty = this.#faulty.get(command.opaque)
    this.#faulty.delete(command.opaque)
    if (faulty !== undefined) void this.#answerWith(faulty, { ...answer, version })
    else if (answer === command && version === command.version) this.#client.write(bytes)
    else this.#client.write(encodeFrame({ ...answer, version }, new Outbox()))
  }

  async #answerWith({ fault, request }: FaultyRequest, reply: Command): Promise<void> {
    const send = (command: Command): void => {
      if (!request.oneway) this.write(encodeFrame(command, new Outbox()))
    }
    switch (fault.answer) {
      case 'never':
        break
      case 'code':
        send({ ...reply, code: fault.code, remark: fault.remark ?? null })
        break
      case 'altered':
        this.#sendAltered(fault.alter, reply, request)
        break
      case 'late':
        await this.#wait(fault.ms)
        send(reply)
        break
      case 'twice':
        send(reply)
        send(reply)
        break
      case 'wrong-opaque':
        send({ ...reply, opaque: reply.opaque + WRONG_OPAQUE })
        send(reply)
        break
      default:
        await this.#spoil(fault, encodeFrame(reply, new Outbox()))
    }
  }

  /** A mistake in a test's own function is for the client to see: no one else waits for it. */
  #sendAltered(
    alter: Extract<FaultyAnswer, { answer: 'altered' }>['alter'],
    reply: Command,
    request: SeenRequest,
  ): void {
    if (request.oneway) return
    let frame: Buffer
    try {
      frame = encodeFrame(alter(reply, request), new Outbox())
    } catch (error) {
      const remark = `the function that alters the answer to ${request.name} failed: ${String(error)}`
      frame = encodeFrame({ ...reply, code: NOT_RETRIED, remark, extFields: null, body: null }, new Outbox())
    }
    this.write(frame)
  }

  /** Applies a fault that leaves the request without a complete answer. */
  async #spoil(fault: Fault, frame: Buffer): Promise<void> {
    if (fault.answer === 'garbage') this.write(fault.bytes ?? Buffer.alloc(64, 0xff))
    if (fault.answer === 'cut') this.#client.end(frame.subarray(0, fault.bytes ?? frame.length >> 1))
    if (fault.answer === 'hang-up') this.destroy()
    if (fault.answer === 'half-open') this.freeze()
    if (fault.answer !== 'slow') return
    for (let at = 0; at < frame.length; at += fault.bytes) {
      this.write(frame.subarray(at, at + fault.bytes))
      await this.#wait(fault.everyMs)
    }
  }

  /** Waits by the clock; forever if the connection ends before. */
  #wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#options.clock.every(Math.max(ms, 1), () => {
      timer[Symbol.dispose]()
      this.#timers.delete(timer)
      resolve()
    })
    this.#timers.add(timer)
    return promise
  }
}
