import { type BrokerData, type DataVersion, isMaster, MASTER_ID } from '@gantrymq/protocol'
import type { Long } from '@gantrymq/remoting'
import { GroupQueues } from './queue-settings.ts'

/**
 * All brokers of one name, whatever the cluster: a master and its slaves. The group is dropped with its last broker.
 */
export interface BrokerGroup {
  readonly name: string
  /** A hash of the name. */
  readonly nameHash: number
  /** In the order of their first registration. Never empty while the table knows the group. */
  readonly brokers: Broker[]
  /**
   * 0 while the table knows the group. After its last broker has left, its number in the order of such groups: from then
   * on routes do not show it, and a broker that registers with its name starts a new group.
   */
  endedAs: number
  /** From the last registration of any member, as in Apache 5.x. */
  enableActingMaster: boolean
  /** From the last registration of any member, as in Apache 5.x. */
  zoneName: string | undefined
  /** WIPE_WRITE_PERM_OF_BROKER made its topics read-only, and ADD_WRITE_PERM_OF_BROKER has not undone that. */
  isWiped: boolean
  /** What routes show of the group. It is replaced and never changed in place, so it may be shared. */
  row: BrokerData
  readonly queues: GroupQueues
  /** How many topics have queues here; kept by Topic. */
  topicCount: number
  /**
   * Grows with each change after which the next registrations of its brokers are read again, such as a deleted topic.
   */
  alterations: number
  /** Grows with every change of a topic's queues in this group, whatever the cause; kept by Topic. */
  writes: number
}

/** One registered broker. Apache's BrokerLiveInfo, and more. */
export interface Broker {
  readonly cluster: string
  readonly group: BrokerGroup
  readonly addr: string
  id: Long
  haServerAddr: string | undefined
  /** The connection that holds it: when the connection ends, the broker is removed. See BrokerDirectory. */
  peer: number
  /** The IP address from which it was registered last. */
  host: string | undefined
  /**
   * Other open connections that sent requests for it, each with the time of the last one by `Clock.elapsed`. Undefined if
   * there are none, which is the usual case.
   */
  claims: Map<number, number> | undefined
  /**
   * Set when `peer` inherited the broker from a connection that ended: it must register by then, by `Clock.elapsed`.
   */
  confirmBy: number | undefined
  /** By `Clock.elapsed`, milliseconds. */
  readonly registeredAt: number
  /** By `Clock.elapsed`: the last registration or heartbeat. */
  lastUpdate: number
  /** Milliseconds. */
  timeout: number
  filterServers: readonly string[]
  /** As the broker sent it; undefined for a 4.x broker. */
  enableActingMaster: boolean | undefined
  /** Of the last registration begun, complete or not. */
  stateVersion: Long
  /** Number of the last registration begun; 0 once the broker is gone. */
  generation: number
  /** Of the last complete registration; undefined while a registration with a different one is in progress. */
  dataVersion: DataVersion | undefined
  /** All registrations so far may be increments; see RouteTable.completeRegistration. */
  partial: boolean
  /** The table has all topics of `dataVersion`, as far as `alterations` tells. */
  settled: boolean
  /** Checksum of the last body whose topics the table has, as far as `alterations` tells. */
  checksum: number | undefined
  /** The group's count when the last complete registration began. */
  alterations: number
}

function hashOf(name: string): number {
  let hash = 0
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) & 0x3fffffff
  return hash
}

export function newGroup(name: string, cluster: string): BrokerGroup {
  return {
    name,
    nameHash: hashOf(name),
    brokers: [],
    endedAs: 0,
    enableActingMaster: false,
    zoneName: undefined,
    isWiped: false,
    row: { cluster, brokerName: name, brokerAddrs: new Map(), enableActingMaster: false },
    queues: new GroupQueues(name),
    topicCount: 0,
    alterations: 0,
    writes: 0,
  }
}

/** The lowest id of a group; undefined if it is empty. Ids below 0 exist: DLedger brokers start with -1. */
export function lowestId(group: BrokerGroup): Long | undefined {
  let lowest: Long | undefined
  for (const { id } of group.brokers) if (lowest === undefined || id < lowest) lowest = id
  return lowest
}

export function masterOf(group: BrokerGroup): Broker | undefined {
  return group.brokers.find(broker => isMaster(broker.id))
}

/** Whether only slaves are left. They may act for the master, but clients cannot write. */
export function isMasterless(group: BrokerGroup): boolean {
  const lowest = lowestId(group)
  return lowest !== undefined && lowest > MASTER_ID
}

/** The topics of the master count and, with 5.x brokers, those of the slave with the lowest id (the prime slave). */
export type Role = 'master' | 'prime-slave' | 'slave'

/** The role that a broker with this id and address has in the group, or would have as its next member. */
export function roleIn(
  group: BrokerGroup | undefined,
  broker: { readonly id: Long; readonly addr: string; readonly enableActingMaster: boolean | undefined },
): Role {
  if (isMaster(broker.id)) return 'master'
  // A 5.x broker always sends the field; without it the broker is a 4.x slave, whose topics never count.
  if (broker.enableActingMaster === undefined) return 'slave'
  const isLowest = !group || group.brokers.every(other => other.addr === broker.addr || other.id >= broker.id)
  return isLowest ? 'prime-slave' : 'slave'
}

/** What routes show of a group now. Two brokers with one id and address (one name in two clusters) make one entry. */
export function rowOf(group: BrokerGroup): BrokerData {
  const { name, zoneName, enableActingMaster } = group
  const addrs = group.brokers.map(({ id, addr }): [Long, string] => [id, addr])
  return {
    // As in Apache, the group keeps the cluster that it was first registered with.
    cluster: group.brokers[0]?.cluster ?? group.row.cluster,
    brokerName: name,
    brokerAddrs: sortedById(addrs),
    enableActingMaster,
    ...(zoneName !== undefined && { zoneName }),
  }
}

export function sortedById(addrs: readonly (readonly [Long, string])[]): Map<Long, string> {
  return new Map(addrs.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
}

export function sameRow(a: BrokerData, b: BrokerData): boolean {
  return (
    a.cluster === b.cluster &&
    a.enableActingMaster === b.enableActingMaster &&
    a.zoneName === b.zoneName &&
    a.brokerAddrs.size === b.brokerAddrs.size &&
    [...a.brokerAddrs].every(([id, addr]) => b.brokerAddrs.get(id) === addr)
  )
}
