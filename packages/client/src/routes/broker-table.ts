import { isMaster, MASTER_ID, type TopicRoute } from '@gantrymq/protocol'
import type { Long } from '@gantrymq/remoting'

/** Where to read: an address, whether it is a slave's, and the version its broker announced (0 before the first heartbeat). */
export interface ReadAddress {
  readonly address: string
  readonly isSlave: boolean
  readonly version: number
}

/** A broker's address that routes told of. */
export interface KnownBroker {
  readonly name: string
  readonly id: Long
  readonly address: string
}

/** The brokers that routes told of, by name and id, and the versions that heartbeats brought: Apache's brokerAddrTable. */
export class BrokerTable {
  readonly #brokers = new Map<string, ReadonlyMap<Long, string>>()
  readonly #versions = new Map<string, Map<string, number>>()

  /** Takes over the addresses of every broker of a route, instead of what was known of these brokers. */
  learn(route: TopicRoute): void {
    for (const { brokerName, brokerAddrs } of route.brokerDatas) {
      this.#brokers.set(brokerName, new Map(brokerAddrs))
      this.#dropVersions(brokerName, new Set(brokerAddrs.values()))
    }
  }

  #dropVersions(name: string, living: ReadonlySet<string>): void {
    const versions = this.#versions.get(name)
    if (versions === undefined) return
    for (const address of versions.keys()) if (!living.has(address)) versions.delete(address)
    if (versions.size === 0) this.#versions.delete(name)
  }

  /** Address of a broker's master. */
  master(name: string): string | undefined {
    return this.#brokers.get(name)?.get(MASTER_ID)
  }

  /** An address of a broker, whichever is first: the master's where there is one. */
  anyAddress(name: string): string | undefined {
    return this.master(name) ?? this.#brokers.get(name)?.values().next().value
  }

  /**
   * Where to read queues of a broker: at the id asked for, else the next slave, else anyone, unless `onlyThis`
   * (Apache's findBrokerAddressInSubscribe). Undefined if nobody is known.
   */
  toRead(name: string, id: Long, onlyThis = false): ReadAddress | undefined {
    const addresses = this.#brokers.get(name)
    if (addresses === undefined) return undefined
    for (const candidate of candidates(addresses, id, onlyThis)) {
      const address = addresses.get(candidate)
      if (address !== undefined) {
        return { address, isSlave: !isMaster(candidate), version: this.version(name, address) }
      }
    }
    return undefined
  }

  /** Remembers what a broker answered a heartbeat with. */
  setVersion(name: string, address: string, version: number): void {
    const versions = this.#versions.get(name)
    if (versions) versions.set(address, version)
    else this.#versions.set(name, new Map([[address, version]]))
  }

  /** Version a broker announced; 0 before its first heartbeat. */
  version(name: string, address: string): number {
    return this.#versions.get(name)?.get(address) ?? 0
  }

  /** Forgets addresses that are in none of the cached routes (Apache's cleanOfflineBroker). @returns the forgotten. */
  dropUnknown(routes: Iterable<TopicRoute>): KnownBroker[] {
    const living = new Set<string>()
    for (const route of routes) {
      for (const broker of route.brokerDatas) for (const address of broker.brokerAddrs.values()) living.add(address)
    }
    const dropped = this.all().filter(broker => !living.has(broker.address))
    for (const { name, id } of dropped) this.#forget(name, id)
    return dropped
  }

  #forget(name: string, id: Long): void {
    const rest = new Map(this.#brokers.get(name))
    rest.delete(id)
    if (rest.size > 0) this.#brokers.set(name, rest)
    else this.#brokers.delete(name)
    this.#dropVersions(name, new Set(rest.values()))
  }

  /** Every address of every broker. */
  all(): KnownBroker[] {
    return [...this.#brokers].flatMap(([name, addresses]) =>
      [...addresses].map(([id, address]) => ({ name, id, address })),
    )
  }

  /** The masters only. */
  masters(): KnownBroker[] {
    return this.all().filter(broker => isMaster(broker.id))
  }
}

function candidates(addresses: ReadonlyMap<Long, string>, id: Long, onlyThis: boolean): Long[] {
  const wanted = isMaster(id) ? [id] : [id, nextId(id)]
  return onlyThis ? wanted : [...wanted, ...addresses.keys()]
}

function nextId(id: Long): Long {
  return typeof id === 'number' ? id + 1 : id + 1n
}
