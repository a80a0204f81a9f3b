import { type Broker, type BrokerGroup, newGroup, rowOf, sameRow } from './broker-group.ts'
import type { RegistrationHead } from './registration.ts'

/** Milliseconds that a broker may be silent if it does not say otherwise: Apache's DEFAULT_BROKER_CHANNEL_EXPIRED_TIME. */
const DEFAULT_TIMEOUT_MS = 120_000

const NOBODY: ReadonlySet<Broker> = new Set()

/** The registered brokers, found by address, name, cluster and connection. Knows nothing of topics. */
export class BrokerDirectory {
  readonly #groups = new Map<string, BrokerGroup>()
  /**
   * By cluster, then by address. The pair is the key, as in Apache 5.x: clusters in separate networks may use the same
   * addresses.
   */
  readonly #clusters = new Map<string, Map<string, Broker>>()
  readonly #peers = new Map<number, Set<Broker>>()
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

  /** The brokers last heard on this connection. */
  ofPeer(peer: number): ReadonlySet<Broker> {
    return this.#peers.get(peer) ?? NOBODY
  }

  isPeer(peer: number): boolean {
    return this.#peers.has(peer)
  }

  /**
   * Gives a broker its place, and tells who has to leave for it: whoever else has its id in the group, or has its
   * address under another id or name. Apache keeps live entries of such brokers, in 5.x for ever.
   */
  seat(head: RegistrationHead, now: number): { broker: Broker; replaced: Broker[] } {
    const { clusterName, brokerName, brokerAddr, brokerId, peer } = head
    const atAddr = this.find(clusterName, brokerAddr)
    const group = this.#groups.get(brokerName) ?? newGroup(brokerName, clusterName)
    const known = atAddr?.group === group ? atAddr : undefined
    const broker = known ?? this.#add(newBroker(head, group, now))
    broker.id = brokerId
    broker.haServerAddr = head.haServerAddr
    broker.enableActingMaster = head.enableActingMaster
    broker.lastUpdate = now
    broker.timeout = timeoutOf(head)
    this.move(broker, peer)
    const replaced = group.brokers.filter(
      other => other !== broker && (other.id === brokerId) !== (other.addr === brokerAddr),
    )
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

  /** From now on the broker belongs to this connection. */
  move(broker: Broker, peer: number): void {
    if (broker.peer === peer && this.#peers.get(peer)?.has(broker)) return
    this.#leavePeer(broker)
    broker.peer = peer
    const brokers = this.#peers.get(peer) ?? new Set()
    this.#peers.set(peer, brokers.add(broker))
  }

  remove(broker: Broker): void {
    const { group, cluster, addr } = broker
    broker.generation = 0
    group.brokers.splice(group.brokers.indexOf(broker), 1)
    if (group.brokers.length === 0) this.#groups.delete(group.name)
    const members = this.#clusters.get(cluster)
    // The address may be another broker's by now.
    if (members?.get(addr) === broker) members.delete(addr)
    if (members?.size === 0) this.#clusters.delete(cluster)
    this.#leavePeer(broker)
    this.#size--
  }

  #leavePeer(broker: Broker): void {
    const brokers = this.#peers.get(broker.peer)
    if (brokers?.delete(broker) && brokers.size === 0) this.#peers.delete(broker.peer)
  }

  /** Brings up to date what routes show of a group. @returns Whether any route looks different now. */
  refreshRow(group: BrokerGroup): boolean {
    const row = rowOf(group)
    if (sameRow(row, group.row)) return false
    group.row = row
    return group.topicCount > 0
  }
}

function newBroker(head: RegistrationHead, group: BrokerGroup, now: number): Broker {
  return {
    cluster: head.clusterName,
    group,
    addr: head.brokerAddr,
    id: head.brokerId,
    haServerAddr: head.haServerAddr,
    peer: head.peer,
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
