import {
  type BrokerData,
  isReadable,
  isWriteable,
  MASTER_ID,
  type QueueData,
  type TopicRoute,
} from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import type { MessageQueue } from '../message/message.ts'

/** The most queues per topic and broker that a route may name. No broker has nearly as many. */
const MAX_QUEUES = 65_536

/**
 * The queues to send to: those of `orderTopicConf` in its order, else the writable queues of all brokers with a master, by
 * broker name (Apache's topicRouteData2TopicPublishInfo). Empty for static topics, see `staticTopicProblem`.
 * @throws ClientError BAD_BODY if the route is implausible
 */
export function publishQueues(topic: string, route: TopicRoute): MessageQueue[] {
  if (route.orderTopicConf) return orderedQueues(topic, route.orderTopicConf)
  if (isStatic(route)) return []
  const masters = new Set(route.brokerDatas.filter(hasMaster).map(broker => broker.brokerName))
  return sortedByBroker(route.queueDatas)
    .filter(queues => isWriteable(queues.perm) && masters.has(queues.brokerName))
    .flatMap(queues => queuesOf(topic, queues.brokerName, queues.writeQueueNums))
}

/**
 * The queues to read from, also those of brokers without a master (Apache's topicRouteData2TopicSubscribeInfo). Empty for
 * static topics.
 * @throws ClientError BAD_BODY if the route is implausible
 */
export function readQueues(topic: string, route: TopicRoute): MessageQueue[] {
  if (isStatic(route)) return []
  return route.queueDatas
    .filter(queues => isReadable(queues.perm))
    .flatMap(queues => queuesOf(topic, queues.brokerName, queues.readQueueNums))
}

/** A sentence that says why a topic cannot be used, if it is a static (logical) topic of 5.x; else null. */
export function staticTopicProblem(topic: string, route: TopicRoute): string | null {
  if (!isStatic(route)) return null
  return `the topic ${JSON.stringify(topic)} is a static topic of RocketMQ 5, whose queues move between brokers; this client does not support them`
}

/** @throws ClientError UNSUPPORTED for static topics */
export function refuseStatic(topic: string, route: TopicRoute): void {
  const problem = staticTopicProblem(topic, route)
  if (problem !== null) throw new ClientError('UNSUPPORTED', problem)
}

function isStatic(route: TopicRoute): boolean {
  return (route.topicQueueMappingByBroker?.size ?? 0) > 0
}

function hasMaster(broker: BrokerData): boolean {
  return broker.brokerAddrs.has(MASTER_ID)
}

function orderedQueues(topic: string, orderTopicConf: string): MessageQueue[] {
  return orderTopicConf
    .split(';')
    .filter(part => part !== '')
    .flatMap(part => {
      const [brokerName = '', count = ''] = part.split(':')
      if (!/^\d{1,9}$/.test(count)) throw badRoute(topic, `its orderTopicConf ${JSON.stringify(orderTopicConf)}`)
      return queuesOf(topic, brokerName, Number(count))
    })
}

function queuesOf(topic: string, brokerName: string, count: number): MessageQueue[] {
  if (count > MAX_QUEUES) throw badRoute(topic, `${count} queues on ${brokerName}`)
  return Array.from({ length: Math.max(0, count) }, (_, queueId) => ({ topic, brokerName, queueId }))
}

function badRoute(topic: string, what: string): ClientError {
  return new ClientError('BAD_BODY', `the name server's route of ${JSON.stringify(topic)} cannot be used: ${what}`)
}

function compareStrings(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function sortedByBroker<T extends { readonly brokerName: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => compareStrings(a.brokerName, b.brokerName))
}

/** True if two routes are equivalent. Cluster names do not count, as in Apache's TopicRouteData.topicRouteDataChanged. */
export function sameRoute(a: TopicRoute, b: TopicRoute): boolean {
  if (a === b) return true
  return (
    a.orderTopicConf === b.orderTopicConf &&
    sameItems(sortedByBroker(a.queueDatas), sortedByBroker(b.queueDatas), sameQueueData) &&
    sameItems(sortedByBroker(a.brokerDatas), sortedByBroker(b.brokerDatas), sameBroker) &&
    sameMap(a.filterServerTable, b.filterServerTable, (a, b) => sameItems(a, b, Object.is)) &&
    sameMap(a.topicQueueMappingByBroker, b.topicQueueMappingByBroker, sameMapping)
  )
}

function sameQueueData(a: QueueData, b: QueueData): boolean {
  return (
    a.brokerName === b.brokerName &&
    a.perm === b.perm &&
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.topicSysFlag === b.topicSysFlag
  )
}

function sameBroker(a: BrokerData, b: BrokerData): boolean {
  return a.brokerName === b.brokerName && sameMap(a.brokerAddrs, b.brokerAddrs, Object.is)
}

type Mapping = NonNullable<TopicRoute['topicQueueMappingByBroker']> extends ReadonlyMap<string, infer M> ? M : never

function sameMapping(a: Mapping, b: Mapping): boolean {
  return (
    a.topic === b.topic &&
    a.scope === b.scope &&
    a.totalQueues === b.totalQueues &&
    a.bname === b.bname &&
    a.epoch === b.epoch &&
    a.dirty === b.dirty &&
    sameMap(a.currIdMap, b.currIdMap, Object.is)
  )
}

function sameItems<T>(a: readonly T[], b: readonly T[], same: (a: T, b: T) => boolean): boolean {
  return a.length === b.length && a.every((item, at) => same(item, b[at] as T))
}

function sameMap<K, V>(
  a: ReadonlyMap<K, V> = new Map(),
  b: ReadonlyMap<K, V> = new Map(),
  same: (a: V, b: V) => boolean,
): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.has(key) && same(value, b.get(key) as V))
}

/**
 * The expected route of a topic that a broker will create: that of the default topic, with at most `defaultTopicQueueNums`
 * queues per broker (Apache's updateTopicRouteInfoFromNameServer with isDefault).
 */
export function withDefaultTopic(route: TopicRoute, defaultTopicQueueNums: number): TopicRoute {
  const queueDatas = route.queueDatas.map(queues => {
    const count = Math.min(defaultTopicQueueNums, queues.readQueueNums)
    return { ...queues, readQueueNums: count, writeQueueNums: count }
  })
  return { ...route, queueDatas }
}

/** The names of a route's brokers. */
export function brokersOf(route: TopicRoute): string[] {
  return route.brokerDatas.map(broker => broker.brokerName)
}

/**
 * An address that answers questions about a topic: the master of any of its brokers, else one of that broker's slaves
 * (Apache's findBrokerAddrByTopic). `random` returns 0 to below 1. Undefined if the route has no address.
 */
export function anyBrokerAddress(route: TopicRoute, random: () => number): string | undefined {
  const broker = oneOf(
    route.brokerDatas.filter(broker => broker.brokerAddrs.size > 0),
    random,
  )
  return broker && addressOf(broker, random)
}

/** One address per broker of a route: the master's, else a slave's. */
export function brokerAddresses(route: TopicRoute, random: () => number): string[] {
  return route.brokerDatas.map(broker => addressOf(broker, random)).filter(address => address !== undefined)
}

function addressOf(broker: BrokerData, random: () => number): string | undefined {
  return broker.brokerAddrs.get(MASTER_ID) ?? oneOf([...broker.brokerAddrs.values()], random)
}

function oneOf<T>(items: readonly T[], random: () => number): T | undefined {
  return items[Math.floor(random() * items.length)]
}
