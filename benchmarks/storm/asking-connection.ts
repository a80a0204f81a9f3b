import net from 'node:net'
import { AnswerReader } from './answer-reader.ts'

const RECEIVE_BYTES = 256 * 1024

// Every connection of this process reads into the same memory: what it reads is counted at once.
const received = Buffer.allocUnsafeSlow(RECEIVE_BYTES)

/** The response code of an answer; undefined if the connection has ended instead. */
export type OnAnswer = (code: number | undefined) => void

/** A connection with one request in flight. */
export class AskingConnection {
  readonly #socket: net.Socket
  #waiting: OnAnswer | undefined
  #ended = false

  constructor(port: number) {
    const reader = new AnswerReader(code => this.#settle(code))
    const callback = (size: number, chunk: Uint8Array) => {
      reader.read(chunk as Buffer, size)
      return true
    }
    this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: received, callback } })
    this.#socket.on('error', () => this.close())
    this.#socket.on('close', () => this.close())
  }

  /** Sends the parts of a request. The request before must have been answered. */
  ask(parts: readonly Buffer[], onAnswer: OnAnswer): void {
    this.#waiting = onAnswer
    if (this.#ended) return this.#settle(undefined)
    this.#socket.cork()
    for (const part of parts) this.#socket.write(part)
    this.#socket.uncork()
  }

  close(): void {
    this.#ended = true
    this.#socket.destroy()
    this.#settle(undefined)
  }

  #settle(code: number | undefined): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.(code)
  }
}
