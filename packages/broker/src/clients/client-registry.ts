import type { ConsumeFromWhere, ConsumerData, ConsumeType, MessageModel, SubscriptionData } from '@gantrymq/protocol'
import type { Language, Peer } from '@gantrymq/remoting'

/** A client in a group. It is known by its connection: a client that reconnects is there twice until the old one closes. */
export interface Client {
  readonly clientId: string
  readonly peer: Peer
  readonly language: Language
  /** The version that its requests announce. */
  readonly version: number
  /** When its last heartbeat came, by the broker's elapsed time, milliseconds. */
  lastHeartbeat: number
}

/** A consumer group with its clients: Apache's ConsumerGroupInfo. Its settings are those of the latest heartbeat of any client. */
export interface ConsumerGroup {
  readonly name: string
  readonly consumeType: ConsumeType
  readonly messageModel: MessageModel
  readonly consumeFromWhere: ConsumeFromWhere
  /** By the id of their peers. */
  readonly clients: ReadonlyMap<number, Client>
  /** By topic. */
  readonly subscriptions: ReadonlyMap<string, SubscriptionData>
}

interface ChangingGroup extends ConsumerGroup {
  consumeType: ConsumeType
  messageModel: MessageModel
  consumeFromWhere: ConsumeFromWhere
  readonly clients: Map<number, Client>
  readonly subscriptions: Map<string, SubscriptionData>
  /** The fingerprint of the subscriptions of the latest heartbeat; 0 if it had none (5.x: HEART_BEAT with a fingerprint). */
  fingerprint: number
}

/** A consumer group's part of a heartbeat. */
export interface ConsumerBeat {
  readonly data: ConsumerData
  /** Default 0: none. */
  readonly fingerprint?: number
  /** The client has left out its subscriptions, because the broker has them. Default false. */
  readonly withoutSubscriptions?: boolean
}

/** What a heartbeat has changed in a consumer group. */
export interface BeatResult {
  /** A client has joined, or the topics of the subscriptions have changed: the group's clients must rebalance. */
  readonly changed: boolean
  /** The subscriptions may differ from those that the broker has: it needs them again. */
  readonly needsSubscriptions: boolean
}

/** How long a client may be silent, milliseconds (Apache's channelExpiredTimeout). */
const CLIENT_EXPIRY_MS = 120_000

/** How many producers a transaction check may try (Apache's ProducerManager.getAvailableChannel). */
const PRODUCER_TRIES = 3

/** Most characters of all subscriptions of one connection. Apache has no limit, and its frames have 16 MB. */
export const MAX_SUBSCRIPTION_TEXT = 4 << 20

/** What one connection has joined. */
interface GroupsOfPeer {
  readonly producers: Set<string>
  /** With the length of the subscriptions of its latest heartbeat. */
  readonly consumers: Map<string, number>
  /** Length of all its subscriptions. */
  text: number
}

export interface ClientRegistryOptions {
  /** Most groups of one connection, producers and consumers together. Read again at each use. Default: any number. */
  readonly maxGroupsPerConnection?: () => number
}

/**
 * The clients of all groups, without sockets and time: Apache's ProducerManager and ConsumerManager. Methods return which groups
 * have changed; the caller notifies them.
 */
export class ClientRegistry {
  readonly #maxGroupsPerConnection: () => number
  readonly #producers = new Map<string, Map<number, Client>>()
  readonly #consumers = new Map<string, ChangingGroup>()
  /** The groups of each peer, so that the end of a connection does not search all groups. */
  readonly #groupsOfPeer = new Map<number, GroupsOfPeer>()
  /** Peers of producers by client id, for replies to their requests. */
  readonly #producerPeers = new Map<string, Peer>()
  #checks = 0

  constructor({ maxGroupsPerConnection = () => Number.POSITIVE_INFINITY }: ClientRegistryOptions = {}) {
    this.#maxGroupsPerConnection = maxGroupsPerConnection
  }

  get consumerGroups(): ReadonlyMap<string, ConsumerGroup> {
    return this.#consumers
  }

  /** The producers of each group, by the id of their peers. */
  get producerGroups(): ReadonlyMap<string, ReadonlyMap<number, Client>> {
    return this.#producers
  }

  consumerGroup(group: string): ConsumerGroup | undefined {
    return this.#consumers.get(group)
  }

  /** How many connections belong to a client of a group. */
  get size(): number {
    return this.#groupsOfPeer.size
  }

  // -- Producers -----------------------------------------------------------------------------------------------------

  /** Whether a connection is in a group of producers, or may join it. */
  mayProduce(group: string, peerId: number): boolean {
    return this.#producers.get(group)?.has(peerId) === true || this.#hasRoom(peerId)
  }

  /** @returns whether the producer is new in the group. */
  beatProducer(group: string, client: Client): boolean {
    const { clientId, peer } = client
    const known = this.#producers.get(group) ?? new Map<number, Client>()
    this.#producers.set(group, known)
    const before = known.get(peer.id)
    const isNew = beat(known, client)
    if (isNew) this.#groups(peer.id).producers.add(group)
    // A connection that closes takes the id with it, although the client may have an older one.
    if (before?.clientId !== clientId || !this.#producerPeers.has(clientId)) this.#producerPeers.set(clientId, peer)
    // Apache goes on with the id with which the connection has joined, and the client under the new one gets no replies.
    if (before !== undefined && before.clientId !== clientId) this.#forgetProducer(before)
    return isNew
  }

  removeProducer(group: string, peerId: number): boolean {
    const clients = this.#producers.get(group)
    const client = clients?.get(peerId)
    if (clients === undefined || client === undefined) return false
    clients.delete(peerId)
    if (clients.size === 0) this.#producers.delete(group)
    this.#groups(peerId).producers.delete(group)
    // Apache forgets the id even if it is in another group, and its requests then get no replies.
    this.#forgetProducer(client)
    this.#forgetIfEmpty(peerId)
    return true
  }

  /** Forgets a client id if no group has it from this connection any more. */
  #forgetProducer({ clientId, peer }: Client): void {
    if (this.#producerPeers.get(clientId) !== peer) return
    for (const group of this.#groups(peer.id).producers) {
      if (this.#producers.get(group)?.get(peer.id)?.clientId === clientId) return
    }
    this.#producerPeers.delete(clientId)
  }

  /** The peer of a producer by its client id. */
  producerPeer(clientId: string): Peer | undefined {
    return this.#producerPeers.get(clientId)
  }

  /**
   * An open connection of a producer group that reads what it gets, another one at each call; undefined if there is none. Source:
   * Apache's ProducerManager.getAvailableChannel.
   */
  someProducer(group: string): Client | undefined {
    const clients = [...(this.#producers.get(group)?.values() ?? [])]
    const tries = Math.min(clients.length, PRODUCER_TRIES)
    const first = ++this.#checks
    for (let i = 0; i < tries; i++) {
      const client = clients[(first + i) % clients.length]
      if (client?.peer.isOpen && !client.peer.isBehind) return client
    }
    return undefined
  }

  // -- Consumers -----------------------------------------------------------------------------------------------------

  /** Whether a connection is in a group of consumers, or may join it, with these subscriptions. */
  mayConsume({ groupName, subscriptionDataSet }: ConsumerData, peerId: number): boolean {
    const { consumers, text } = this.#groupsOfPeer.get(peerId) ?? NO_GROUPS
    const before = consumers.get(groupName)
    if (before === undefined && !this.#hasRoom(peerId)) return false
    return text - (before ?? 0) + textLengthOf(subscriptionDataSet) <= MAX_SUBSCRIPTION_TEXT
  }

  beatConsumer({ data, fingerprint = 0, withoutSubscriptions = false }: ConsumerBeat, client: Client): BeatResult {
    const { groupName, consumeType, messageModel, consumeFromWhere } = data
    const known = this.#consumers.get(groupName)
    const group = known ?? newGroup(data)
    this.#consumers.set(groupName, group)
    Object.assign(group, { consumeType, messageModel, consumeFromWhere })
    const joined = beat(group.clients, client)
    if (joined || !withoutSubscriptions) {
      noteText(this.#groups(client.peer.id), groupName, textLengthOf(data.subscriptionDataSet))
    }
    const moved = !withoutSubscriptions && subscribe(group.subscriptions, data.subscriptionDataSet)
    // Apache does not ask again for the subscriptions of a group that it does not know, for example after its restart.
    const needsSubscriptions = known === undefined ? withoutSubscriptions : fingerprint !== group.fingerprint
    group.fingerprint = fingerprint
    return { changed: joined || moved, needsSubscriptions }
  }

  /** @returns whether the client was in the group. */
  removeConsumer(groupName: string, peerId: number): boolean {
    const group = this.#consumers.get(groupName)
    if (group === undefined || !group.clients.delete(peerId)) return false
    if (group.clients.size === 0) this.#consumers.delete(groupName)
    const groups = this.#groups(peerId)
    noteText(groups, groupName, 0)
    groups.consumers.delete(groupName)
    this.#forgetIfEmpty(peerId)
    return true
  }

  subscription(group: string, topic: string): SubscriptionData | undefined {
    return this.#consumers.get(group)?.subscriptions.get(topic)
  }

  /** The ids of a group's clients; one that is connected twice is there twice, as in Apache. */
  consumerIds(group: string): string[] {
    return [...(this.#consumers.get(group)?.clients.values() ?? [])].map(({ clientId }) => clientId)
  }

  /** A client of a consumer group; the newest connection if there are several. */
  consumer(group: string, clientId: string): Client | undefined {
    const clients = [...(this.#consumers.get(group)?.clients.values() ?? [])]
    return clients.findLast(client => client.clientId === clientId)
  }

  /** The groups that subscribe to a topic now. */
  groupsOfTopic(topic: string): string[] {
    return [...this.#consumers.values()].filter(({ subscriptions }) => subscriptions.has(topic)).map(({ name }) => name)
  }

  // -- Connections ---------------------------------------------------------------------------------------------------

  /** Removes a closed connection from all groups. @returns the consumer groups that it was in. */
  drop(peerId: number): string[] {
    const groups = this.#groupsOfPeer.get(peerId)
    if (groups === undefined) return []
    for (const group of groups.producers) this.removeProducer(group, peerId)
    return [...groups.consumers.keys()].filter(group => this.removeConsumer(group, peerId))
  }

  /** The peers whose clients have sent no heartbeat for longer than they may. The caller closes their connections. */
  expired(now: number): Peer[] {
    const all = [...this.#producers.values(), ...[...this.#consumers.values()].map(({ clients }) => clients)]
    const silent = all.flatMap(clients =>
      [...clients.values()].filter(each => now - each.lastHeartbeat > CLIENT_EXPIRY_MS),
    )
    return [...new Set(silent.map(({ peer }) => peer))]
  }

  #hasRoom(peerId: number): boolean {
    const { producers, consumers } = this.#groupsOfPeer.get(peerId) ?? NO_GROUPS
    return producers.size + consumers.size < this.#maxGroupsPerConnection()
  }

  #groups(peerId: number): GroupsOfPeer {
    let groups = this.#groupsOfPeer.get(peerId)
    if (groups === undefined) {
      groups = { producers: new Set(), consumers: new Map(), text: 0 }
      this.#groupsOfPeer.set(peerId, groups)
    }
    return groups
  }

  #forgetIfEmpty(peerId: number): void {
    const groups = this.#groupsOfPeer.get(peerId)
    if (groups?.producers.size === 0 && groups.consumers.size === 0) this.#groupsOfPeer.delete(peerId)
  }
}

const NO_GROUPS: GroupsOfPeer = { producers: new Set(), consumers: new Map(), text: 0 }

function noteText(groups: GroupsOfPeer, groupName: string, length: number): void {
  groups.text += length - (groups.consumers.get(groupName) ?? 0)
  groups.consumers.set(groupName, length)
}

/** What an empty subscription takes, and the code of a tag, in characters. */
const SUBSCRIPTION_LENGTH = 64
const CODE_LENGTH = 8

/** About what subscriptions take in memory, in characters. */
function textLengthOf(subscriptions: readonly SubscriptionData[]): number {
  let length = 0
  for (const { topic, subString, expressionType, tagsSet, codeSet } of subscriptions) {
    length += SUBSCRIPTION_LENGTH + topic.length + subString.length + expressionType.length
    length += codeSet.length * CODE_LENGTH
    for (const tag of tagsSet) length += CODE_LENGTH + tag.length
  }
  return length
}

function newGroup({ groupName, consumeType, messageModel, consumeFromWhere }: ConsumerData): ChangingGroup {
  return {
    name: groupName,
    consumeType,
    messageModel,
    consumeFromWhere,
    clients: new Map(),
    subscriptions: new Map(),
    fingerprint: 0,
  }
}

/** Notes a heartbeat. True if the connection is new; another client id on it is not (Apache's ConsumerGroupInfo.updateChannel). */
function beat(clients: Map<number, Client>, client: Client): boolean {
  const known = clients.get(client.peer.id)
  if (known?.clientId === client.clientId) known.lastHeartbeat = client.lastHeartbeat
  else clients.set(client.peer.id, client)
  return known === undefined
}

/** Takes over subscriptions. True if a topic came or went; a newer version of a subscription alone does not count. */
function subscribe(known: Map<string, SubscriptionData>, given: readonly SubscriptionData[]): boolean {
  const topics = new Set(given.map(({ topic }) => topic))
  let changed = false
  for (const topic of known.keys()) if (!topics.has(topic)) changed = known.delete(topic)
  for (const subscription of given) {
    const before = known.get(subscription.topic)
    if (before === undefined) changed = true
    if (before === undefined || subscription.subVersion > before.subVersion) {
      known.set(subscription.topic, subscription)
    }
  }
  return changed
}
