import type { Long } from '@gantrymq/remoting'
import { type Broker, type BrokerGroup, newGroup, rowOf, sameRow } from './broker-group.ts'
import type { RegistrationHead, RegistrationLimits } from './registration.ts'

/** Default timeout of a broker, milliseconds: Apache's DEFAULT_BROKER_CHANNEL_EXPIRED_TIME. */
const DEFAULT_TIMEOUT_MS = 120_000

/**
 * The longest time between two registrations of an Apache broker: its BrokerController caps registerNameServerPeriod.
 */
const LONGEST_PERIOD_MS = 60_000
/** How long a connection that inherited a broker may take to register it: one period and a half. */
const CONFIRM_MS = 90_000
/** Claims remembered per broker, and lost brokers per connection. The oldest are forgotten. */
const MAX_CLAIMS = 8
const MAX_LOST = 1024

const NO_BROKERS: ReadonlySet<Broker> = new Set()

/**
 * The registered brokers, by address, name, cluster and connection. It knows nothing about topics.
 *
 * Each broker is held by one connection, and the end of that connection removes it. Connections overlap: a broker
 * reconnects before the name server notices the end of its old connection, and requests on the old connection are read
 * late. In Apache the last request wins, so a late registration followed by the end of its connection removes a live
 * broker. Four rules keep a live broker here:
 * - A registration moves a broker only to a connection that was opened after the one that holds it. All older connections
 *   that sent requests for the broker are superseded: they can no longer move or unregister it.
 * - A heartbeat never moves a broker that an open connection holds.
 * - When the holding connection ends, the newest connection that was heard for the broker within one registration period
 *   inherits it. Until a registration confirms that, any connection may register the broker; without one it expires.
 * - A broker whose id another address has registered cannot take the id back on the same connection, unless it had
 *   another id in between or has a higher stateVersion.
 */
export class BrokerDirectory {
  readonly #groups = new Map<string, BrokerGroup>()
  /**
   * By cluster, then by address. The pair is the key, as in Apache 5.x: clusters in separate networks may use the same
   * addresses.
   */
  readonly #clusters = new Map<string, Map<string, Broker>>()
  readonly #peers = new Map<number, Set<Broker>>()
  /** The brokers that each connection claims and does not hold. */
  readonly #claimed = new Map<number, Set<Broker>>()
  /**
   * By open connection, then by the broker's key: the brokers lost to other connections, with the id registered here,
   * if any.
   */
  readonly #lost = new Map<number, Map<string, Long | undefined>>()
  /** How many brokers the connections from each IP address have registered. */
  readonly #perHost = new Map<string, number>()
  #size = 0

  /** How many brokers are registered. */
  get size(): number {
    return this.#size
  }

  /** By broker name. */
  get groups(): ReadonlyMap<string, BrokerGroup> {
    return this.#groups
  }

  /** By cluster, then by address. */
  get clusters(): ReadonlyMap<string, ReadonlyMap<string, Broker>> {
    return this.#clusters
  }

  group(name: string): BrokerGroup | undefined {
    return this.#groups.get(name)
  }

  find(cluster: string, addr: string): Broker | undefined {
    return this.#clusters.get(cluster)?.get(addr)
  }

  /** The groups that have a broker in this cluster. */
  groupsOf(cluster: string): Set<BrokerGroup> {
    const members = this.#clusters.get(cluster)
    return new Set(members ? Array.from(members.values(), broker => broker.group) : [])
  }

  /** The brokers that this connection holds. */
  ofPeer(peer: number): ReadonlySet<Broker> {
    return this.#peers.get(peer) ?? NO_BROKERS
  }

  isPeer(peer: number): boolean {
    return this.#peers.has(peer)
  }

  /** Why there is no room for the broker of a registration; undefined if there is. */
  whyFull({ clusterName, brokerAddr, peer, host }: RegistrationHead, limits: RegistrationLimits): string | undefined {
    const known = this.find(clusterName, brokerAddr)
    if (known === undefined && this.#size >= limits.maxBrokers) {
      return `${limits.maxBrokers} brokers are registered, which is the limit (maxBrokers)`
    }
    const { maxBrokersPerConnection, maxBrokersPerAddress } = limits
    if (known?.peer !== peer && this.ofPeer(peer).size >= maxBrokersPerConnection) {
      return `this connection has registered ${maxBrokersPerConnection} brokers, which is the limit (maxBrokersPerConnection)`
    }
    if (host !== undefined && known?.host !== host && (this.#perHost.get(host) ?? 0) >= maxBrokersPerAddress) {
      return `${maxBrokersPerAddress} brokers are registered from ${host}, which is the limit (maxBrokersPerAddress)`
    }
    return undefined
  }

  /**
   * The registered broker that supersedes a registration; undefined if the registration counts. The connection of a
   * superseded registration is remembered, so that it inherits the broker if the holding connection ends.
   */
  supersedingBroker(head: RegistrationHead, now: number): Broker | undefined {
    const { clusterName, brokerAddr, brokerId, peer } = head
    const known = this.find(clusterName, brokerAddr)
    const isSuperseding = known !== undefined && known.confirmBy === undefined && this.#isBehind(known, peer)
    if (isSuperseding) this.heard(known, peer, now)
    const holder = isSuperseding ? known : this.#newerHolderOfId(head)
    if (holder !== undefined) this.#noteLost(peer, clusterName, brokerAddr, brokerId)
    return holder
  }

  #isBehind(broker: Broker, peer: number): boolean {
    return broker.peer !== peer && (peer < broker.peer || this.isSuperseded(broker, peer))
  }

  /** The broker at another address that has the id of a registration, if the registration is too late to take it. */
  #newerHolderOfId({
    clusterName,
    brokerName,
    brokerAddr,
    brokerId,
    peer,
    dataVersion,
  }: RegistrationHead): Broker | undefined {
    const group = this.#groups.get(brokerName)
    const holder = group?.brokers.find(({ id, addr }) => id === brokerId && addr !== brokerAddr)
    if (group === undefined || holder === undefined || holder.peer === peer) return undefined
    if (dataVersion.stateVersion > holder.stateVersion) return undefined
    const wasDeposed = this.#lost.get(peer)?.get(keyOf(clusterName, brokerAddr)) === brokerId
    const isMember = group.brokers.some(broker => broker.peer === peer)
    return wasDeposed || (peer < holder.peer && !isMember) ? holder : undefined
  }

  /** Whether this connection has lost the broker to a newer one, so that it can neither move nor unregister it. */
  isSuperseded({ cluster, addr }: Broker, peer: number): boolean {
    return this.#lost.get(peer)?.has(keyOf(cluster, addr)) ?? false
  }

  #noteLost(peer: number, cluster: string, addr: string, id: Long | undefined): void {
    const lost = this.#lost.get(peer) ?? new Map<string, Long | undefined>()
    const key = keyOf(cluster, addr)
    this.#lost.set(peer, lost.set(key, id ?? lost.get(key)))
    if (lost.size > MAX_LOST) lost.delete(lost.keys().next().value as string)
  }

  /**
   * Registers a broker, and returns the brokers that it replaces: those that have its id in the group, or its address
   * under another id or name. Apache leaves such brokers in its brokerLiveTable, in 5.x forever.
   */
  register(head: RegistrationHead, now: number): { broker: Broker; replaced: Broker[] } {
    const { clusterName, brokerName, brokerAddr, brokerId, peer } = head
    const atAddr = this.find(clusterName, brokerAddr)
    const group = this.#groups.get(brokerName) ?? newGroup(brokerName, clusterName)
    const known = atAddr?.group === group ? atAddr : undefined
    if (atAddr === undefined) this.#lost.get(peer)?.delete(keyOf(clusterName, brokerAddr))
    const broker = known ?? this.#add(newBroker(head, group, now))
    if (broker.peer !== peer) this.#supersede(broker, peer, now)
    broker.id = brokerId
    broker.haServerAddr = head.haServerAddr
    broker.enableActingMaster = head.enableActingMaster
    broker.lastUpdate = now
    broker.timeout = timeoutOf(head)
    broker.confirmBy = undefined
    this.#countHost(broker.host, -1)
    broker.host = head.host
    this.#countHost(broker.host, 1)
    this.#hold(broker, peer)
    const replaced = group.brokers.filter(
      other => other !== broker && (other.id === brokerId) !== (other.addr === brokerAddr),
    )
    for (const other of replaced) {
      if (other.id === brokerId && other.peer !== peer) this.#noteLost(other.peer, other.cluster, other.addr, other.id)
    }
    if (atAddr && !known) replaced.push(atAddr)
    return { broker, replaced }
  }

  #add(broker: Broker): Broker {
    const { group, cluster, addr } = broker
    this.#groups.set(group.name, group)
    group.brokers.push(broker)
    const members = this.#clusters.get(cluster) ?? new Map<string, Broker>()
    this.#clusters.set(cluster, members.set(addr, broker))
    this.#size++
    return broker
  }

  #countHost(host: string | undefined, by: 1 | -1): void {
    if (host === undefined) return
    const count = (this.#perHost.get(host) ?? 0) + by
    if (count === 0) this.#perHost.delete(host)
    else this.#perHost.set(host, count)
  }

  /** Notes that a request from the broker came on this connection. */
  heard(broker: Broker, peer: number, now: number): void {
    broker.lastUpdate = now
    if (broker.peer === peer) return
    this.#claim(broker, peer, now)
    if (peer < broker.peer) this.#noteLost(peer, broker.cluster, broker.addr, undefined)
  }

  /** Forgets a connection that has ended. @returns Its brokers, except those that another connection inherits. */
  drop(peer: number, now: number): Broker[] {
    this.#lost.delete(peer)
    for (const broker of this.#claimed.get(peer) ?? NO_BROKERS) forgetClaim(broker, peer)
    this.#claimed.delete(peer)
    const held = [...this.ofPeer(peer)]
    const ending = held.filter(broker => !this.#inherit(broker, now))
    this.#peers.delete(peer)
    return ending
  }

  #inherit(broker: Broker, now: number): boolean {
    let heir = -1
    for (const [peer, heardAt] of broker.claims ?? []) {
      if (peer > heir && heardAt >= now - LONGEST_PERIOD_MS) heir = peer
    }
    if (heir === -1) return false
    this.#loseBefore(broker, heir)
    this.#hold(broker, heir)
    broker.confirmBy = now + CONFIRM_MS
    return true
  }

  /** Gives the broker to another connection. All older connections that sent requests for it have lost it. */
  #supersede(broker: Broker, by: number, now: number): void {
    const { cluster, addr, id, peer: before } = broker
    this.#loseBefore(broker, by)
    if (before < by) this.#noteLost(before, cluster, addr, id)
    // An older connection registers a broker that its holder inherited. It may hold the broker, but not unregister it.
    else this.#noteLost(by, cluster, addr, id)
    this.#claim(broker, before, now)
  }

  /** Notes that all connections that claim the broker and were opened before this one have lost it. */
  #loseBefore({ cluster, addr, claims }: Broker, peer: number): void {
    for (const older of claims?.keys() ?? []) if (older < peer) this.#noteLost(older, cluster, addr, undefined)
  }

  #hold(broker: Broker, peer: number): void {
    this.#leavePeer(broker)
    this.#unclaim(broker, peer)
    broker.peer = peer
    const brokers = this.#peers.get(peer) ?? new Set()
    this.#peers.set(peer, brokers.add(broker))
  }

  #claim(broker: Broker, peer: number, now: number): void {
    const claims = (broker.claims ??= new Map<number, number>())
    claims.delete(peer)
    // The map is in the order of the last requests, so the forgotten connection has been silent longest.
    if (claims.size >= MAX_CLAIMS) this.#unclaim(broker, claims.keys().next().value as number)
    broker.claims = claims.set(peer, now)
    const brokers = this.#claimed.get(peer) ?? new Set()
    this.#claimed.set(peer, brokers.add(broker))
  }

  #unclaim(broker: Broker, peer: number): void {
    forgetClaim(broker, peer)
    const brokers = this.#claimed.get(peer)
    if (brokers?.delete(broker) && brokers.size === 0) this.#claimed.delete(peer)
  }

  remove(broker: Broker): void {
    const { group, cluster, addr } = broker
    broker.generation = 0
    group.brokers.splice(group.brokers.indexOf(broker), 1)
    if (group.brokers.length === 0) this.#groups.delete(group.name)
    const members = this.#clusters.get(cluster)
    // Another broker may have registered with the address by now.
    if (members?.get(addr) === broker) members.delete(addr)
    if (members?.size === 0) this.#clusters.delete(cluster)
    // If its connection is still open, it must not unregister the broker once another connection has registered it.
    if (this.ofPeer(broker.peer).has(broker)) this.#noteLost(broker.peer, cluster, addr, undefined)
    this.#leavePeer(broker)
    for (const peer of broker.claims?.keys() ?? []) {
      this.#noteLost(peer, cluster, addr, undefined)
      this.#unclaim(broker, peer)
    }
    this.#countHost(broker.host, -1)
    this.#size--
  }

  #leavePeer(broker: Broker): void {
    const brokers = this.#peers.get(broker.peer)
    if (brokers?.delete(broker) && brokers.size === 0) this.#peers.delete(broker.peer)
  }

  /** Updates what routes show of a group. @returns Whether this changes any route. */
  refreshRow(group: BrokerGroup): boolean {
    const row = rowOf(group)
    if (sameRow(row, group.row)) return false
    group.row = row
    return group.topicCount > 0
  }
}

function forgetClaim(broker: Broker, peer: number): void {
  if (broker.claims?.delete(peer) && broker.claims.size === 0) broker.claims = undefined
}

/** No cluster name has a control character. */
function keyOf(cluster: string, addr: string): string {
  return `${cluster}\n${addr}`
}

function newBroker(head: RegistrationHead, group: BrokerGroup, now: number): Broker {
  return {
    cluster: head.clusterName,
    group,
    addr: head.brokerAddr,
    id: head.brokerId,
    haServerAddr: head.haServerAddr,
    peer: head.peer,
    host: undefined,
    claims: undefined,
    confirmBy: undefined,
    registeredAt: now,
    lastUpdate: now,
    timeout: timeoutOf(head),
    filterServers: [],
    enableActingMaster: head.enableActingMaster,
    stateVersion: head.dataVersion.stateVersion,
    generation: 0,
    dataVersion: undefined,
    partial: true,
    settled: false,
    checksum: undefined,
    alterations: 0,
  }
}

function timeoutOf({ heartbeatTimeoutMillis }: RegistrationHead): number {
  return heartbeatTimeoutMillis !== undefined && heartbeatTimeoutMillis > 0
    ? heartbeatTimeoutMillis
    : DEFAULT_TIMEOUT_MS
}
