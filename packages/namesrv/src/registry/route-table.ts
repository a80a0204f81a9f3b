import {
  type DataVersion,
  isMaster,
  type QueueData,
  type TopicConfig,
  type TopicQueueMappingInfo,
  type TopicRoute,
} from '@gantrymq/protocol'
import { PERM_READ, PERM_WRITE, sameDataVersion } from '@gantrymq/protocol'
import { finish, type Sliced } from '@gantrymq/remoting'
import { BrokerDirectory } from './broker-directory.ts'
import {
  broughtLowerId,
  type BrokerView,
  type GoneTopic,
  lostLowestId,
  type Removal,
  type RemovalReason,
  viewOf,
} from './broker-changes.ts'
import { type Broker, type BrokerGroup, isMasterless, lowestId, masterOf, roleIn } from './broker-group.ts'
import { type QueueSettings, sameQueues } from './queue-settings.ts'
import {
  type AppliedTopics,
  type BegunRegistration,
  type BrokerIdentity,
  type BrokerRegistration,
  checkHead,
  checkMappings,
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
  holderOfHigherState,
  type TopicsWanted,
} from './registration.ts'
import { routeOfTopic } from './topic-route.ts'
import { type TopicDeletion, TopicDirectory, type TopicRegistration } from './topic-directory.ts'
import type { LiveTopic, Topic } from './topic.ts'

/** Topics of a broker that are compared with its registration in one slice. */
const TOPICS_PER_SLICE = 500

export interface RouteTableOptions {
  /** In a group without a master, show the slave with the lowest id as the master. Default false. */
  readonly supportActingMaster: boolean
  /** Delete a broker's topics that its registration does not list. Default false. */
  readonly deleteTopicWithBrokerRegistration: boolean
  readonly limits: RegistrationLimits
}

export interface Unregistration extends Removal {
  /** Named in the request but not removed: not registered, or registered again since on a newer connection. */
  readonly missed: readonly BrokerIdentity[]
}

/**
 * The live brokers and their topics: Apache's RouteInfoManager as plain state. The table has no sockets and no timers.
 * Callers pass the time as elapsed milliseconds (`Clock.elapsed`), and a connection as a number that grows with each
 * accepted one.
 *
 * The table needs no locks: every method is synchronous and therefore atomic. A large registration takes several calls.
 * Between them other requests can see some of its topics, but never a data version that promises all of them.
 *
 * Invariant: every live topic has a group, every group a broker, every broker a cluster. A broker that expires, unregisters
 * or is replaced takes with it everything that only it had, including static-topic mappings and filter servers.
 */
export class RouteTable {
  readonly #topics = new TopicDirectory()
  readonly #brokers = new BrokerDirectory()
  /** The groups that have ended, and whose topics are still to be dropped, each with the broker that left last. */
  readonly #ended = new Map<BrokerGroup, Omit<GoneTopic, 'topic'>>()
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
    // The new options can change what registrations do, so the next one of each broker is read again.
    for (const group of this.#brokers.groups.values()) group.alterations++
  }

  /** Grows whenever brokers, their flags, zones or filter servers change what routes show. */
  get epoch(): number {
    return this.#epoch
  }

  /**
   * A cached route is valid while this method returns the same object with the same revision and the epoch is the
   * same.
   */
  topic(name: string): LiveTopic | undefined {
    return this.#topics.find(name)
  }

  routeOf(name: string): TopicRoute | undefined {
    const topic = this.#topics.find(name)
    return topic && routeOfTopic(topic, this.#options.supportActingMaster)
  }

  /** For read-only views. Topics that are not live are about to be dropped. */
  get topics(): ReadonlyMap<string, Topic> {
    return this.#topics.all
  }

  /** For read-only views. */
  get brokers(): Pick<BrokerDirectory, 'groups' | 'clusters' | 'groupsOf' | 'size' | 'find' | 'isPeer'> {
    return this.#brokers
  }

  /** Registers a broker and all its topics in one call. @throws RegistrationRefused; nothing has changed then. */
  registerBroker(registration: BrokerRegistration, now: number): RegisterOutcome {
    const { body, ...identity } = registration
    const head = { ...identity, dataVersion: body.dataVersion, filterServers: body.filterServers }
    if (this.needsTopics(head)) {
      this.checkTopics(body.topics.values(), body.topics.size)
      this.checkMappings(body.topicQueueMappings.values(), body.topicQueueMappings.size)
    }
    const begun = this.beginRegistration(head, now)
    if (begun.result === 'ignored') return begun
    const applied = this.applyTopics(begun.token, body.topics.values())
    this.applyMappings(begun.token, body.topicQueueMappings.values())
    const completed = this.completeRegistration(begun.token, now)
    // No other call can run in between, so neither of the two is false.
    return { ...begun, ...(applied as AppliedTopics), ...(completed as CompletedRegistration) }
  }

  /**
   * Checks some topics of a registration, before `beginRegistration`.
   * @param count How many topics the registration has.
   * @throws RegistrationRefused
   */
  checkTopics(topics: Iterable<TopicConfig>, count: number): void {
    checkTopics(topics, count, this.#options.limits)
  }

  /**
   * Checks some static topics of a registration, before `beginRegistration`.
   * @param count How many static topics the registration has.
   * @throws RegistrationRefused
   */
  checkMappings(mappings: Iterable<TopicQueueMappingInfo>, count: number): void {
    checkMappings(mappings, count, this.#options.limits)
  }

  /** Whether the table needs the topics of this registration. If not, the caller need not read them. */
  needsTopics(head: RegistrationHead): boolean {
    const group = this.#brokers.group(head.brokerName)
    return !holderOfHigherState(group, head) && this.#topicsWanted(head) !== 'none'
  }

  /**
   * Registers the broker without its topics. The caller then passes the topics in any number of calls of `applyTopics`,
   * and ends with `completeRegistration`.
   * @throws RegistrationRefused; nothing has changed then.
   */
  beginRegistration(head: RegistrationHead, now: number): BegunRegistration | IgnoredRegistration {
    this.#checkHead(head)
    const group = this.#brokers.group(head.brokerName)
    const holder = holderOfHigherState(group, head) ?? this.#brokers.supersedingBroker(head, now)
    if (holder) return { result: 'ignored', holderAddr: holder.addr, holderStateVersion: holder.stateVersion }

    const topics = this.#topicsWanted(head)
    const known = this.#brokers.find(head.clusterName, head.brokerAddr)
    const lowestBefore = group && lowestId(group)
    const { broker, replaced } = this.#brokers.register(head, now)
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

  /** Puts some topics of a registration into the table. Returns false if the token is no longer valid. */
  applyTopics(token: RegistrationToken, topics: Iterable<TopicConfig>): AppliedTopics | false {
    if (!isCurrent(token)) return false
    const applied: AppliedTopics = { added: [], changed: [] }
    if (token.wanted === 'none') return applied
    // A master may have registered since the last slice of a slave, and then the topics of the slave no longer count.
    const role = roleIn(token.broker.group, token.broker)
    for (const config of topics) {
      token.count++
      token.listed?.add(config.topicName)
      if (role === 'slave') token.unsettled = token.leftOut = true
      else this.#applyTopic(token, config, role === 'prime-slave' && token.broker.group.enableActingMaster, applied)
    }
    return applied
  }

  /** Counts topics that the caller does not pass because the table has them exactly as registered; see LastBodies. */
  skipTopics(token: RegistrationToken, count: number): void {
    if (isCurrent(token)) token.count += count
  }

  /** Adds the mappings of static topics (5.x), after the topics that they belong to. Returns false as `applyTopics`. */
  applyMappings(token: RegistrationToken, mappings: Iterable<TopicQueueMappingInfo>): boolean {
    if (!isCurrent(token)) return false
    const { group } = token.broker
    for (const info of mappings) {
      token.hasMappings = true
      const topic = this.#topics.find(info.topic)
      const isOwn = info.bname === group.name && topic?.queuesOf(group) !== undefined
      const isWanted = token.wanted === 'all' || (token.wanted === 'missing' && !topic?.mappings.has(group))
      if (topic && isOwn && isWanted) topic.setMapping(group, info)
    }
    return true
  }

  /**
   * Ends a registration whose topics have all been passed. Returns false as `applyTopics`.
   *
   * An increment (Apache's registerIncrementBrokerData) looks like a full registration: it carries the current data
   * version, but only the changed topics. Two rules prevent that topics stay unknown until the broker's next change:
   * - A broker's first registration with exactly one topic may be an increment that arrived before the full one after a
   *   restart of the name server. Apache 5.x refuses it, which shuts out brokers that have one topic; 4.9 takes its data
   *   version as known and then skips the full registration. Here the topic counts, but the data version does not.
   * - A data version counts as fully known only when the same body has arrived twice, or when a second registration with
   *   it has added nothing. From then on the topics of registrations with it are not read, until the topics of the group
   *   change in another way, such as by a deletion.
   */
  completeRegistration(token: RegistrationToken, now: number): CompletedRegistration | false {
    return finish(this.completeInSlices(token, now))
  }

  /** As `completeRegistration`, in slices: with deleteTopicWithBrokerRegistration thousands of topics may be deleted. */
  *completeInSlices(token: RegistrationToken, now: number): Sliced<CompletedRegistration | false> {
    const deleted = yield* this.#deleteUnlisted(token)
    if (!isCurrent(token)) return false
    const { broker, wanted, head, count } = token
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

  /** Whether nothing else has changed the topics of the broker's group since the registration began. */
  isUndisturbed({ broker, writes }: RegistrationToken): boolean {
    return broker.group.writes === writes
  }

  #checkHead(head: RegistrationHead): void {
    const { limits } = this.#options
    checkHead(head, limits)
    const why = this.#brokers.whyFull(head, limits)
    if (why !== undefined) throw new RegistrationRefused('TOO_MANY_BROKERS', why)
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
    // The last registration of any member sets these for the whole group, as in Apache 5.x.
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
      writes: broker.group.writes,
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
    this.#topics.setQueues(config.topicName, group, config, perm)
    token.writes++
    if (!known) applied.added.push(config.topicName)
    if (before) {
      const after = settingsOf(config, perm)
      applied.changed.push({ topic: config.topicName, before: settingsOf(before, before.perm), after })
    } else token.unsettled = true
  }

  *#deleteUnlisted(token: RegistrationToken): Sliced<CompletedRegistration['deleted']> {
    const { listed, hasMappings } = token
    const { group } = token.broker
    const deleted: { topic: string; gone: boolean }[] = []
    if (!listed || hasMappings || !isCurrent(token) || roleIn(group, token.broker) === 'slave') return deleted
    const topics = this.#topics.of(group)
    for (let index = 0; index < topics.length; index++) {
      if (index % TOPICS_PER_SLICE === TOPICS_PER_SLICE - 1) yield
      if (!isCurrent(token)) break
      const topic = topics[index] as Topic
      const taken = listed.has(topic.name) ? undefined : this.#topics.remove(topic, group)
      if (!taken) continue
      token.writes++
      deleted.push({ topic: topic.name, gone: taken.gone })
    }
    // Other brokers of the group may still list the deleted topics, so their next registrations are read again.
    if (deleted.length > 0) [token.alterations, group.alterations] = [token.alterations + 1, group.alterations + 1]
    return deleted
  }

  /** BROKER_HEARTBEAT (904). @returns Whether the broker is registered. */
  heartbeat(cluster: string, addr: string, now: number, peer: number): boolean {
    return this.#refresh(cluster, addr, now, peer) !== undefined
  }

  /** QUERY_DATA_VERSION (322). It counts as a heartbeat whatever the answer is: 5.x brokers use it as one. */
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
   * Removes the brokers that are registered with these clusters, names and addresses, whatever their ids, as 5.x does.
   * @param peer The connection that sent the request. A broker that has since registered on a newer connection stays: it
   * was restarted, and the request is from its previous process. A connection that never held the broker, such as an
   * administrator's, may unregister it, as with Apache.
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

  /** Removes the brokers of a connection that has ended, except those that were also heard on another one. */
  dropPeer(peer: number, now: number, reason: 'channel_closed' | 'channel_idle' = 'channel_closed'): Removal {
    return this.#remove(this.#brokers.drop(peer, now), reason)
  }

  /** Removes the brokers that sent no heartbeat or registration within their timeout. */
  expire(now: number): Removal {
    const silent: Broker[] = []
    for (const brokers of this.#brokers.clusters.values()) {
      for (const broker of brokers.values()) if (hasExpired(broker, now)) silent.push(broker)
    }
    return this.#remove(silent, 'timeout')
  }

  #remove(leaving: readonly Broker[], reason: RemovalReason): Removal {
    const brokers: BrokerView[] = []
    const lowestGone = new Map<BrokerGroup, Broker>()
    const lastOf = new Map<BrokerGroup, BrokerView>()
    for (const broker of leaving) {
      const view = viewOf(broker)
      brokers.push(view)
      lastOf.set(broker.group, view)
      if (broker.id === lowestId(broker.group)) lowestGone.set(broker.group, broker)
      this.#brokers.remove(broker)
    }
    const brokerNames: string[] = []
    for (const [group, broker] of lastOf) {
      if (group.brokers.length > 0) this.#updateAfterDeparture(group)
      else {
        brokerNames.push(group.name)
        this.#end(group, { broker, reason })
      }
    }
    return {
      reason,
      brokers,
      brokerNames,
      clusters: [...new Set(leaving.map(({ cluster }) => cluster))].filter(name => !this.#brokers.clusters.has(name)),
      freePeers: [...new Set(leaving.map(({ peer }) => peer))].filter(peer => !this.#brokers.isPeer(peer)),
      changes: Array.from(lowestGone, ([group, broker]) => lostLowestId(group, broker)).flat(),
    }
  }

  /** Hides a group without brokers from routes. */
  #end(group: BrokerGroup, by: Omit<GoneTopic, 'topic'>): void {
    this.#ended.set(group, by)
    this.#topics.end(group)
    if (group.topicCount > 0) this.#epoch++
  }

  /** Whether topics of brokers that left wait for `dropEnded`. */
  get hasEnded(): boolean {
    return this.#ended.size > 0
  }

  /**
   * Removes, in slices, the topics of groups whose last broker left, until there are none. Routes and registrations do
   * not depend on it: they do not see these groups.
   * @param onGone Called for each topic that no broker has any more.
   * @param size How many topics are visited in one slice. Each may have hundreds of groups. Default 100.
   */
  *dropEnded(onGone: (gone: GoneTopic) => void, size = 100): Sliced<void> {
    const onGoneFrom = (topic: string, last: BrokerGroup): void => {
      const by = this.#ended.get(last)
      if (by) onGone({ topic, ...by })
    }
    for (const group of this.#ended.keys()) {
      yield* this.#topics.dropEnded(group, onGoneFrom, size)
      this.#ended.delete(group)
      yield
    }
  }

  /** A topic that no broker has any more and that is not dropped yet. */
  goneTopic(topic: string): GoneTopic | undefined {
    const known = this.#topics.all.get(topic)
    const last = known?.isLive === false ? known.lastEnded : undefined
    const by = last && this.#ended.get(last)
    return by && { topic, ...by }
  }

  /** Updates a group after a member left. */
  #updateAfterDeparture(group: BrokerGroup): void {
    if (this.#brokers.refreshRow(group)) this.#epoch++
    // As in Apache 5.x, the topics are read-only until the master is back; its registration restores the permission.
    if (group.enableActingMaster && isMasterless(group)) this.#changePermission(group, readOnly)
  }

  /** Changes the permission of all topics of a group. @returns How many topics it has. */
  #changePermission(group: BrokerGroup, change: (perm: number) => number): number {
    if (group.queues.changePermission(change)) {
      group.writes++
      this.#epoch++
    }
    return group.topicCount
  }

  /**
   * REGISTER_TOPIC_IN_NAMESRV (217). Stores all queues, or none if a broker name is unknown. @throws
   * RegistrationRefused
   */
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

  /**
   * Deletes a topic from all brokers, or from those of one cluster. Brokers that still have it register it again, as
   * in 5.x.
   */
  deleteTopic(name: string, cluster?: string): TopicDeletion {
    const topic = this.#topics.find(name)
    const members = cluster === undefined ? undefined : this.#brokers.groupsOf(cluster)
    if (!topic) return { brokerNames: [], gone: false }
    const leaving = topic.groups.filter(group => !members || members.has(group))
    for (const group of leaving) {
      this.#topics.remove(topic, group)
      group.alterations++
    }
    return { brokerNames: leaving.map(group => group.name), gone: !topic.isLive }
  }

  /** WIPE_WRITE_PERM_OF_BROKER (205). @returns How many topics the broker name has, read-only ones included. */
  wipeWritePermission(brokerName: string): number {
    const group = this.#brokers.group(brokerName)
    if (group === undefined) return 0
    group.isWiped = true
    return this.#changePermission(group, readOnly)
  }

  /** ADD_WRITE_PERM_OF_BROKER (327). Sets the permission to read and write only, as Apache does. @returns As above. */
  addWritePermission(brokerName: string): number {
    const group = this.#brokers.group(brokerName)
    if (group === undefined) return 0
    group.isWiped = false
    return this.#changePermission(group, () => PERM_READ | PERM_WRITE)
  }
}

/** Whether the broker exceeded its timeout, or did not register in time on the connection that inherited it. */
function hasExpired({ lastUpdate, timeout, confirmBy }: Broker, now: number): boolean {
  return lastUpdate + timeout < now || (confirmBy !== undefined && confirmBy < now)
}

function readOnly(perm: number): number {
  return perm & ~PERM_WRITE
}

function settingsOf({ readQueueNums, writeQueueNums, topicSysFlag }: QueueSettings, perm: number): QueueSettings {
  return { readQueueNums, writeQueueNums, perm, topicSysFlag }
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
