import type { ClusterInfo } from '@gantrymq/protocol'
import type { Long } from '@gantrymq/remoting'
import { type BrokerView, viewOf } from './broker-changes.ts'
import { masterOf } from './broker-group.ts'
import type { RouteTable } from './route-table.ts'
import type { Topic } from './topic.ts'

/** Read-only queries on a route table, for the list requests, HTTP pages and metrics. */

const UNIT_FLAG = 1
const UNIT_SUB_FLAG = 2

/** GET_ALL_TOPIC_LIST_FROM_NAMESERVER (206). */
export function allTopics(table: RouteTable): string[] {
  return [...table.topics.keys()]
}

/** GET_TOPICS_BY_CLUSTER (224): topics of any broker name of the cluster; none for an unknown one. */
export function topicsOfCluster(table: RouteTable, cluster: string): string[] {
  const members = table.brokers.groupsOf(cluster)
  if (members.size === 0) return []
  return topicsWhere(table, topic => topic.groups.some(group => members.has(group)))
}

// Apache checks the flag of one broker only, the first in its hash table; here every broker's flag counts.

/** GET_UNIT_TOPIC_LIST (311). */
export function unitTopics(table: RouteTable): string[] {
  return topicsWhere(table, topic => hasFlag(topic, UNIT_FLAG))
}

/** GET_HAS_UNIT_SUB_TOPIC_LIST (312). */
export function unitSubTopics(table: RouteTable): string[] {
  return topicsWhere(table, topic => hasFlag(topic, UNIT_SUB_FLAG))
}

/** GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST (313): topics with unit subscriptions that are not unit topics themselves. */
export function unitSubUnUnitTopics(table: RouteTable): string[] {
  return topicsWhere(table, topic => hasFlag(topic, UNIT_SUB_FLAG) && !hasFlag(topic, UNIT_FLAG))
}

function hasFlag(topic: Topic, flag: number): boolean {
  return topic.queues.some(({ topicSysFlag }) => (topicSysFlag & flag) !== 0)
}

function topicsWhere(table: RouteTable, isWanted: (topic: Topic) => boolean): string[] {
  const names: string[] = []
  for (const topic of table.topics.values()) if (isWanted(topic)) names.push(topic.name)
  return names
}

/**
 * GET_SYSTEM_TOPIC_LIST_FROM_NS (304): the names of all clusters and brokers, and the address of some broker, which
 * the caller asks for the real system topics.
 */
export function systemTopics(table: RouteTable): { readonly topicList: string[]; readonly brokerAddr?: string } {
  const { clusterAddrTable, brokerAddrTable } = clusterInfo(table)
  const topicList = new Set<string>()
  for (const [cluster, brokerNames] of clusterAddrTable) {
    topicList.add(cluster)
    for (const name of brokerNames) topicList.add(name)
  }
  const [someGroup] = brokerAddrTable.values()
  const [brokerAddr] = someGroup?.brokerAddrs.values() ?? []
  return { topicList: [...topicList], ...(brokerAddr !== undefined && { brokerAddr }) }
}

/** GET_BROKER_CLUSTER_INFO (106). */
export function clusterInfo(table: RouteTable): ClusterInfo {
  const { groups, clusters } = table.brokers
  return {
    brokerAddrTable: new Map(Array.from(groups.values(), group => [group.name, group.row])),
    clusterAddrTable: new Map(Array.from(clusters.keys(), cluster => [cluster, brokerNamesOf(table, cluster)])),
  }
}

/** The broker names of a cluster. */
export function brokerNamesOf(table: RouteTable, cluster: string): string[] {
  return Array.from(table.brokers.groupsOf(cluster), group => group.name)
}

/** GET_BROKER_MEMBER_GROUP (901): addresses by id, none for an unknown name. As in Apache, the cluster is ignored. */
export function brokerMembers(table: RouteTable, brokerName: string): ReadonlyMap<Long, string> {
  return table.brokers.groups.get(brokerName)?.row.brokerAddrs ?? new Map<Long, string>()
}

/** All registered brokers, by cluster. */
export function* liveBrokers(table: RouteTable): Generator<BrokerView, void, void> {
  for (const brokers of table.brokers.clusters.values()) {
    for (const broker of brokers.values()) yield viewOf(broker)
  }
}

/** The broker names that have queues of a topic; none for an unknown one. */
export function brokerNamesOfTopic(table: RouteTable, topic: string): string[] {
  return table.topics.get(topic)?.groups.map(group => group.name) ?? []
}

/** How many topics each cluster has. Iterates over all pairs of topic and broker name. */
export function topicCountByCluster(table: RouteTable): Map<string, number> {
  const counts = new Map<string, number>()
  for (const [cluster] of table.brokers.clusters) counts.set(cluster, topicsOfCluster(table, cluster).length)
  return counts
}

/** Topics without any master among their brokers: clients can read them at most. */
export function topicsWithoutMaster(table: RouteTable): string[] {
  return topicsWhere(table, topic => !topic.groups.some(group => masterOf(group)))
}
