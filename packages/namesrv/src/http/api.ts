import { jsonPage, type Page, pickPart, readPageQuery, Refusal } from '@gantrymq/daemon'
import type { BrokerView } from '../registry/broker-changes.ts'
import { filterByZone } from '../registry/zone-filter.ts'
import type { NameServerStatus } from '../status.ts'
import { explain } from './why.ts'

export async function clustersPage(status: NameServerStatus, query: URLSearchParams): Promise<Page> {
  const { entries, total, next } = await pickPart(status.clusters(), view => view.cluster, readPageQuery(query))
  const clusters = entries.map(({ cluster, brokerNames }) => ({ cluster, brokerNames: [...brokerNames].sort() }))
  return jsonPage({ clusters, total, next })
}

/** Broker processes. `cluster` limits them to one cluster; `prefix` is a prefix of the broker name. */
export async function brokersPage(status: NameServerStatus, query: URLSearchParams, now: number): Promise<Page> {
  const page = readPageQuery(query, ['cluster'])
  const cluster = query.get('cluster')
  const asked = cluster === null ? status.brokers() : filtered(status.brokers(), b => b.cluster === cluster)
  const { entries, total, next } = await pickPart(asked, broker => `${broker.brokerName} ${broker.brokerAddr}`, page)
  return jsonPage({ brokers: entries.map(broker => brokerRow(broker, now)), total, next })
}

function brokerRow({ cluster, brokerName, brokerId, brokerAddr, haServerAddr, ...broker }: BrokerView, now: number) {
  return {
    cluster,
    brokerName,
    brokerId,
    brokerAddr,
    haServerAddr,
    registeredAt: new Date(broker.registeredAt),
    lastUpdateAgeMs: Math.max(0, now - broker.lastUpdate),
    timeoutMs: broker.timeout,
    dataVersion: broker.dataVersion,
    topicCount: broker.topicCount,
  }
}

export async function topicsPage(status: NameServerStatus, query: URLSearchParams): Promise<Page> {
  const { entries, total, next } = await pickPart(status.topics(), topic => topic, readPageQuery(query))
  // Only the number of brokers: a thousand topics with the names of hundreds of brokers would be megabytes.
  const topics = entries.map(topic => ({ topic, brokers: [...status.brokersOfTopic(topic)].length }))
  return jsonPage({ topics, total, next })
}

/** The route as clients get it, with Apache's field names and in standard JSON. `zone` is the zone of the client. */
export function topicPage(status: NameServerStatus, topic: string, query: URLSearchParams): Page {
  const zone = zoneIn(query)
  const route = status.route(topic)
  if (route) return jsonPage({ topic, route: zone === undefined ? route : filterByZone(route, zone) })
  const message = `no broker registered here has this topic; see /api/v1/topics/${encodeURIComponent(topic)}/why`
  throw new Refusal(404, 'TOPIC_NOT_FOUND', message)
}

export async function whyPage(
  status: NameServerStatus,
  topic: string,
  query: URLSearchParams,
  now: number,
): Promise<Page> {
  return jsonPage(await explain(topic, status, now, zoneIn(query)))
}

// Without a name, clients are in no zone, as in a route query.
function zoneIn(query: URLSearchParams): string | undefined {
  for (const key of query.keys()) {
    if (key !== 'zone') throw new Refusal(400, 'BAD_QUERY', 'unknown parameter, expected zone')
  }
  return query.get('zone')?.trim() || undefined
}

function* filtered<T>(items: Iterable<T>, accept: (item: T) => boolean): Iterable<T> {
  for (const item of items) if (accept(item)) yield item
}
