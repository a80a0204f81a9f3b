import { performance } from 'node:perf_hooks'
import {
  encodeFrame,
  type FastConnection,
  Outbox,
  printableLines,
  REPLY_FLAG,
  ANNOUNCED_VERSION,
  withCode,
} from '@gantrymq/remoting'
import { responseCodes } from '@gantrymq/protocol'
import type { CommitListener, StoreError } from '@gantrymq/store'
import { lostBy } from '../sending/send-reply.ts'
import type { MessageCounts } from '../statistics/message-counts.ts'

const { SUCCESS, FLUSH_DISK_TIMEOUT } = responseCodes

export interface UnansweredSendsOptions {
  /** Below this position messages may be acknowledged. */
  readonly safe: () => number
  readonly counts: MessageCounts
  /** How long a send waits for the flush, milliseconds; undefined: without limit. Read again at each use. */
  readonly timeoutMs: () => number | undefined
}

/** A message that was appended, with the frame of its reply. */
export interface AppendedSend {
  readonly connection: FastConnection
  readonly requestCode: number
  readonly opaque: number
  /** Position behind its record in the log. */
  readonly end: number
  /** Bytes of its record. */
  readonly size: number
  readonly topic: string
  /** By `Clock.elapsed`. */
  readonly since: number
}

const FIRST_CAPACITY = 16
/** Sends for which there is memory in any case, once there was so much. */
const KEPT_CAPACITY = 4096
const FIRST_BYTES = 4 * 1024
/** Memory for replies that is kept while there are none. */
const KEPT_BYTES = 1 << 20

/**
 * The sends of the fast path whose messages are not safe yet, oldest first. Their replies are complete when the message is appended,
 * and lie one behind the other in memory: once a position of the log is safe, the replies of each connection are copied into its
 * outbox together, and each connection is flushed once. So neither a write nor a flush costs a promise or an object per message.
 *
 * A ring of columns, like the store's PendingRecords. The replies of one-way requests are empty.
 *
 * What is left of a lone message (one connection, one request at a time) is the kernel's: by Node's profiler half of the CPU is the
 * write of its reply to the socket, which on the loopback also delivers it and wakes the client; a tenth is the write to the log. All
 * of Gantry's own code for it is about a tenth, and Node's streams and callbacks around it are as much again. A bare Node server with
 * the same system calls (a poll, a read, a write to a file, a write to the socket) takes three quarters of the CPU, one in C a half. So
 * the one thing to save is system calls: one write to the log for each turn, and one to each connection.
 */
export class UnansweredSends implements CommitListener {
  readonly #options: UnansweredSendsOptions
  #head = 0
  #count = 0
  /** The largest count since there were none. */
  #most = 0
  #capacity = FIRST_CAPACITY
  #connections: (FastConnection | undefined)[] = empty(FIRST_CAPACITY)
  #topics: string[] = Array.from({ length: FIRST_CAPACITY }, () => '')
  #codes = new Int32Array(FIRST_CAPACITY)
  #opaques = new Int32Array(FIRST_CAPACITY)
  #sizes = new Int32Array(FIRST_CAPACITY)
  #ends = new Float64Array(FIRST_CAPACITY)
  #readAt = new Float64Array(FIRST_CAPACITY)
  #since = new Float64Array(FIRST_CAPACITY)
  #replyBytes = new Int32Array(FIRST_CAPACITY)
  #replies = Buffer.allocUnsafeSlow(FIRST_BYTES)
  /** Of the oldest reply. */
  #from = 0
  /** Behind the newest reply. */
  #to = 0
  readonly #touched: FastConnection[] = []

  constructor(options: UnansweredSendsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#count
  }

  /** How many sends there is memory for. */
  get capacity(): number {
    return this.#capacity
  }

  // -- Replies being written -----------------------------------------------------------------------------------------

  /** Where the next reply goes, after `reserve`. */
  get replies(): Buffer {
    return this.#replies
  }

  get repliesEnd(): number {
    return this.#to
  }

  /** Makes room for a reply. */
  reserve(bytes: number): void {
    if (this.#to + bytes <= this.#replies.length) return
    const held = this.#to - this.#from
    const isTight = held + bytes > this.#replies.length / 2
    const replies = isTight ? Buffer.allocUnsafeSlow((held + bytes) * 2) : this.#replies
    replies.set(this.#replies.subarray(this.#from, this.#to))
    this.#replies = replies
    this.#from = 0
    this.#to = held
  }

  /** Adds a send whose reply ends at `repliesEnd` before, and at `replyEnd` now; it has none if both are the same. */
  add(send: AppendedSend, replyEnd: number): void {
    if (this.#count === this.#capacity) this.#resize(this.#capacity * 2)
    const at = (this.#head + this.#count++) & (this.#capacity - 1)
    if (this.#count > this.#most) this.#most = this.#count
    this.#connections[at] = send.connection
    this.#topics[at] = send.topic
    this.#codes[at] = send.requestCode
    this.#opaques[at] = send.opaque
    this.#sizes[at] = send.size
    this.#ends[at] = send.end
    this.#readAt[at] = send.connection.readAt
    this.#since[at] = send.since
    this.#replyBytes[at] = replyEnd - this.#to
    this.#to = replyEnd
  }

  // -- Answers -------------------------------------------------------------------------------------------------------

  committed(): void {
    if (this.#count === 0) return
    const safe = this.#options.safe()
    const now = performance.now()
    while (this.#count > 0 && (this.#ends[this.#head] as number) <= safe) this.#answerRun(safe, now)
    this.#flush()
  }

  /** Answers the oldest sends, as many as are safe, came from one connection and have one topic. */
  #answerRun(safe: number, now: number): void {
    const connection = this.#connections[this.#head] as FastConnection
    const topic = this.#topics[this.#head] as string
    const from = this.#from
    let to = from
    let messages = 0
    let bytes = 0
    while (this.#count > 0) {
      const at = this.#head
      const isSame = this.#connections[at] === connection && this.#topics[at] === topic
      if (!isSame || (this.#ends[at] as number) > safe) break
      to += this.#replyBytes[at] as number
      messages++
      bytes += this.#sizes[at] as number
      connection.answered(this.#codes[at] as number, SUCCESS, now - (this.#readAt[at] as number))
      this.#drop()
    }
    this.#options.counts.stored(topic, messages, bytes)
    if (to > from) this.#send(connection, this.#replies, from, to)
    this.#from = to
  }

  /** Answers the sends whose flush takes too long; their messages are stored, and will be flushed. */
  tick(elapsed: number): void {
    const timeoutMs = this.#options.timeoutMs()
    if (timeoutMs === undefined) return
    const now = performance.now()
    while (this.#count > 0 && elapsed - (this.#since[this.#head] as number) >= timeoutMs) {
      const at = this.#head
      const to = this.#from + (this.#replyBytes[at] as number)
      if (to > this.#from) {
        const late = withCode(this.#replies.subarray(this.#from, to), FLUSH_DISK_TIMEOUT)
        this.#send(this.#connections[at] as FastConnection, late, 0, late.length)
      }
      this.#from = to
      this.#options.counts.stored(this.#topics[at] as string, 1, this.#sizes[at] as number)
      this.#connections[at]?.answered(this.#codes[at] as number, FLUSH_DISK_TIMEOUT, now - (this.#readAt[at] as number))
      this.#drop()
    }
    this.#flush()
  }

  lost(from: number, error: StoreError): void {
    const { code, remark } = lostBy(error)
    const now = performance.now()
    while (this.#count > 0) {
      const at = (this.#head + this.#count - 1) & (this.#capacity - 1)
      if ((this.#ends[at] as number) <= from) break
      const replyBytes = this.#replyBytes[at] as number
      this.#to -= replyBytes
      if (replyBytes > 0) {
        const refusal = this.#refusal(at, this.#to, code, remark)
        this.#send(this.#connections[at] as FastConnection, refusal, 0, refusal.length)
      }
      this.#options.counts.notStored()
      this.#connections[at]?.answered(this.#codes[at] as number, code, now - (this.#readAt[at] as number))
      this.#connections[at] = undefined
      this.#count--
    }
    this.#flush()
  }

  #refusal(at: number, reply: number, code: number, remark: string): Buffer {
    const serializeType = this.#replies[reply + 4] === 0 ? 'JSON' : 'ROCKETMQ'
    const opaque = this.#opaques[at] as number
    const reason = { remark: printableLines(remark), extFields: null, body: null }
    const from = { language: 'JAVA', version: ANNOUNCED_VERSION, flag: REPLY_FLAG } as const
    return encodeFrame({ code, opaque, serializeType, ...reason, ...from }, new Outbox())
  }

  #send(connection: FastConnection, frames: Buffer, from: number, to: number): void {
    const { outbox } = connection
    if (outbox.isEmpty) this.#touched.push(connection)
    outbox.reserve(to - from)
    outbox.position += frames.copy(outbox.bytes, outbox.position, from, to)
  }

  #drop(): void {
    this.#connections[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#capacity - 1)
    this.#count--
  }

  #flush(): void {
    for (const connection of this.#touched) connection.flush()
    this.#touched.length = 0
    if (this.#count > 0) return
    this.#from = this.#to = 0
    if (this.#replies.length > KEPT_BYTES) this.#replies = Buffer.allocUnsafeSlow(FIRST_BYTES)
    // By half each time, so that a flood that goes on does not resize for each commit.
    if (this.#capacity > KEPT_CAPACITY && this.#most < this.#capacity / 4) this.#resize(this.#capacity / 2)
    this.#most = 0
  }

  #resize(capacity: number): void {
    const [from, count, before] = [this.#head, this.#count, this.#capacity]
    const wrapped = Math.max(from + count - before, 0)
    const column = <T extends Float64Array | Int32Array>(old: T, fresh: T): T => {
      fresh.set(old.subarray(from, from + count - wrapped))
      fresh.set(old.subarray(0, wrapped), count - wrapped)
      return fresh
    }
    const list = <T>(old: readonly T[], blank: T): T[] => {
      const held = [...old.slice(from, from + count - wrapped), ...old.slice(0, wrapped)]
      return [...held, ...Array.from({ length: capacity - count }, () => blank)]
    }
    this.#connections = list<FastConnection | undefined>(this.#connections, undefined)
    this.#topics = list(this.#topics, '')
    this.#codes = column(this.#codes, new Int32Array(capacity))
    this.#opaques = column(this.#opaques, new Int32Array(capacity))
    this.#sizes = column(this.#sizes, new Int32Array(capacity))
    this.#ends = column(this.#ends, new Float64Array(capacity))
    this.#readAt = column(this.#readAt, new Float64Array(capacity))
    this.#since = column(this.#since, new Float64Array(capacity))
    this.#replyBytes = column(this.#replyBytes, new Int32Array(capacity))
    this.#head = 0
    this.#capacity = capacity
  }
}

function empty(length: number): undefined[] {
  return Array.from({ length }, () => undefined)
}
