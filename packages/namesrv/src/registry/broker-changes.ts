import type { DataVersion } from '@gantrymq/protocol'
import type { Long } from '@gantrymq/remoting'
import { type Broker, type BrokerGroup, lowestId } from './broker-group.ts'

/** What others must be told after a change of the table: to be sent as NOTIFY_MIN_BROKER_ID_CHANGE (905) where enabled. */
export interface Change {
  readonly kind: 'min-broker-changed'
  readonly brokerName: string
  /** The lowest id now, and its address. */
  readonly minBrokerId: Long
  readonly minBrokerAddr: string
  /** Address of the broker that left; absent when one came. */
  readonly offlineBrokerAddr?: string
  /** Replication address of the broker that came; absent when one left. */
  readonly haBrokerAddr?: string
  /** Registered addresses of the brokers to tell. */
  readonly recipients: readonly string[]
}

/** Why a broker is registered no more. `replaced`: its id or its address was registered for another. */
export type RemovalReason = 'request' | 'channel_closed' | 'channel_idle' | 'timeout' | 'replaced'

/** One registered broker, as of the moment of asking. */
export interface BrokerView {
  readonly cluster: string
  readonly brokerName: string
  /** 0 is the master. */
  readonly brokerId: Long
  /** `ip:port`. */
  readonly brokerAddr: string
  readonly haServerAddr?: string
  /** The connection it was last heard on. */
  readonly peer: number
  /** Milliseconds by the table's clock; NameServerStatus gives them since the epoch. */
  readonly registeredAt: number
  /** The last registration or heartbeat, in the same milliseconds. */
  readonly lastUpdate: number
  /** Milliseconds of silence after which it is dropped. */
  readonly timeout: number
  /** Absent until a registration is complete. */
  readonly dataVersion?: DataVersion
  /** Topics that its group has queues of. */
  readonly topicCount: number
}

/** What went when brokers left together. */
export interface Removal {
  readonly reason: RemovalReason
  readonly brokers: readonly BrokerView[]
  /** Broker names that no broker has any more. */
  readonly brokerNames: readonly string[]
  /** Clusters that no broker is in any more. */
  readonly clusters: readonly string[]
  /** Topics that no broker has any more. */
  readonly topics: readonly string[]
  /** Pairs of topic and broker name that went, those of `topics` included. */
  readonly topicEntries: number
  /** Connections that no registered broker uses any more. */
  readonly freePeers: readonly number[]
  readonly changes: readonly Change[]
}

export function viewOf(broker: Broker): BrokerView {
  const { cluster, group, id, addr, haServerAddr, peer, registeredAt, lastUpdate, timeout, dataVersion } = broker
  return {
    cluster,
    brokerName: group.name,
    brokerId: id,
    brokerAddr: addr,
    ...(haServerAddr !== undefined && { haServerAddr }),
    peer,
    registeredAt,
    lastUpdate,
    timeout,
    ...(dataVersion && !broker.partial && { dataVersion }),
    topicCount: group.topicCount,
  }
}

/**
 * Whom to tell that a broker came with a lower id than all others (Apache's registerBroker, with no regard to
 * enableActingMaster): everybody but that broker, which is told only if it is alone.
 */
export function broughtLowerId(broker: Broker, lowestBefore: Long | undefined): Change[] {
  // An empty group counts as having id 0, so its first member is news only with a negative id.
  if (broker.id >= (lowestBefore ?? 0)) return []
  const others = addressesOf(broker.group).filter(addr => addr !== broker.addr)
  const recipients = others.length > 0 ? others : [broker.addr]
  return [minBrokerChanged(broker.group, recipients, { haBrokerAddr: broker.haServerAddr })]
}

/** Whom to tell that a group's lowest broker left: all that remain, if the group knows acting masters. */
export function lostLowestId(group: BrokerGroup, offline: Broker): Change[] {
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
): Change {
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
