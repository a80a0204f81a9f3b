import { connect, type Socket } from 'node:net'
import {
  decodeRaw,
  encodeRaw,
  FrameCutter,
  nextOpaque,
  parseFastjson,
  type RawFrame,
  type RawRequest,
} from './raw-frame.ts'

const ANSWER_DEADLINE_MS = 10_000
const CONNECT_DEADLINE_MS = 5_000

interface Waiter {
  readonly wants: (frame: RawFrame) => boolean
  readonly done: (frame: RawFrame | null) => void
}

/** A connection that sends arbitrary bytes and keeps every frame that it receives. */
export class RawConnection {
  readonly socket: Socket
  readonly frames: RawFrame[] = []
  #cutter = new FrameCutter()
  #waiters = new Set<Waiter>()
  #closed = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', chunk => {
      for (const bytes of this.#cutter.cut(chunk)) this.#take(decodeRaw(bytes))
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#closed = true
      for (const waiter of this.#waiters) waiter.done(null)
    })
  }

  #take(frame: RawFrame): void {
    this.frames.push(frame)
    for (const waiter of this.#waiters) if (waiter.wants(frame)) waiter.done(frame)
  }

  /** Whether either side has closed the connection. */
  get isClosed(): boolean {
    return this.#closed
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  /** Waits for a frame; null if the connection closes first. @throws if the time passes first */
  async next(wants: (frame: RawFrame) => boolean, ms = ANSWER_DEADLINE_MS): Promise<RawFrame | null> {
    const seen = this.frames.find(wants)
    if (seen) return seen
    if (this.#closed) return null
    return this.#wait(wants, ms, 'no matching frame came')
  }

  #wait(wants: (frame: RawFrame) => boolean, ms: number, complaint: string): Promise<RawFrame | null> {
    return new Promise((resolve, reject) => {
      const done = (frame: RawFrame | null) => {
        clearTimeout(timer)
        this.#waiters.delete(waiter)
        resolve(frame)
      }
      const waiter = { wants, done }
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter)
        reject(new Error(`${complaint} in ${ms} ms`))
      }, ms)
      this.#waiters.add(waiter)
    })
  }

  /** Sends a request and waits for its answer. @throws if the connection closes or the time passes first */
  async call(request: RawRequest): Promise<RawFrame> {
    const opaque = request.opaque ?? nextOpaque()
    this.write(encodeRaw(request, opaque))
    const answer = await this.next(frame => frame.opaque === opaque && (frame.flag & 1) === 1)
    if (!answer) throw new Error(`the peer closed the connection instead of answering code ${request.code}`)
    return answer
  }

  /** Waits until the connection is closed. @throws if the time passes first */
  async closes(ms = ANSWER_DEADLINE_MS): Promise<void> {
    if (!this.#closed) await this.#wait(() => false, ms, 'the connection was not closed')
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/** Opens a connection to a port of this machine. */
export function connectRaw(port: number): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: CONNECT_DEADLINE_MS })
    socket.once('connect', () => {
      socket.setTimeout(0)
      resolve(new RawConnection(socket))
    })
    socket.once('timeout', () => socket.destroy(new Error(`no connection to ${port}`)))
    socket.once('error', reject)
  })
}

/** Sends one request on a connection of its own. */
export async function ask(port: number, request: RawRequest): Promise<RawFrame> {
  const connection = await connectRaw(port)
  try {
    return await connection.call(request)
  } finally {
    connection.destroy()
  }
}

interface KnownBrokers {
  readonly brokerAddrTable?: Readonly<Record<string, { readonly brokerAddrs?: Readonly<Record<string, string>> }>>
}

/** The addresses of all brokers that a name server knows; empty if it does not answer. */
export async function brokersOf(port: number): Promise<string[]> {
  try {
    const info = parseFastjson((await ask(port, { code: 106 })).body) as KnownBrokers
    return Object.values(info.brokerAddrTable ?? {}).flatMap(broker => Object.values(broker.brokerAddrs ?? {}))
  } catch {
    return []
  }
}
