import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Owner } from './launch/launched-program.ts'
import { decodeRaw, FrameCutter, type RawFrame } from './wire/raw-frame.ts'

/** A request and its answer, as they were on the wire. */
export interface RecordedExchange {
  readonly request: RawFrame
  /** Undefined if no answer came. */
  answer?: RawFrame
}

/** A proxy in front of a server that keeps every frame. */
export class Recorder {
  readonly exchanges: RecordedExchange[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(target: number) {
    this.#server = createServer(near => this.#join(near, connect(target, '127.0.0.1')))
  }

  /** Starts a proxy in front of a port of this machine. */
  static async start(owner: Owner, target: number): Promise<Recorder> {
    const recorder = new Recorder(target)
    recorder.#server.listen(0, '127.0.0.1')
    await once(recorder.#server, 'listening')
    owner.after(() => recorder.close())
    return recorder
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  #join(near: Socket, far: Socket): void {
    const open = new Map<number, RecordedExchange>()
    this.#relay(near, far, frame => {
      const exchange = { request: frame }
      this.exchanges.push(exchange)
      open.set(frame.opaque, exchange)
    })
    this.#relay(far, near, frame => {
      const exchange = open.get(frame.opaque)
      if (exchange) exchange.answer = frame
    })
  }

  #relay(from: Socket, to: Socket, keep: (frame: RawFrame) => void): void {
    const cutter = new FrameCutter()
    this.#sockets.add(from)
    from.on('data', chunk => {
      for (const bytes of cutter.cut(chunk)) keep(decodeRaw(bytes))
      to.write(chunk)
    })
    from.on('error', () => {})
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }
}
