import { inSlices, isLabel, type MetricFamily, NameLimit, type Sample, singleSeries } from '@gantrymq/daemon'
import { isMaster } from '@gantrymq/protocol'
import type { Sliced } from '@gantrymq/remoting'
import type { BrokerView } from '../registry/broker-changes.ts'
import type { NameServerStatus } from '../status.ts'

/** How many names that peers chose one scrape shows, by kind. */
export interface SeriesLimits {
  readonly clusters: number
  readonly brokers: number
  readonly namespaces: number
}

export const seriesLimits: SeriesLimits = { clusters: 100, brokers: 1000, namespaces: 100 }

/** Gauges of what is registered now. They are counted at the scrape, so that they cost registrations nothing. */
export function* registryGauges(
  status: NameServerStatus,
  now: number,
  limits: SeriesLimits = seriesLimits,
): Sliced<MetricFamily[]> {
  const brokers: BrokerView[] = []
  yield* inSlices(status.brokers(), broker => brokers.push(broker))
  const clusters = new NameLimit(limits.clusters)
  const ages = brokerAges(brokers, now, limits.brokers)
  return [
    singleSeries('gauge', 'rocketmq_nameserver_ready', '1 while clients are served.', status.readiness().ready ? 1 : 0),
    brokerCounts(brokers, clusters),
    ages.family,
    ...(yield* topicCounts(status, brokers, clusters)),
    kvConfigs(status, limits.namespaces),
    connections(status),
    frameMemory(status),
    {
      type: 'gauge',
      name: 'rocketmq_nameserver_series_omitted',
      help: 'Series left out of a metric because of its limit.',
      samples: [{ labels: { metric: 'broker_last_update_age_seconds' }, value: ages.omitted }],
    },
  ]
}

function brokerCounts(brokers: readonly BrokerView[], clusters: NameLimit): MetricFamily {
  const counts = new Map<string, { master: number; slave: number }>()
  for (const broker of brokers) {
    const cluster = clusters.label(broker.cluster)
    const count = counts.get(cluster) ?? { master: 0, slave: 0 }
    counts.set(cluster, count)
    count[isMaster(broker.brokerId) ? 'master' : 'slave']++
  }
  const samples = Array.from(counts).flatMap(([cluster, { master, slave }]) => [
    { labels: { cluster, role: 'master' }, value: master },
    { labels: { cluster, role: 'slave' }, value: slave },
  ])
  return { type: 'gauge', name: 'rocketmq_nameserver_brokers', help: 'Brokers registered now.', samples }
}

function brokerAges(brokers: readonly BrokerView[], now: number, limit: number) {
  const shown = brokers.filter(({ cluster, brokerName }) => isLabel(cluster) && isLabel(brokerName)).slice(0, limit)
  const samples: Sample[] = shown.map(({ cluster, brokerName, brokerId, lastUpdate }) => ({
    labels: { cluster, broker: brokerName, broker_id: String(brokerId) },
    value: Math.max(0, now - lastUpdate) / 1000,
  }))
  const family: MetricFamily = {
    type: 'gauge',
    name: 'rocketmq_nameserver_broker_last_update_age_seconds',
    help: 'Time since the last registration or heartbeat of a broker.',
    samples,
  }
  return { family, omitted: brokers.length - samples.length }
}

interface TopicCount {
  topics: number
  withoutMaster: number
}

/** Clusters, each with whether a master in it is registered. */
type MasterByCluster = Map<string, boolean>

function* topicCounts(
  status: NameServerStatus,
  brokers: readonly BrokerView[],
  clusters: NameLimit,
): Sliced<MetricFamily[]> {
  // By broker name; one name may be in several clusters.
  const clustersByName = new Map<string, MasterByCluster>()
  const counts = new Map<string, TopicCount>()
  for (const { brokerName, brokerId, ...broker } of brokers) {
    const cluster = clusters.label(broker.cluster)
    const clustersOfName = clustersByName.get(brokerName) ?? new Map<string, boolean>()
    clustersOfName.set(cluster, clustersOfName.get(cluster) === true || isMaster(brokerId))
    clustersByName.set(brokerName, clustersOfName)
    counts.set(cluster, { topics: 0, withoutMaster: 0 })
  }
  // A topic may have hundreds of brokers, so a slice has fewer topics than usual.
  yield* inSlices(status.topics(), topic => countTopic(status.brokersOfTopic(topic), clustersByName, counts), 50)
  return [
    byCluster('rocketmq_topic_number', 'Known topics, including system topics.', counts, count => count.topics),
    byCluster(
      'rocketmq_nameserver_topics_without_master',
      'Topics that no master serves: they can be read but not written.',
      counts,
      count => count.withoutMaster,
    ),
  ]
}

function countTopic(
  brokerNames: Iterable<string>,
  clustersByName: ReadonlyMap<string, MasterByCluster>,
  counts: ReadonlyMap<string, TopicCount>,
): void {
  const masterByCluster: MasterByCluster = new Map()
  let complete = 0
  for (const brokerName of brokerNames) {
    for (const [cluster, hasMaster] of clustersByName.get(brokerName) ?? []) {
      const before = masterByCluster.get(cluster) === true
      masterByCluster.set(cluster, before || hasMaster)
      if (hasMaster && !before) complete++
    }
    // The other brokers cannot change the counts; with one cluster this is so after the first master.
    if (complete === counts.size) break
  }
  for (const [cluster, hasMaster] of masterByCluster) {
    const count = counts.get(cluster)
    if (!count) continue
    count.topics++
    if (!hasMaster) count.withoutMaster++
  }
}

function byCluster(
  name: string,
  help: string,
  counts: ReadonlyMap<string, TopicCount>,
  read: (count: TopicCount) => number,
): MetricFamily {
  const samples = Array.from(counts, ([cluster, count]) => ({ labels: { cluster }, value: read(count) }))
  return { type: 'gauge', name, help, samples }
}

function kvConfigs(status: NameServerStatus, limit: number): MetricFamily {
  const namespaces = new NameLimit(limit)
  const counts = new Map<string, number>()
  for (const [namespace, entries] of status.kvConfigs()) {
    const label = namespaces.label(namespace)
    counts.set(label, (counts.get(label) ?? 0) + entries)
  }
  const samples = Array.from(counts, ([namespace, value]) => ({ labels: { namespace }, value }))
  return { type: 'gauge', name: 'rocketmq_nameserver_kv_configs', help: 'Entries of the KV configuration.', samples }
}

function connections(status: NameServerStatus): MetricFamily {
  const samples = Object.entries(status.connections()).map(([type, value]) => ({ labels: { type }, value }))
  return { type: 'gauge', name: 'rocketmq_nameserver_connections', help: 'Open connections.', samples }
}

function frameMemory(status: NameServerStatus): MetricFamily {
  const samples = Object.entries(status.frameMemory()).map(([type, value]) => ({ labels: { type }, value }))
  const help = 'Unfinished frames and requests in progress, and replies that peers have not read.'
  return { type: 'gauge', name: 'rocketmq_nameserver_frame_memory_bytes', help, samples }
}
