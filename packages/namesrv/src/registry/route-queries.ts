import { inSlices } from '@gantrymq/daemon'
import type { ClusterInfo } from '@gantrymq/protocol'
import type { Long, Sliced } from '@gantrymq/remoting'
import { type BrokerView, viewOf } from './broker-changes.ts'
import type { RouteTable } from './route-table.ts'
import type { Topic } from './topic.ts'

/** Read-only queries on a route table, for the list requests, HTTP pages and metrics. */

const UNIT_FLAG = 1
const UNIT_SUB_FLAG = 2

/** GET_ALL_TOPIC_LIST_FROM_NAMESERVER (206). */
export function allTopics(table: RouteTable): Sliced<ReadonlySet<string>> {
  return topicsWhere(table, () => true)
}

/** GET_TOPICS_BY_CLUSTER (224): topics of any broker name of the cluster; none for an unknown one. */
export function topicsOfCluster(table: RouteTable, cluster: string): Sliced<ReadonlySet<string>> {
  const members = table.brokers.groupsOf(cluster)
  return topicsWhere(table, topic => topic.groups.some(group => members.has(group)))
}

// Apache checks the flag of one broker only, the first in its hash table; here every broker's flag counts.

/** GET_UNIT_TOPIC_LIST (311). */
export function unitTopics(table: RouteTable): Sliced<ReadonlySet<string>> {
  return topicsWhere(table, topic => hasFlag(topic, UNIT_FLAG))
}

/** GET_HAS_UNIT_SUB_TOPIC_LIST (312). */
export function unitSubTopics(table: RouteTable): Sliced<ReadonlySet<string>> {
  return topicsWhere(table, topic => hasFlag(topic, UNIT_SUB_FLAG))
}

/** GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST (313): topics with unit subscriptions that are not unit topics themselves. */
export function unitSubUnUnitTopics(table: RouteTable): Sliced<ReadonlySet<string>> {
  return topicsWhere(table, topic => hasFlag(topic, UNIT_SUB_FLAG) && !hasFlag(topic, UNIT_FLAG))
}

function hasFlag(topic: Topic, flag: number): boolean {
  return topic.queues.some(({ queueData }) => (queueData.topicSysFlag & flag) !== 0)
}

/** Topics examined in one slice. Each may have hundreds of groups. */
const TOPICS_PER_SLICE = 100

/** A topic that comes back between two slices is met twice, but is in the set once. */
function* topicsWhere(table: RouteTable, isWanted: (topic: Topic) => boolean): Sliced<ReadonlySet<string>> {
  const names = new Set<string>()
  const note = (topic: Topic): void => {
    if (topic.isLive && isWanted(topic)) names.add(topic.name)
  }
  yield* inSlices(table.topics.values(), note, TOPICS_PER_SLICE)
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
export function* brokerNamesOfTopic(table: RouteTable, topic: string): Generator<string, void, void> {
  for (const group of table.topics.get(topic)?.groups ?? []) yield group.name
}
