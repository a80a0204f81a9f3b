import { isIP } from 'node:net'
import { type Host, hostBytes, PROPERTY } from '@gantrymq/protocol'
import type { Peer } from '@gantrymq/remoting'
import { APPENDED, type AppendStatus, type MessageStore, type NewRecord, PROPERTIES_TOO_LONG } from '@gantrymq/store'
import { delayed } from '../delays/delayed-message.ts'
import type { TimerRefusal } from '../timers/timer-refusal.ts'
import type { NewMessage } from './new-message.ts'

/** What became of a message: what the store says, or why it cannot wait for its time. */
export type WriteStatus = AppendStatus | TimerRefusal

/** What became of a message. */
export interface Written {
  readonly status: WriteStatus
  /** The topic of the record: of a delayed message, not its own. */
  readonly topic: string
  /** Where the message is in the log; of a batch, each message. Empty if it was refused. */
  readonly positions: readonly number[]
  /** Of a batch, that of its first message. */
  readonly queueOffset: number
  /** Of its records in the log. */
  readonly bytes: number
  /** Of a message that waits for its time: its property TIMER_OUT_MS. */
  readonly outMs?: number
  /**
   * Resolves when the message may be acknowledged, as the flush mode and the sender demand. It rejects if the message is lost.
   * @throws StoreError
   */
  readonly safe: Promise<void>
}

/** The messages that wait for their time. */
export interface TimedMessages {
  /** Whether a message waits, and as what it is stored then; undefined if it is delivered at once. */
  accept(message: NewMessage): NewMessage | TimerRefusal | undefined
  /** Begins the wait of a message that was stored as `accept` said, or ends that of the message that it cancels. */
  begin(message: NewMessage, position: number): void
}

export interface MessageWriterOptions {
  readonly store: MessageStore
  /** The broker's address as stored; read again at each use. */
  readonly storeHost: () => Buffer
  /** How many delay levels there are. */
  readonly delayLevels: number
  /** Undefined: messages do not wait for a time. */
  readonly timers: () => TimedMessages | undefined
}

const SEPARATOR = '\u0001'
const END = '\u0002'

/** Turns messages into records of the store. */
export class MessageWriter {
  readonly #store: MessageStore
  readonly #storeHost: () => Buffer
  readonly #delayLevels: number
  readonly #timers: () => TimedMessages | undefined
  readonly #bornHosts = new WeakMap<Peer, Buffer>()

  constructor({ store, storeHost, delayLevels, timers }: MessageWriterOptions) {
    this.#store = store
    this.#storeHost = storeHost
    this.#delayLevels = delayLevels
    this.#timers = timers
  }

  /**
   * Appends a message, or has it wait if it has a delay level or a time of delivery. It leaves with everything else that is appended in this turn of the
   * event loop.
   */
  write(message: NewMessage): Written {
    const timers = this.#timers()
    const timed = timers?.accept(message)
    if (typeof timed === 'string') return refused(timed, message.topic)
    if (timers === undefined || timed === undefined) return this.writeNow(delayed(message, this.#delayLevels))
    const written = this.writeNow(timed)
    const [position] = written.positions
    if (position === undefined) return written
    timers.begin(timed, position)
    return { ...written, outMs: Number(timed.properties.get(PROPERTY.TIMER_OUT_MS)) }
  }

  /** Appends a message to its queue, whatever its delay level. */
  writeNow(message: NewMessage): Written {
    const { topic } = message
    const status = this.#store.append(this.#recordOf(message))
    if (status !== APPENDED) return refused(status, topic)
    const { position, queueOffset, size: bytes } = this.#store.appended
    return { status, topic, positions: [position], queueOffset, bytes, safe: this.#safe() }
  }

  /** Appends messages of one queue, all or none. */
  writeBatch(messages: readonly NewMessage[]): Written {
    const status = this.#store.appendBatch(messages.map(message => this.#recordOf(message)))
    const topic = messages[0]?.topic ?? ''
    if (status !== APPENDED) return refused(status, topic)
    const positions = [...this.#store.appendedPositions]
    const { position, queueOffset } = this.#store.appended
    // A batch is in one file, one record behind the other.
    const bytes = this.#store.end - position
    return { status, topic, positions, queueOffset, bytes, safe: this.#safe() }
  }

  /** A peer's address as messages contain it. */
  bornHostOf(peer: Peer): Buffer {
    let bytes = this.#bornHosts.get(peer)
    if (bytes === undefined) this.#bornHosts.set(peer, (bytes = hostBytes(hostOf(peer.remoteAddress))))
    return bytes
  }

  #safe(): Promise<void> {
    const { end, waits } = this.#store.appended
    return waits ? this.#store.whenSafe(end) : this.#store.whenWritten(end)
  }

  #recordOf(message: NewMessage): NewRecord {
    const { body } = message
    const properties = propertiesBytes(message.properties)
    return {
      queue: this.#store.queueFor(message.topic, message.queueId),
      flag: message.flag,
      sysFlag: message.sysFlag,
      bornTimestamp: message.bornTimestamp,
      bornHost: message.bornHost,
      storeHost: this.#storeHost(),
      reconsumeTimes: message.reconsumeTimes,
      preparedTransactionOffset: message.preparedTransactionOffset ?? 0,
      body,
      bodyStart: 0,
      bodyEnd: body.length,
      properties,
      propertiesStart: 0,
      propertiesEnd: properties.length,
    }
  }
}

/**
 * Appends a message that has waited in the store, with what the broker says about that in its properties; without it if they have no
 * room for it, because the message counts more.
 * @param properties Those with which it was stored.
 */
export function writeAgain(
  writer: Pick<MessageWriter, 'writeNow'>,
  message: NewMessage,
  properties: NewMessage['properties'],
): Written {
  const written = writer.writeNow(message)
  return written.status === PROPERTIES_TOO_LONG ? writer.writeNow({ ...message, properties }) : written
}

function refused(status: WriteStatus, topic: string): Written {
  return { status, topic, positions: [], queueOffset: 0, bytes: 0, safe: Promise.resolve() }
}

/** Unlike `writeMessageProperties`, this leaves it to the store to refuse a text that is too long. */
function propertiesBytes(properties: ReadonlyMap<string, string>): Buffer {
  let text = ''
  for (const [name, value] of properties) text += name + SEPARATOR + value + END
  return Buffer.from(text)
}

/** The host in `ip:port`; an address that is none, as that of a stream in memory may be, becomes 0.0.0.0. */
function hostOf(address: string): Host {
  const colon = address.lastIndexOf(':')
  const ip = address.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1')
  const port = Number(address.slice(colon + 1))
  return isIP(ip) !== 0 && Number.isInteger(port) ? { ip, port } : { ip: '0.0.0.0', port: 0 }
}
