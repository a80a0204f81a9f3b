import { isMaster, MASTER_ID, type TopicRoute } from '@gantrymq/protocol'
import type { Long } from '@gantrymq/remoting'

/** An address to read from. Its version is what the broker announced; 0 before the first heartbeat. */
export interface ReadAddress {
  readonly address: string
  readonly isSlave: boolean
  readonly version: number
}

/** A broker's address, as a route named it. */
export interface KnownBroker {
  readonly name: string
  readonly id: Long
  readonly address: string
}

/** The brokers that routes named, by name and id, and the versions that they announced: Apache's brokerAddrTable. */
export class BrokerTable {
  readonly #brokers = new Map<string, ReadonlyMap<Long, string>>()
  readonly #versions = new Map<string, Map<string, number>>()

  /** Replaces the addresses of the route's brokers. */
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

  /** The address of a broker's master. */
  master(name: string): string | undefined {
    return this.#brokers.get(name)?.get(MASTER_ID)
  }

  /** The address of a broker's master, else of a slave. */
  anyAddress(name: string): string | undefined {
    return this.master(name) ?? this.#brokers.get(name)?.values().next().value
  }

  /**
   * The address to read a broker's queues from: the requested id, else the next slave, else, unless `onlyThis`, any address
   * of the broker (Apache's findBrokerAddressInSubscribe). Undefined if none is known.
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

  /** Records the version in a broker's answer. Of a broker that was dropped meanwhile it is not kept. */
  setVersion(name: string, address: string, version: number): void {
    if ([...(this.#brokers.get(name)?.values() ?? [])].every(known => known !== address)) return
    const versions = this.#versions.get(name)
    if (versions) versions.set(address, version)
    else this.#versions.set(name, new Map([[address, version]]))
  }

  /** The version that a broker announced; 0 before its first answer to a heartbeat. */
  version(name: string, address: string): number {
    return this.#versions.get(name)?.get(address) ?? 0
  }

  /** Drops the addresses that no cached route names (Apache's cleanOfflineBroker). @returns the dropped brokers */
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
