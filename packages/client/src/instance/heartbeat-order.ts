import type { KnownBroker } from '../routes/broker-table.ts'

interface BrokerTraffic {
  heartbeat: Promise<void> | undefined
  /** A heartbeat that is not sent yet, and will list all members of that moment. */
  next: Promise<void> | undefined
  readonly unregistrations: Set<Promise<unknown>>
}

/**
 * Keeps heartbeats and unregistrations to one broker apart, as Java does with its lockHeartbeat. A broker handles requests of
 * one connection concurrently, so it could record a heartbeat that still lists a member after that member has unregistered.
 * It would then keep queues assigned to the member for two minutes.
 */
export class HeartbeatOrder {
  readonly #traffic = new Map<string, BrokerTraffic>()
  readonly #send: (broker: KnownBroker) => Promise<void>

  /** @param send Sends one heartbeat. It never rejects, and has its own deadline. */
  constructor(send: (broker: KnownBroker) => Promise<void>) {
    this.#send = send
  }

  isBeating(address: string): boolean {
    return this.#traffic.get(address)?.heartbeat !== undefined
  }

  /**
   * Sends a heartbeat, one at a time per address.
   * @param current The heartbeat must list the members of this moment. One in flight may list fewer, so another follows it;
   *   without `current` the caller waits for the one in flight.
   */
  beat(broker: KnownBroker, current: boolean): Promise<void> {
    const traffic = this.#of(broker.address)
    if (traffic.heartbeat === undefined && traffic.unregistrations.size === 0) {
      return (traffic.heartbeat = this.#send(broker).finally(() => {
        traffic.heartbeat = undefined
        this.#tidy(broker.address)
      }))
    }
    if (!current && traffic.heartbeat !== undefined) return traffic.heartbeat
    return (traffic.next ??= Promise.all([traffic.heartbeat, ...traffic.unregistrations]).then(() => {
      traffic.next = undefined
      return this.beat(broker, false)
    }))
  }

  /** Runs `unregister` once no heartbeat to this address is in flight. Later heartbeats wait for it. */
  unregister<T>(address: string, unregister: () => Promise<T>): Promise<T> {
    const traffic = this.#of(address)
    const unregistration = (traffic.heartbeat ?? Promise.resolve()).then(unregister).finally(() => {
      traffic.unregistrations.delete(unregistration)
      this.#tidy(address)
    })
    traffic.unregistrations.add(unregistration)
    return unregistration
  }

  #of(address: string): BrokerTraffic {
    const traffic = this.#traffic.get(address) ?? { heartbeat: undefined, next: undefined, unregistrations: new Set() }
    this.#traffic.set(address, traffic)
    return traffic
  }

  #tidy(address: string): void {
    const { heartbeat, next, unregistrations } = this.#of(address)
    if (heartbeat === undefined && next === undefined && unregistrations.size === 0) this.#traffic.delete(address)
  }
}
