import type { Writable } from 'node:stream'

/** Most characters of lines that wait for their reader. */
const LIMIT = 1 << 20

export interface LogSinkOptions {
  /** Called once when a reader that had stalled has read everything, with the number of lines that were dropped. */
  readonly onDropped: (lines: number) => void
  /** Most characters of lines that wait for their reader. Default 1,048,576. */
  readonly limit?: number
}

/**
 * Writes the lines of a log to a stream whose reader may stall, such as a pipe that no one reads: the program neither waits for
 * the reader nor keeps all lines in memory. While the reader is behind by more than the limit, lines are dropped and counted.
 */
export class LogSink {
  readonly #stream: Writable
  readonly #limit: number
  readonly #onDropped: (lines: number) => void
  #dropped = 0

  constructor(stream: Writable, { onDropped, limit = LIMIT }: LogSinkOptions) {
    this.#stream = stream
    this.#limit = limit
    this.#onDropped = onDropped
    stream.on('drain', () => this.#report())
    // A reader that has gone does not end the server.
    stream.on('error', () => {})
  }

  /** Writes a line, with its line feed, or drops it. */
  write(line: string): void {
    const { writableNeedDrain, writableLength } = this.#stream
    // Lines are dropped only while the stream is going to report that its reader is back; that report is the next line then.
    const isBehind = writableNeedDrain && writableLength + line.length > this.#limit
    if (this.#dropped > 0 || isBehind) this.#dropped++
    else this.#stream.write(line)
  }

  #report(): void {
    const lines = this.#dropped
    if (lines === 0) return
    this.#dropped = 0
    this.#onDropped(lines)
  }
}
