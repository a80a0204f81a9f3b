import { hostname } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import type { MetricFamily, MetricSource, MetricsPage } from '@gantrymq/daemon'
import type { Metric, Registry } from 'prom-client'

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** The labels of every series of a broker, as in Apache 5.x. */
export function brokerLabels(cluster: string, name: string): Readonly<Record<string, string>> {
  return { cluster, node_type: 'broker', node_id: name }
}

/** The same for a name server. */
export function nameServerLabels(port: number): Readonly<Record<string, string>> {
  return { node_type: 'nameserver', node_id: `${hostname()}:${port}` }
}

/**
 * Formats a server's metrics and those of the process as Prometheus text. prom-client is loaded at the first scrape: it
 * takes about 10 MB, which a server without monitoring need not spend.
 * @param labels Added to every series, for instance `node_id`.
 */
export function prometheusPage(source: MetricSource, labels: Readonly<Record<string, string>> = {}): MetricsPage {
  let writer: Promise<PrometheusWriter> | undefined
  return {
    contentType: CONTENT_TYPE,
    async render() {
      writer ??= createWriter(labels)
      return await (await writer).write(await source.families())
    },
  }
}

async function createWriter(labels: Readonly<Record<string, string>>): Promise<PrometheusWriter> {
  const { collectDefaultMetrics, Registry: PrometheusRegistry } = (await import('prom-client')).default
  const registry = new PrometheusRegistry()
  registry.setDefaultLabels(labels)
  collectDefaultMetrics({ register: registry })
  return new PrometheusWriter(registry)
}

/** A registry and the families registered with it. */
class PrometheusWriter {
  readonly #registry: Registry
  readonly #families = new Map<string, { family: MetricFamily }>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  async write(families: readonly MetricFamily[]): Promise<string> {
    for (const family of families) {
      const known = this.#families.get(family.name)
      if (known) known.family = family
      else this.#register(family)
    }
    const texts: string[] = []
    for (const { name } of this.#registry.getMetricsAsArray()) {
      texts.push(await this.#registry.getSingleMetricAsString(name))
      // One family takes up to a millisecond, and there are dozens.
      await setImmediate()
    }
    return `${texts.join('\n\n')}\n`
  }

  // prom-client's Counter and Histogram do their own counting, but these metrics are already counted. Of a registered
  // metric the registry reads only the name and calls `get`.
  #register(family: MetricFamily): void {
    const holder = { family }
    this.#families.set(family.name, holder)
    const metric = { name: family.name, get: () => Promise.resolve(readingOf(holder.family)) }
    this.#registry.registerMetric(metric as unknown as Metric)
  }
}

interface SampleValue {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

function readingOf(family: MetricFamily) {
  const { name, help, type } = family
  const values = type === 'histogram' ? histogramValues(family) : family.samples.map(s => ({ metricName: name, ...s }))
  return { name, help, type, values, aggregator: 'sum' }
}

/** In Prometheus each bucket includes all buckets below it. */
function histogramValues(family: MetricFamily & { readonly type: 'histogram' }): SampleValue[] {
  return family.histograms.flatMap(({ labels, counts, sum }) => {
    const values: SampleValue[] = []
    let upTo = 0
    for (const [bucket, le] of [...family.bounds, '+Inf'].entries()) {
      upTo += counts[bucket] ?? 0
      values.push({ metricName: `${family.name}_bucket`, labels: { ...labels, le }, value: upTo })
    }
    values.push({ metricName: `${family.name}_sum`, labels, value: sum })
    values.push({ metricName: `${family.name}_count`, labels, value: upTo })
    return values
  })
}
