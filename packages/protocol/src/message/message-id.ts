import { type Clock, exactLong, type Long, RemotingError } from '@gantrymq/remoting'
import { type Host, ipBytes, ipText } from './host.ts'

/** The broker's id of a message: where it is stored. Apache's MessageDecoder.createMessageId. */
export function offsetMessageId(store: Host, physicalOffset: Long): string {
  const ip = ipBytes(store.ip)
  const rest = Buffer.alloc(12)
  rest.writeInt32BE(store.port)
  rest.writeBigInt64BE(BigInt(physicalOffset), 4)
  return Buffer.concat([ip, rest]).toString('hex').toUpperCase()
}

const OFFSET_ID = /^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{56})$/

/** @throws RemotingError BAD_OPTION if the text is no such id */
export function readOffsetMessageId(id: string): { store: Host; physicalOffset: Long } {
  if (!OFFSET_ID.test(id)) throw new RemotingError('BAD_OPTION', `${JSON.stringify(id)} is no offset message id`)
  const bytes = Buffer.from(id, 'hex')
  const end = bytes.length - 12
  return {
    store: { ip: ipText(bytes.subarray(0, end)), port: bytes.readInt32BE(end) },
    physicalOffset: exactLong(bytes.readBigInt64BE(end + 4)),
  }
}

function monthStart(now: number): number {
  const date = new Date(now)
  return new Date(date.getFullYear(), date.getMonth(), 1).getTime()
}

function nextMonth(start: number): number {
  const date = new Date(start)
  return new Date(date.getFullYear(), date.getMonth() + 1, 1).getTime()
}

/** A clock set back across a month's start by less than this counts as at the start, as in Java. */
const SET_BACK_MS = 1_000_000

/** Makes the ids that clients give their messages (property UNIQ_KEY): Apache's MessageClientIDSetter. */
export class UniqueIds {
  readonly #clock: Clock
  readonly #prefix: string
  #start: number
  #counter = 0

  /** @param seed what tells apart two makers in one process; 32 bits of it count. */
  constructor(options: { readonly clock: Clock; readonly ip: string; readonly pid: number; readonly seed: number }) {
    this.#clock = options.clock
    this.#start = monthStart(options.clock.now())
    const tail = Buffer.alloc(6)
    tail.writeUInt16BE(options.pid & 0xffff)
    tail.writeInt32BE(options.seed | 0, 2)
    this.#prefix = Buffer.concat([ipBytes(options.ip), tail])
      .toString('hex')
      .toUpperCase()
  }

  /** 32 hexadecimal digits, 56 where the own address is IPv6. */
  next(): string {
    const now = this.#clock.now()
    if (now >= nextMonth(this.#start)) this.#start = monthStart(now)
    const since = now - this.#start
    const tail = Buffer.alloc(6)
    tail.writeInt32BE(since < 0 && since > -SET_BACK_MS ? 0 : since | 0)
    tail.writeUInt16BE(this.#counter, 4)
    this.#counter = (this.#counter + 1) & 0xffff
    return this.#prefix + tail.toString('hex').toUpperCase()
  }
}
