import type { ConsumerData, HeartbeatData, SubscriptionData } from '@gantrymq/protocol'
import type { Peer } from '@gantrymq/remoting'

export interface Member {
  readonly clientId: string
  readonly peer: Peer
  /** The time of the last heartbeat, milliseconds since the epoch. */
  lastHeartbeat: number
}

export interface ConsumerGroup {
  /** Members by the id of their peer. */
  readonly members: Map<number, Member>
  /** Subscriptions by topic, from the last heartbeat of any member, as in Apache. */
  readonly subscriptions: Map<string, SubscriptionData>
  consumeType: ConsumerData['consumeType']
  messageModel: ConsumerData['messageModel']
  consumeFromWhere: ConsumerData['consumeFromWhere']
}

/**
 * The members of all groups: Apache's ProducerManager and ConsumerManager. A member is a connection, so a client that has
 * reconnected is listed twice until its old connection closes. Methods return the consumer groups that have changed.
 */
export class Members {
  readonly producers = new Map<string, Map<number, Member>>()
  readonly consumers = new Map<string, ConsumerGroup>()
  /** Peers by client id, for replies. As in Apache, only a peer that joins a group gets an entry. */
  readonly #channels = new Map<string, Peer>()

  /** The ids of all clients, without duplicates. */
  get clientIds(): string[] {
    const groups = [...this.producers.values(), ...[...this.consumers.values()].map(({ members }) => members)]
    return [...new Set(groups.flatMap(members => [...members.values()].map(({ clientId }) => clientId)))]
  }

  heartbeat(peer: Peer, { clientID, producerDataSet, consumerDataSet }: HeartbeatData, now: number): string[] {
    for (const { groupName } of producerDataSet) {
      const members = this.producers.get(groupName) ?? new Map<number, Member>()
      this.producers.set(groupName, members)
      if (beat(members, peer, clientID, now)) this.#channels.set(clientID, peer)
    }
    return consumerDataSet.filter(data => this.#beatConsumer(peer, clientID, data, now)).map(data => data.groupName)
  }

  #beatConsumer(peer: Peer, clientId: string, data: ConsumerData, now: number): boolean {
    const { groupName, consumeType, messageModel, consumeFromWhere, subscriptionDataSet } = data
    const group: ConsumerGroup = this.consumers.get(groupName) ?? {
      members: new Map(),
      subscriptions: new Map(),
      consumeType,
      messageModel,
      consumeFromWhere,
    }
    this.consumers.set(groupName, group)
    Object.assign(group, { consumeType, messageModel, consumeFromWhere })
    const joined = beat(group.members, peer, clientId, now)
    const moved = subscribe(group.subscriptions, subscriptionDataSet)
    return joined || moved
  }

  /** Removes a client from one group of each kind. */
  unregister(peerId: number, producerGroup: string | undefined, consumerGroup: string | undefined): string[] {
    if (producerGroup !== undefined) {
      const members = this.producers.get(producerGroup)
      if (members !== undefined) this.#leaveProducers(members, peerId)
      if (members?.size === 0) this.producers.delete(producerGroup)
    }
    return consumerGroup !== undefined && this.#leave(consumerGroup, peerId) ? [consumerGroup] : []
  }

  /** Removes a closed connection from all groups. */
  drop(peerId: number): string[] {
    for (const members of this.producers.values()) this.#leaveProducers(members, peerId)
    return [...this.consumers.keys()].filter(group => this.#leave(group, peerId))
  }

  /** The peers that were silent for more than 120 s, as in Apache. */
  silentSince(now: number): Peer[] {
    const groups = [...this.producers.values(), ...[...this.consumers.values()].map(({ members }) => members)]
    const silent = groups.flatMap(members => [...members.values()].filter(each => now - each.lastHeartbeat > 120_000))
    return [...new Set(silent.map(({ peer }) => peer))]
  }

  consumerIds(group: string): string[] {
    return [...(this.consumers.get(group)?.members.values() ?? [])].map(({ clientId }) => clientId)
  }

  /** The peer of a producer by its client id. */
  producerPeer(clientId: string): Peer | undefined {
    return this.#channels.get(clientId)
  }

  // As in Apache, a client that leaves one group gets no more replies, even if it is still in another group.
  #leaveProducers(members: Map<number, Member>, peerId: number): void {
    const member = members.get(peerId)
    members.delete(peerId)
    if (member !== undefined) this.#channels.delete(member.clientId)
  }

  #leave(groupName: string, peerId: number): boolean {
    const group = this.consumers.get(groupName)
    if (group === undefined || !group.members.delete(peerId)) return false
    if (group.members.size === 0) this.consumers.delete(groupName)
    return true
  }
}

/** Records a heartbeat. True if the peer is new. */
function beat(members: Map<number, Member>, peer: Peer, clientId: string, now: number): boolean {
  const known = members.get(peer.id)
  if (known === undefined) members.set(peer.id, { clientId, peer, lastHeartbeat: now })
  else known.lastHeartbeat = now
  return known === undefined
}

/** Updates subscriptions. True if a topic was added or removed; a newer version alone does not count. */
function subscribe(known: Map<string, SubscriptionData>, now: readonly SubscriptionData[]): boolean {
  let changed = false
  for (const topic of known.keys()) {
    if (now.some(each => each.topic === topic)) continue
    known.delete(topic)
    changed = true
  }
  for (const subscription of now) {
    const before = known.get(subscription.topic)
    if (before === undefined) changed = true
    if (before === undefined || subscription.subVersion > before.subVersion) {
      known.set(subscription.topic, subscription)
    }
  }
  return changed
}
