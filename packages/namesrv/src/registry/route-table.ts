import {
  type DataVersion,
  isMaster,
  type QueueData,
  type TopicConfig,
  type TopicQueueMappingInfo,
  type TopicRoute,
} from '@gantrymq/protocol'
import { PERM_READ, PERM_WRITE, sameDataVersion } from '@gantrymq/protocol'
import { BrokerDirectory } from './broker-directory.ts'
import {
  broughtLowerId,
  lostLowestId,
  type BrokerView,
  type Removal,
  type RemovalReason,
  viewOf,
} from './broker-changes.ts'
import { type Broker, type BrokerGroup, isMasterless, lowestId, masterOf, roleIn } from './broker-group.ts'
import { sameQueues } from './queue-settings.ts'
import {
  type AppliedTopics,
  type BegunRegistration,
  type BrokerIdentity,
  type BrokerRegistration,
  checkIdentity,
  checkTopicName,
  checkTopics,
  type CompletedRegistration,
  type DataVersionAnswer,
  defaultLimits,
  type IgnoredRegistration,
  type RegisterOutcome,
  type RegistrationHead,
  type RegistrationLimits,
  RegistrationRefused,
  type RegistrationToken,
  rightfulHolder,
  type TopicsWanted,
} from './registration.ts'
import { routeOfTopic } from './topic-route.ts'
import { type TopicDeletion, TopicDirectory, type TopicRegistration } from './topic-directory.ts'
import type { LiveTopic, Topic } from './topic.ts'

export interface RouteTableOptions {
  /** Show the slave with the lowest id as master where the master is gone. Default false. */
  readonly supportActingMaster: boolean
  /** Delete a broker's topics that its registration does not list. Default false. */
  readonly deleteTopicWithBrokerRegistration: boolean
  readonly limits: RegistrationLimits
}

export interface Unregistration extends Removal {
  /** Asked for, but not registered, or registered again since on a later connection. */
  readonly missed: readonly BrokerIdentity[]
}

/**
 * Which brokers live and which topics they have: Apache's RouteInfoManager, as plain state. It opens, sends and times
 * nothing; time comes in as elapsed milliseconds (`Clock.elapsed`), a connection as a number that grows with each one accepted.
 *
 * The whole locking discipline: every method is synchronous, and so atomic. A large registration is made of several
 * calls; in between, others may see some of its topics, but never a data version that promises all of them.
 *
 * Kept true at all times: every topic has a group, every group a broker, every broker a cluster. What expires,
 * unregisters or is replaced takes along what only it held, static-topic mappings and filter servers included.
 */
export class RouteTable {
  readonly #topics = new TopicDirectory()
  readonly #brokers = new BrokerDirectory()
  #options: RouteTableOptions
  #epoch = 0
  #generation = 0

  constructor(options: Partial<RouteTableOptions> = {}) {
    this.#options = {
      supportActingMaster: false,
      deleteTopicWithBrokerRegistration: false,
      limits: defaultLimits,
      ...options,
    }
  }

  /** Changes options at run time. */
  configure(options: Partial<RouteTableOptions>): void {
    this.#options = { ...this.#options, ...options }
    this.#epoch++
    // What brokers list may count for more now, so all are asked for it anew.
    for (const group of this.#brokers.groups.values()) group.alterations++
  }

  /** Grows whenever brokers, their flags, zones or filter servers change what routes show. */
  get epoch(): number {
    return this.#epoch
  }

  /** A kept answer is good while this gives the same object with the same revision, and the epoch stands. */
  topic(name: string): LiveTopic | undefined {
    return this.#topics.find(name)
  }

  routeOf(name: string): TopicRoute | undefined {
    const topic = this.#topics.find(name)
    return topic && routeOfTopic(topic, this.#options.supportActingMaster)
  }

  /** For read-only views. */
  get topics(): ReadonlyMap<string, Topic> {
    return this.#topics.all
  }

  /** For read-only views. */
  get brokers(): Pick<BrokerDirectory, 'groups' | 'clusters' | 'groupsOf' | 'size' | 'find' | 'isPeer'> {
    return this.#brokers
  }

  /** A registration in one go. @throws RegistrationRefused, with nothing changed. */
  registerBroker(registration: BrokerRegistration, now: number): RegisterOutcome {
    const { body, ...identity } = registration
    const head = { ...identity, dataVersion: body.dataVersion, filterServers: body.filterServers }
    if (this.needsTopics(head)) this.checkTopics(body.topics.values(), body.topics.size)
    const begun = this.beginRegistration(head, now)
    if (begun.result === 'ignored') return begun
    const applied = this.applyTopics(begun.token, body.topics.values())
    this.applyMappings(begun.token, body.topicQueueMappings.values())
    const completed = this.completeRegistration(begun.token, now)
    // Nobody can have come between, so neither of the two is false.
    return { ...begun, ...(applied as AppliedTopics), ...(completed as CompletedRegistration) }
  }

  /** To be called before a registration in slices is begun. @throws RegistrationRefused */
  checkTopics(topics: Iterable<TopicConfig>, count: number): void {
    checkTopics(topics, count, this.#options.limits)
  }

  /** Whether the topics of such a registration would matter; if not, they need not even be read. */
  needsTopics(head: RegistrationHead): boolean {
    const group = this.#brokers.group(head.brokerName)
    return !rightfulHolder(group, head) && this.#topicsWanted(head) !== 'none'
  }

  /**
   * Takes in the broker itself. Its topics are to follow in any number of `applyTopics`, then `completeRegistration`.
   * @throws RegistrationRefused, with nothing changed.
   */
  beginRegistration(head: RegistrationHead, now: number): BegunRegistration | IgnoredRegistration {
    this.#checkHead(head)
    const group = this.#brokers.group(head.brokerName)
    const holder = rightfulHolder(group, head) ?? this.#brokers.latecomer(head, now)
    if (holder) return { result: 'ignored', holderAddr: holder.addr, holderStateVersion: holder.stateVersion }

    const topics = this.#topicsWanted(head)
    const known = this.#brokers.find(head.clusterName, head.brokerAddr)
    const lowestBefore = group && lowestId(group)
    const { broker, replaced } = this.#brokers.enter(head, now)
    const removal = replaced.length > 0 ? this.#remove(replaced, 'replaced') : undefined
    this.#describeGroup(broker, head)
    const token = this.#startRegistration(broker, head, topics)
    return {
      result: broker !== known ? 'new' : token.repeated ? 'unchanged' : 'changed',
      topics,
      token,
      ...masterFor(broker),
      ...(removal && { replaced: removal }),
      changes: [...(removal?.changes ?? []), ...broughtLowerId(broker, lowestBefore)],
    }
  }

  /** Puts some topics of a registration into the table; false if the token is not worth anything any more. */
  applyTopics(token: RegistrationToken, topics: Iterable<TopicConfig>): AppliedTopics | false {
    if (!isCurrent(token)) return false
    const applied: AppliedTopics = { added: [], changed: [] }
    if (token.wanted === 'none') return applied
    // Asked again for every slice: a master may have come between the slices of a slave, and its word counts.
    const role = roleIn(token.broker.group, token.broker)
    for (const config of topics) {
      token.count++
      token.listed?.add(config.topicName)
      if (role === 'slave') token.unsettled = token.leftOut = true
      else this.#applyTopic(token, config, role === 'prime-slave' && token.broker.group.enableActingMaster, applied)
    }
    return applied
  }

  /** Counts topics of a registration that the table has exactly so, and that need not be brought; see LastBodies. */
  skipTopics(token: RegistrationToken, count: number): void {
    if (isCurrent(token)) token.count += count
  }

  /** Static topics (5.x), after the topics that they belong to; false as above. */
  applyMappings(token: RegistrationToken, mappings: Iterable<TopicQueueMappingInfo>): boolean {
    if (!isCurrent(token)) return false
    const { group } = token.broker
    for (const info of mappings) {
      token.hasMappings = true
      const topic = this.#topics.find(info.topic)
      const isOwn = info.bname === group.name && topic?.queuesOf(group) !== undefined
      const isWanted = token.wanted === 'all' || (token.wanted === 'missing' && !topic?.mappings.has(info.bname))
      if (topic && isOwn && isWanted) topic.setMapping(info)
    }
    return true
  }

  /**
   * Notes that all topics have been brought; false as above.
   *
   * An increment (Apache's registerIncrementBrokerData) looks like a full registration: it carries the current data
   * version, but only what changed. Two things follow, or topics would stay unknown until the broker's next change:
   * - A broker's first registration with exactly one topic may be an increment that outran the full one after a name
   *   server's restart. Apache 5.x refuses it, which shuts out brokers that have one topic; 4.9 takes its data version
   *   for known and then skips the full one. Here the topic counts, the data version does not.
   * - A data version counts as wholly known only when the same body has come twice, or a second registration with it
   *   has brought nothing new. From then on registrations cost nothing, until somebody else takes topics of this
   *   broker away.
   */
  completeRegistration(token: RegistrationToken, now: number): CompletedRegistration | false {
    if (!isCurrent(token)) return false
    const { broker, wanted, head, count } = token
    const deleted = this.#deleteUnlisted(token)
    broker.dataVersion = head.dataVersion
    broker.lastUpdate = now
    broker.partial &&= wanted !== 'none' && count === 1
    if (wanted !== 'none') {
      broker.settled = token.repeated && !token.unsettled && count !== 1
      broker.checksum = token.leftOut ? undefined : head.checksum
      broker.alterations = token.alterations
    }
    return { deleted }
  }

  #checkHead(head: RegistrationHead): void {
    const { limits } = this.#options
    checkIdentity(head, limits)
    if (this.#brokers.size < limits.maxBrokers || this.#brokers.find(head.clusterName, head.brokerAddr)) return
    throw new RegistrationRefused('TOO_MANY_BROKERS', `${limits.maxBrokers} brokers are registered, which is the limit`)
  }

  #topicsWanted({ clusterName, brokerName, brokerAddr, brokerId, ...head }: RegistrationHead): TopicsWanted {
    const group = this.#brokers.group(brokerName)
    const { enableActingMaster } = head
    if (roleIn(group, { id: brokerId, addr: brokerAddr, enableActingMaster }) === 'slave') return 'none'
    const broker = this.#brokers.find(clusterName, brokerAddr)
    if (!broker || broker.group !== group || broker.id !== brokerId) return 'all'
    if (!broker.dataVersion || !sameDataVersion(broker.dataVersion, head.dataVersion)) return 'all'
    const isWhole = broker.settled || (head.checksum !== undefined && head.checksum === broker.checksum)
    return isWhole && broker.alterations === group.alterations ? 'none' : 'missing'
  }

  #describeGroup({ group }: Broker, { enableActingMaster, zoneName }: RegistrationHead): void {
    // Each member speaks for the group, the last one counts, as in Apache 5.x.
    group.enableActingMaster = enableActingMaster ?? false
    group.zoneName = zoneName
    if (this.#brokers.refreshRow(group)) this.#epoch++
  }

  #startRegistration(broker: Broker, head: RegistrationHead, wanted: TopicsWanted): RegistrationToken {
    const repeated = broker.dataVersion !== undefined && sameDataVersion(broker.dataVersion, head.dataVersion)
    if (!repeated) {
      broker.settled = false
      broker.checksum = undefined
      broker.dataVersion = undefined
    }
    broker.generation = ++this.#generation
    broker.stateVersion = head.dataVersion.stateVersion
    if (head.filterServers) this.#setFilterServers(broker, head.filterServers)
    return {
      broker,
      generation: broker.generation,
      wanted,
      head,
      repeated,
      alterations: broker.group.alterations,
      count: 0,
      unsettled: false,
      leftOut: false,
      hasMappings: false,
      listed: this.#options.deleteTopicWithBrokerRegistration && wanted !== 'none' ? new Set() : undefined,
    }
  }

  #setFilterServers(broker: Broker, servers: readonly string[]): void {
    const known = broker.filterServers
    if (servers.length === known.length && servers.every((server, index) => server === known[index])) return
    broker.filterServers = servers
    this.#epoch++
  }

  #applyTopic(token: RegistrationToken, config: TopicConfig, isReadOnly: boolean, applied: AppliedTopics): void {
    const { group } = token.broker
    const known = this.#topics.find(config.topicName)
    const before = known?.queuesOf(group)
    if (before && token.wanted === 'missing') return
    const perm = isReadOnly ? readOnly(config.perm) : config.perm
    if (before && sameQueues(before, config, perm)) return
    if (!known) checkTopicName(config.topicName, this.#options.limits)
    const after = this.#topics.setQueues(config.topicName, group, config, perm)
    if (!known) applied.added.push(config.topicName)
    if (before) applied.changed.push({ topic: config.topicName, before, after })
    else token.unsettled = true
  }

  #deleteUnlisted(token: RegistrationToken): CompletedRegistration['deleted'] {
    const { listed, hasMappings } = token
    const { group } = token.broker
    const deleted: { topic: string; gone: boolean }[] = []
    if (!listed || hasMappings || roleIn(group, token.broker) === 'slave') return deleted
    for (const topic of this.#topics.of(group)) {
      const taken = listed.has(topic.name) ? undefined : this.#topics.take(topic, group)
      if (taken) deleted.push({ topic: topic.name, gone: taken.gone })
    }
    // The other brokers of the group may still list what this one did not.
    if (deleted.length > 0) [token.alterations, group.alterations] = [token.alterations + 1, group.alterations + 1]
    return deleted
  }

  /** BROKER_HEARTBEAT (904). @returns Whether the broker is registered. */
  heartbeat(cluster: string, addr: string, now: number, peer: number): boolean {
    return this.#refresh(cluster, addr, now, peer) !== undefined
  }

  /** QUERY_DATA_VERSION (322), a sign of life whatever the answer, as in 5.x: its brokers use it as heartbeat. */
  queryDataVersion(
    cluster: string,
    addr: string,
    version: DataVersion | undefined,
    now: number,
    peer: number,
  ): DataVersionAnswer {
    const broker = this.#refresh(cluster, addr, now, peer)
    const stored = broker?.partial ? undefined : broker?.dataVersion
    if (!stored) return { changed: true }
    return { changed: !version || !sameDataVersion(stored, version), stored }
  }

  #refresh(cluster: string, addr: string, now: number, peer: number): Broker | undefined {
    const broker = this.#brokers.find(cluster, addr)
    if (broker) this.#brokers.heard(broker, peer, now)
    return broker
  }

  /**
   * Removes the brokers that hold these addresses under these names, whatever their id, as 5.x.
   * @param peer The connection that asks. A broker that registered on a later connection since stays: it has been
   * started again, and this request is its predecessor's. A connection that never held the broker, such as an
   * administrator's, may unregister it, as on Apache.
   */
  unregister(identities: Iterable<BrokerIdentity>, peer?: number): Unregistration {
    const leaving = new Set<Broker>()
    const missed: BrokerIdentity[] = []
    for (const identity of identities) {
      const broker = this.#brokers.find(identity.clusterName, identity.brokerAddr)
      const isMeant =
        broker?.group.name === identity.brokerName && (peer === undefined || !this.#brokers.isSuperseded(broker, peer))
      if (broker && isMeant) leaving.add(broker)
      else missed.push(identity)
    }
    return { ...this.#remove([...leaving], 'request'), missed }
  }

  /** Removes the brokers of a connection that has ended, except those that were heard on another one. */
  dropPeer(peer: number, now: number, reason: 'channel_closed' | 'channel_idle' = 'channel_closed'): Removal {
    return this.#remove(this.#brokers.drop(peer, now), reason)
  }

  /** Removes the brokers that have been silent for longer than they may. */
  expire(now: number): Removal {
    const silent: Broker[] = []
    for (const brokers of this.#brokers.clusters.values()) {
      for (const broker of brokers.values()) if (isSilent(broker, now)) silent.push(broker)
    }
    return this.#remove(silent, 'timeout')
  }

  #remove(leaving: readonly Broker[], reason: RemovalReason): Removal {
    const brokers: BrokerView[] = []
    const lowestGone = new Map<BrokerGroup, Broker>()
    for (const broker of leaving) {
      brokers.push(viewOf(broker))
      if (broker.id === lowestId(broker.group)) lowestGone.set(broker.group, broker)
      this.#brokers.remove(broker)
    }
    const groups = [...new Set(leaving.map(({ group }) => group))]
    const ended = groups.filter(group => group.brokers.length === 0)
    const topics = this.#topics.endGroups(ended)
    for (const group of groups) this.#lose(group)
    return {
      reason,
      brokers,
      brokerNames: ended.map(({ name }) => name),
      clusters: [...new Set(leaving.map(({ cluster }) => cluster))].filter(name => !this.#brokers.clusters.has(name)),
      ...topics,
      freePeers: [...new Set(leaving.map(({ peer }) => peer))].filter(peer => !this.#brokers.isPeer(peer)),
      changes: Array.from(lowestGone, ([group, broker]) => lostLowestId(group, broker)).flat(),
    }
  }

  /** What remains of a group after a member left. */
  #lose(group: BrokerGroup): void {
    if (group.brokers.length === 0) return
    if (this.#brokers.refreshRow(group)) this.#epoch++
    // Apache 5.x: nobody can write until the master is back; its registration brings the permission back.
    if (group.enableActingMaster && isMasterless(group)) this.#topics.changePermission(group, readOnly)
  }

  /** REGISTER_TOPIC_IN_NAMESRV (217): all queues or, if a broker name is unknown, none. @throws RegistrationRefused */
  registerTopic(name: string, queueDatas: readonly QueueData[]): TopicRegistration {
    if (queueDatas.length === 0) return { result: 'empty' }
    const illegal = queueDatas.find(({ brokerName }) => !this.#brokers.group(brokerName))
    if (illegal) return { result: 'illegal-broker', brokerName: illegal.brokerName }
    checkTopicName(name, this.#options.limits)
    const result = this.#topics.find(name) ? 'exists' : 'new'
    for (const queueData of queueDatas) {
      const group = this.#brokers.group(queueData.brokerName) as BrokerGroup
      this.#topics.setQueues(name, group, queueData)
      group.alterations++
    }
    return { result }
  }

  /** Takes a topic from all brokers, or from those of one cluster. Brokers that still have it bring it back, as in 5.x. */
  deleteTopic(name: string, cluster?: string): TopicDeletion {
    const topic = this.#topics.find(name)
    const members = cluster === undefined ? undefined : this.#brokers.groupsOf(cluster)
    if (!topic) return { brokerNames: [], gone: false }
    const leaving = topic.groups.filter(group => !members || members.has(group))
    for (const group of leaving) {
      this.#topics.take(topic, group)
      group.alterations++
    }
    return { brokerNames: leaving.map(group => group.name), gone: topic.size === 0 }
  }

  /** WIPE_WRITE_PERM_OF_BROKER (205). @returns How many topics the broker name has, read-only ones included. */
  wipeWritePermission(brokerName: string): number {
    const group = this.#brokers.group(brokerName)
    return group ? this.#topics.changePermission(group, readOnly) : 0
  }

  /** ADD_WRITE_PERM_OF_BROKER (327): to read and write and nothing else, as Apache. @returns As above. */
  addWritePermission(brokerName: string): number {
    const group = this.#brokers.group(brokerName)
    return group ? this.#topics.changePermission(group, () => PERM_READ | PERM_WRITE) : 0
  }
}

/** Silent for longer than it may be, or not registered on the connection that another one's end left it to. */
function isSilent({ lastUpdate, timeout, confirmBy }: Broker, now: number): boolean {
  return lastUpdate + timeout < now || (confirmBy !== undefined && confirmBy < now)
}

function readOnly(perm: number): number {
  return perm & ~PERM_WRITE
}

function isCurrent({ broker, generation }: RegistrationToken): boolean {
  return broker.generation === generation
}

function masterFor(broker: Broker): Pick<BegunRegistration, 'masterAddr' | 'haServerAddr'> {
  const master = isMaster(broker.id) ? undefined : masterOf(broker.group)
  if (!master) return {}
  const { addr, haServerAddr } = master
  return { masterAddr: addr, ...(haServerAddr !== undefined && { haServerAddr }) }
}
