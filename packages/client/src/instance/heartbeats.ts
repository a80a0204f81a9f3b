import type { KnownBroker } from '../routes/broker-table.ts'

interface Told {
  beating: Promise<void> | undefined
  /** Not begun: it will tell of all who are here by then. */
  next: Promise<void> | undefined
  readonly leaving: Set<Promise<unknown>>
}

/**
 * Keeps heartbeats and farewells to one broker apart, as Java does with its lockHeartbeat: brokers work on several requests of
 * a connection side by side, so a heartbeat that still tells of a member could be noted after its farewell. The broker would
 * keep queues for it for two minutes.
 */
export class Heartbeats {
  readonly #told = new Map<string, Told>()
  readonly #send: (broker: KnownBroker) => Promise<void>

  /** @param send never rejects, and has a deadline of its own */
  constructor(send: (broker: KnownBroker) => Promise<void>) {
    this.#send = send
  }

  isBeating(address: string): boolean {
    return this.#told.get(address)?.beating !== undefined
  }

  /**
   * One heartbeat at a time and address. One that is on its way may tell of fewer members than there are now: `anew` sends
   * another behind it.
   */
  beat(broker: KnownBroker, anew: boolean): Promise<void> {
    const told = this.#of(broker.address)
    if (told.beating === undefined && told.leaving.size === 0) {
      return (told.beating = this.#send(broker).finally(() => {
        told.beating = undefined
        this.#tidy(broker.address)
      }))
    }
    if (!anew && told.beating !== undefined) return told.beating
    return (told.next ??= Promise.all([told.beating, ...told.leaving]).then(() => {
      told.next = undefined
      return this.beat(broker, false)
    }))
  }

  /** Says farewell when no heartbeat is on its way; those to come wait for it. */
  leave<T>(address: string, farewell: () => Promise<T>): Promise<T> {
    const told = this.#of(address)
    const leaving = (told.beating ?? Promise.resolve()).then(farewell).finally(() => {
      told.leaving.delete(leaving)
      this.#tidy(address)
    })
    told.leaving.add(leaving)
    return leaving
  }

  #of(address: string): Told {
    const told = this.#told.get(address) ?? { beating: undefined, next: undefined, leaving: new Set() }
    this.#told.set(address, told)
    return told
  }

  #tidy(address: string): void {
    const told = this.#told.get(address)
    if (told?.beating === undefined && told?.next === undefined && told?.leaving.size === 0) this.#told.delete(address)
  }
}
