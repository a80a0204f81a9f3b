import {
  checkParameters,
  jsonListPage,
  jsonPage,
  jsonTextPage,
  type Page,
  pickPart,
  readPageQuery,
  Refusal,
} from '@gantrymq/daemon'
import { encodeTopicRoute } from '@gantrymq/protocol'
import { printable, type Sliced } from '@gantrymq/remoting'
import type { BrokerView } from '../registry/broker-changes.ts'
import { filterByZone } from '../registry/zone-filter.ts'
import type { ClusterView, NameServerStatus } from '../status.ts'
import { explain } from './why.ts'

export function* clustersPage(status: NameServerStatus, query: URLSearchParams): Sliced<Page> {
  const { entries, total, next } = yield* pickPart(status.clusters(), view => view.cluster, readPageQuery(query))
  const row = ({ cluster, brokerNames }: ClusterView) => ({ cluster, brokerNames: [...brokerNames].sort() })
  return yield* jsonListPage('clusters', entries, row, { total, next })
}

/** Broker processes. `cluster` limits them to one cluster; `prefix` is a prefix of the broker name. */
export function* brokersPage(status: NameServerStatus, query: URLSearchParams, now: number): Sliced<Page> {
  const page = readPageQuery(query, ['cluster'])
  const cluster = query.get('cluster')
  const asked = cluster === null ? status.brokers() : filtered(status.brokers(), b => b.cluster === cluster)
  const { entries, total, next } = yield* pickPart(asked, broker => `${broker.brokerName} ${broker.brokerAddr}`, page)
  return yield* jsonListPage('brokers', entries, broker => brokerRow(broker, now), { total, next })
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

export function* topicsPage(status: NameServerStatus, query: URLSearchParams): Sliced<Page> {
  const { entries, total, next } = yield* pickPart(status.topics(), topic => topic, readPageQuery(query))
  // Only the number of brokers: a thousand topics with the names of hundreds of brokers would be megabytes.
  const row = (topic: string) => ({ topic, brokers: status.brokerCountOfTopic(topic) })
  return yield* jsonListPage('topics', entries, row, { total, next })
}

/** The route as clients get it, with Apache's field names and in standard JSON. `zone` is the zone of the client. */
export function topicPage(status: NameServerStatus, topic: string, query: URLSearchParams): Page {
  const zone = zoneIn(query)
  const route = status.route(topic)
  if (route) {
    const shown = encodeTopicRoute(zone === undefined ? route : filterByZone(route, zone), 'standard').toString()
    return jsonTextPage(printable(`{"topic":${JSON.stringify(topic)},"route":${shown}}`))
  }
  const message = `no broker registered here has this topic; see /api/v1/topics/${encodeURIComponent(topic)}/why`
  throw new Refusal(404, 'TOPIC_NOT_FOUND', message)
}

export function* whyPage(status: NameServerStatus, topic: string, query: URLSearchParams, now: number): Sliced<Page> {
  return jsonPage(yield* explain(topic, status, now, zoneIn(query)))
}

// Without a name, clients are in no zone, as in a route query.
function zoneIn(query: URLSearchParams): string | undefined {
  checkParameters(query, ['zone'])
  return query.get('zone')?.trim() || undefined
}

function* filtered<T>(items: Iterable<T>, accept: (item: T) => boolean): Iterable<T> {
  for (const item of items) if (accept(item)) yield item
}
