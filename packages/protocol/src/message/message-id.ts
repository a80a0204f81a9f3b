import { type Clock, exactLong, type Long, RemotingError } from '@gantrymq/remoting'
import { type Host, ipBytes, ipText } from './host.ts'

/** The broker's id of a message, which says where it is stored: Apache's MessageDecoder.createMessageId. */
export function offsetMessageId(store: Host, physicalOffset: Long): string {
  const ip = ipBytes(store.ip)
  const rest = Buffer.alloc(12)
  rest.writeInt32BE(store.port)
  rest.writeBigInt64BE(BigInt(physicalOffset), 4)
  return Buffer.concat([ip, rest]).toString('hex').toUpperCase()
}

const OFFSET_ID = /^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{56})$/

/** @throws RemotingError BAD_OPTION if the text is not such an id */
export function readOffsetMessageId(id: string): { store: Host; physicalOffset: Long } {
  if (!OFFSET_ID.test(id)) throw new RemotingError('BAD_OPTION', `${JSON.stringify(id)} is not an offset message id`)
  const bytes = Buffer.from(id, 'hex')
  const end = bytes.length - 12
  return {
    store: { ip: ipText(bytes.subarray(0, end)), port: bytes.readInt32BE(end) },
    physicalOffset: exactLong(bytes.readBigInt64BE(end + 4)),
  }
}

/**
 * Whether an id can be an offset id. Unique ids have the same lengths, but a process id in place of the port, which makes a
 * number beyond 65,535.
 */
export function mayBeOffsetMessageId(id: string): boolean {
  if (!OFFSET_ID.test(id)) return false
  const port = Number.parseInt(id.slice(-24, -16), 16)
  return port > 0 && port <= 65_535
}

/**
 * When a unique id was created, assuming that its client is in this time zone and created it at most a month before `now`;
 * undefined if the text has no such time. Apache's MessageClientIDSetter.getNearlyTimeFromID.
 */
export function uniqueIdTime(id: string, now: number): number | undefined {
  if (!OFFSET_ID.test(id)) return undefined
  const since = Number.parseInt(id.slice(-12, -4), 16)
  const start = monthStart(now)
  if (start + since < now) return start + since
  const before = monthStart(start - 1)
  return before + since < now ? before + since : undefined
}

function monthStart(now: number): number {
  const date = new Date(now)
  return new Date(date.getFullYear(), date.getMonth(), 1).getTime()
}

function nextMonth(start: number): number {
  const date = new Date(start)
  return new Date(date.getFullYear(), date.getMonth() + 1, 1).getTime()
}

/** A clock that is set back across the start of a month by less than this counts as being at the start, as in Java. */
const SET_BACK_MS = 1_000_000

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).toUpperCase().padStart(2, '0'))

/**
 * Creates the ids that clients give their messages (property UNIQ_KEY): Apache's MessageClientIDSetter. An id takes 0.1 us,
 * the first one of a millisecond 0.3 us more.
 */
export class UniqueIds {
  readonly #clock: Clock
  readonly #process: string
  #start = 0
  #end = 0
  /** The millisecond for which the prefix is valid. */
  #now = -1
  #prefix = ''
  #counter = 0

  /** @param seed Distinguishes two instances in one process; 32 bits of it count. */
  constructor(options: { readonly clock: Clock; readonly ip: string; readonly pid: number; readonly seed: number }) {
    this.#clock = options.clock
    const tail = Buffer.alloc(6)
    // With zero, the id could be mistaken for an offset id.
    tail.writeUInt16BE(options.pid & 0xffff || 1)
    tail.writeInt32BE(options.seed | 0, 2)
    this.#process = Buffer.concat([ipBytes(options.ip), tail])
      .toString('hex')
      .toUpperCase()
  }

  /** 32 hexadecimal digits, 56 if this machine's address is IPv6. */
  next(): string {
    const now = this.#clock.now()
    if (now !== this.#now) this.#moveTo(now)
    const count = this.#counter
    this.#counter = (count + 1) & 0xffff
    return this.#prefix + (HEX[count >> 8] ?? '') + (HEX[count & 0xff] ?? '')
  }

  #moveTo(now: number): void {
    // A clock set back further than Java tolerates counts as another month, so that the time can still be read from the id.
    if (now >= this.#end || now <= this.#start - SET_BACK_MS) {
      this.#start = monthStart(now)
      this.#end = nextMonth(this.#start)
    }
    // In the last week of a month this exceeds 2^31; Java also writes and reads it as an unsigned number.
    const since = Math.max(0, now - this.#start)
    this.#now = now
    this.#prefix = this.#process + since.toString(16).toUpperCase().padStart(8, '0')
  }
}
