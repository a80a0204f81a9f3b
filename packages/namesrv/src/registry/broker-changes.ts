import type { DataVersion } from '@gantrymq/protocol'
import type { Long } from '@gantrymq/remoting'
import { type Broker, type BrokerGroup, lowestId } from './broker-group.ts'

/** A new lowest broker id of a group. With notifyMinBrokerIdChanged it is sent as NOTIFY_MIN_BROKER_ID_CHANGE (905). */
export interface MinBrokerChange {
  readonly kind: 'min-broker-changed'
  readonly brokerName: string
  /** The lowest id now, and its address. */
  readonly minBrokerId: Long
  readonly minBrokerAddr: string
  /** Address of the broker that left; absent when one came. */
  readonly offlineBrokerAddr?: string
  /** Replication address of the broker that came; absent when one left. */
  readonly haBrokerAddr?: string
  /** Registered addresses of the brokers to notify. */
  readonly recipients: readonly string[]
}

/** Why a broker is no longer registered. `replaced`: another broker registered with its id or its address. */
export type RemovalReason = 'request' | 'channel_closed' | 'channel_idle' | 'timeout' | 'replaced'

/** A snapshot of one registered broker. */
export interface BrokerView {
  readonly cluster: string
  readonly brokerName: string
  /** 0 is the master. */
  readonly brokerId: Long
  /** `ip:port`. */
  readonly brokerAddr: string
  readonly haServerAddr?: string
  /** The connection that holds it; see BrokerDirectory. */
  readonly peer: number
  /** The IP address from which it was registered last. */
  readonly host?: string
  /** Milliseconds by the table's clock; NameServerStatus converts them to milliseconds since the epoch. */
  readonly registeredAt: number
  /** The time of the last registration or heartbeat, in the same unit. */
  readonly lastUpdate: number
  /** Milliseconds of silence after which it is dropped. */
  readonly timeout: number
  /** Absent until a registration is complete. */
  readonly dataVersion?: DataVersion
  /** Number of topics that its group has queues of. */
  readonly topicCount: number
}

/**
 * Brokers that left together, and what was removed with them. Their topics are no longer in any route;
 * RouteTable.dropEnded reports those that no broker has any more.
 */
export interface Removal {
  readonly reason: RemovalReason
  readonly brokers: readonly BrokerView[]
  /** Broker names that no broker has any more. */
  readonly brokerNames: readonly string[]
  /** Clusters that no broker is in any more. */
  readonly clusters: readonly string[]
  /** Connections that no registered broker uses any more. */
  readonly freePeers: readonly number[]
  readonly changes: readonly MinBrokerChange[]
}

/** A topic that no broker has any more, because the last one left. */
export interface GoneTopic {
  readonly topic: string
  readonly broker: BrokerView
  readonly reason: RemovalReason
}

export function viewOf(broker: Broker): BrokerView {
  const { cluster, group, id, addr, haServerAddr, peer, host, registeredAt, lastUpdate, timeout, dataVersion } = broker
  return {
    cluster,
    brokerName: group.name,
    brokerId: id,
    brokerAddr: addr,
    ...(haServerAddr !== undefined && { haServerAddr }),
    peer,
    ...(host !== undefined && { host }),
    registeredAt,
    lastUpdate,
    timeout,
    ...(dataVersion && !broker.partial && { dataVersion }),
    topicCount: group.topicCount,
  }
}

/**
 * The change to announce when a broker registered with a lower id than all others of its group. It goes to the others,
 * or to the broker itself if it is alone. As in Apache's registerBroker, enableActingMaster does not matter.
 */
export function broughtLowerId(broker: Broker, lowestBefore: Long | undefined): MinBrokerChange[] {
  // An empty group counts as having id 0, so its first member is a change only if its id is negative.
  if (broker.id >= (lowestBefore ?? 0)) return []
  const others = addressesOf(broker.group).filter(addr => addr !== broker.addr)
  const recipients = others.length > 0 ? others : [broker.addr]
  return [minBrokerChanged(broker.group, recipients, { haBrokerAddr: broker.haServerAddr })]
}

/** The change to announce when the broker with the lowest id left: to all that remain, if enableActingMaster is set. */
export function lostLowestId(group: BrokerGroup, offline: Broker): MinBrokerChange[] {
  const lowest = lowestId(group)
  if (lowest === undefined || offline.id >= lowest || !group.enableActingMaster) return []
  return [minBrokerChanged(group, addressesOf(group), { offlineBrokerAddr: offline.addr })]
}

function addressesOf(group: BrokerGroup): string[] {
  return [...group.row.brokerAddrs.values()]
}

function minBrokerChanged(
  group: BrokerGroup,
  recipients: readonly string[],
  { haBrokerAddr, offlineBrokerAddr }: { haBrokerAddr?: string | undefined; offlineBrokerAddr?: string },
): MinBrokerChange {
  const [lowest] = group.row.brokerAddrs
  const [minBrokerId, minBrokerAddr] = lowest ?? [0, '']
  return {
    kind: 'min-broker-changed',
    brokerName: group.name,
    minBrokerId,
    minBrokerAddr,
    ...(offlineBrokerAddr !== undefined && { offlineBrokerAddr }),
    ...(haBrokerAddr !== undefined && { haBrokerAddr }),
    recipients,
  }
}
