import { brokerNamesOf, liveBrokers } from './route-queries.ts'
import type { RouteTable } from './route-table.ts'
import type { ClusterView, NameServerStatus } from './status.ts'

/** What the table knows of a name server's status; the rest comes from the server itself. */
export type TableStatus = Pick<
  NameServerStatus,
  'clusters' | 'brokerCount' | 'brokers' | 'topicCount' | 'topics' | 'brokersOfTopic' | 'route'
>

export function tableStatus(table: RouteTable): TableStatus {
  return {
    clusters: () => clusterViews(table),
    brokerCount: () => table.brokers.size,
    brokers: () => liveBrokers(table),
    topicCount: () => table.topics.size,
    topics: () => table.topics.keys(),
    brokersOfTopic: topic => brokerNamesOfTopic(table, topic),
    route: topic => table.routeOf(topic),
  }
}

function* clusterViews(table: RouteTable): Generator<ClusterView, void, void> {
  for (const cluster of table.brokers.clusters.keys()) yield { cluster, brokerNames: brokerNamesOf(table, cluster) }
}

/** One by one: those who count topics need only the first few names of hundreds. */
function* brokerNamesOfTopic(table: RouteTable, topic: string): Generator<string, void, void> {
  for (const group of table.topics.get(topic)?.groups ?? []) yield group.name
}
