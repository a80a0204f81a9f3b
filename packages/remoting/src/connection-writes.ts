import { Socket } from 'node:net'
import { nextTick } from 'node:process'
import type { Duplex } from 'node:stream'
import type { Clock } from './clock.ts'
import type { ConnectionLimits, Traffic } from './connection-options.ts'
import { type OutgoingCommand, writeFrame } from './frame.ts'
import type { MemoryShare } from './frame-memory.ts'
import { Outbox } from './outbox.ts'
import type { WriteTurns } from './write-turns.ts'

export interface ConnectionWritesOptions {
  readonly limits: Pick<ConnectionLimits, 'maxQueued' | 'maxQueuedHard' | 'slowReaderMs'>
  readonly clock: Clock
  readonly traffic: Traffic | undefined
  /** Without it, the replies to a read are written at its end. */
  readonly turns: Pick<WriteTurns, 'later'> | undefined
  /** Counts the bytes that the peer leaves unread. */
  readonly share: MemoryShare | undefined
  /** The peer leaves more than `maxQueued` bytes unread: the connection must not read until `isBlocked` is false. */
  readonly onBlocked: () => void
  /** The peer leaves `queued` bytes unread, too many or for too long: the connection must end. */
  readonly onSlowReader: (queued: number) => void
}

/**
 * The writing side of a connection: gathers commands in its outbox, writes all commands of one read or of one turn of the event
 * loop at once, and watches how much the peer leaves unread. The connection owns the stream, and closes this before it.
 */
export class ConnectionWrites {
  /** Commands that will be written at the end of a cork, or by the next `flush`. */
  readonly outbox: Outbox
  /** When bytes were last written, by `Clock.elapsed`; 0 before. */
  writtenAt = 0
  readonly #stream: Duplex
  readonly #options: ConnectionWritesOptions
  /**
   * A socket does not read the bytes of a write that is done: the kernel has them, or they were encrypted. Any other stream may
   * still hold them.
   */
  readonly #reusesWrites: boolean
  #corked = false
  #scheduled = false
  /** True while the outbox waits for the end of the turn. */
  #waits = false
  #blockedSince = 0
  #closed = false

  constructor(stream: Duplex, options: ConnectionWritesOptions) {
    this.#stream = stream
    this.#options = options
    this.#reusesWrites = stream instanceof Socket
    this.outbox = new Outbox(this.#reusesWrites)
  }

  /** Bytes that were written, and that the peer has not read yet. */
  get queued(): number {
    return this.#stream.writableLength
  }

  /** True if the peer leaves half as much unread as ends the connection, with what is about to be written. */
  get isBehind(): boolean {
    return this.queued + this.outbox.size > this.#options.limits.maxQueuedHard / 2
  }

  /** True if the peer leaves so much unread that the connection must not read. */
  isBlocked(): boolean {
    if (this.#blockedSince !== 0 && this.queued <= this.#options.limits.maxQueued) this.#blockedSince = 0
    return this.#blockedSince !== 0
  }

  send(command: OutgoingCommand): void {
    if (this.#closed) return
    writeFrame(command, this.outbox)
    if (this.#corked || this.#scheduled) return
    // All commands of one turn of the event loop go out in one write.
    this.#scheduled = true
    nextTick(() => {
      this.#scheduled = false
      this.#write()
    })
  }

  /** Gathers everything until `uncork`. */
  cork(): void {
    this.#corked = true
  }

  /** Ends the cork, if there is one, and writes the outbox. */
  uncork(): void {
    this.#corked = false
    this.#write()
  }

  /** Ends the cork, and writes the outbox at the end of the turn, with those of other connections. */
  uncorkInTurn(): void {
    const { turns } = this.#options
    if (turns === undefined) return this.uncork()
    this.#corked = false
    if (this.#waits || this.outbox.isEmpty) return
    this.#waits = true
    turns.later(this)
  }

  /** For `WriteTurns`. */
  writeInTurn(): void {
    this.#waits = false
    this.flush()
  }

  /** Writes the outbox, except while it is corked. */
  flush(): void {
    if (!this.#corked) this.#write()
  }

  /** Call it when the stream has written what it held back. */
  drained(): void {
    this.#options.share?.setUnread(this.queued)
  }

  /** Reports the peer if it has left too much unread for too long; `now` is a time of `Clock.elapsed`. */
  sweep(now: number): void {
    const since = this.#blockedSince
    if (since !== 0 && now - since > this.#options.limits.slowReaderMs) this.#options.onSlowReader(this.queued)
  }

  /** Drops the contents of the outbox; nothing is written from now on. */
  close(): void {
    this.#closed = true
    this.outbox.take()
  }

  #write(): void {
    if (this.outbox.isEmpty) return
    const chunks = this.outbox.take()
    const stream = this.#stream
    if (this.#closed || !stream.writable) return
    const { limits, clock, traffic, share, onBlocked, onSlowReader } = this.#options
    if (traffic !== undefined) for (const chunk of chunks) traffic.bytesOut += chunk.length
    if (chunks.length === 1) stream.write(chunks[0])
    else {
      stream.cork()
      for (const chunk of chunks) stream.write(chunk)
      stream.uncork()
    }
    this.writtenAt = clock.elapsed()
    const queued = stream.writableLength
    if (queued === 0) {
      if (this.#reusesWrites) this.outbox.release()
    } else if (queued > limits.maxQueuedHard) onSlowReader(queued)
    else {
      if (queued > limits.maxQueued) {
        if (this.#blockedSince === 0) this.#blockedSince = this.writtenAt
        onBlocked()
      }
      share?.setUnread(queued)
    }
  }
}
