import { isMaster } from '@gantrymq/protocol'
import type { ReadBody } from './body-difference.ts'
import type { Broker } from '../registry/broker-group.ts'

/** Most bytes of bodies kept: enough for about 40 brokers with 10,000 topics each, or 400 with 1,000. */
const MAX_KEPT = 64 << 20

interface LastBody {
  readonly body: ReadBody
  /** The group's `writes` when the table had exactly these topics. */
  readonly writes: number
}

/**
 * The last registration body of each master, so that the next one need only be compared with it. When there is no room,
 * the oldest body is dropped, and the next body of its broker is read in full.
 */
export class LastBodies {
  readonly #bodies = new Map<Broker, LastBody>()
  readonly #limit: number
  #size = 0

  constructor(limit = MAX_KEPT) {
    this.#limit = limit
  }

  /** Bytes kept. */
  get size(): number {
    return this.#size
  }

  /** The last body of a broker, if the table still has exactly its topics; undefined if they have changed since. */
  of(broker: Broker | undefined): ReadBody | undefined {
    const last = broker && this.#bodies.get(broker)
    // Only a master's topics go into the table unchanged.
    if (last === undefined || broker === undefined || !isMaster(broker.id)) return undefined
    return broker.group.writes === last.writes ? last.body : undefined
  }

  keep(broker: Broker, body: ReadBody | undefined): void {
    const room = this.#bodies.get(broker)?.body.bytes
    this.forget(broker)
    if (body === undefined || !isMaster(broker.id) || sizeOf(body) > this.#limit) return
    const { tableStart, tableEnd, offsets } = body
    const kept = { bytes: copyOf(body, room), tableStart, tableEnd, offsets }
    this.#bodies.set(broker, { body: kept, writes: broker.group.writes })
    this.#size += sizeOf(body)
    for (const oldest of this.#bodies.keys()) {
      if (this.#size <= this.#limit) break
      this.forget(oldest)
    }
  }

  forget(broker: Broker): void {
    const last = this.#bodies.get(broker)
    if (last === undefined) return
    this.#bodies.delete(broker)
    this.#size -= sizeOf(last.body)
  }

  /** Drops the bodies of brokers that have left. */
  sweep(isRegistered: (broker: Broker) => boolean): void {
    for (const broker of this.#bodies.keys()) if (!isRegistered(broker)) this.forget(broker)
  }
}

/**
 * Copies the bytes, which are only borrowed: into the memory of the last body if it fits, and only the known
 * difference.
 */
function copyOf({ bytes, tableStart, differs }: ReadBody, room: Buffer | undefined): Buffer {
  const copy = room?.length === bytes.length ? room : Buffer.allocUnsafeSlow(bytes.length)
  if (differs?.from === copy) {
    bytes.copy(copy, 0, 0, tableStart)
    bytes.copy(copy, differs.start, differs.start, differs.end)
  } else bytes.copy(copy)
  return copy
}

function sizeOf({ bytes, offsets }: ReadBody): number {
  return bytes.length + offsets.byteLength
}
