import {
  type CodeNames,
  EventLoopDelay,
  Histogram,
  LabelledCounter,
  type MetricFamily,
  type MetricSource,
  NameLimit,
  RpcLatency,
  singleSeries,
} from '@gantrymq/daemon'
import type { Clock, Sliced } from '@gantrymq/remoting'
import type { RemovalReason } from '../registry/broker-changes.ts'
import { registryGauges, type SeriesLimits, seriesLimits } from './registry-gauges.ts'
import type { NameServerStatus, SliceRunner } from '../status.ts'

export interface MetricsOptions {
  /** Names of the request codes that get their own label: Apache's constants, in upper or lower case. */
  readonly requests: CodeNames
  readonly responses: CodeNames
  readonly clock: Clock
  readonly limits?: SeriesLimits
}

type Registration = { readonly cluster: string; readonly result: 'new' | 'changed' | 'unchanged' | 'rejected' }

/**
 * The metrics of a name server. Recording only adds to plain numbers; names, labels and text are made at a scrape.
 * This class depends on no metrics library: the program passes the code that formats the families.
 */
export class NameServerMetrics implements MetricSource {
  readonly rpc: RpcLatency
  /** Sizes of route answers. */
  readonly routeBytes = new Histogram(
    'rocketmq_nameserver_route_response_bytes',
    'Size of the body of route answers.',
    [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576],
  )
  /** Changes made by operators. */
  readonly configChanges = new LabelledCounter<{ readonly kind: 'kv' | 'config' | 'write_perm' | 'topic_delete' }>(
    'rocketmq_nameserver_config_changes_total',
    'Changes made by operators.',
  )
  readonly connectionsClosed = new LabelledCounter<{ readonly reason: string }>(
    'rocketmq_nameserver_connections_closed_total',
    'Connections closed, by reason.',
  )
  readonly rejected = new LabelledCounter<{ readonly reason: string }>(
    'rocketmq_nameserver_requests_rejected_total',
    'Requests and connections refused before a handler saw them, by reason.',
  )
  /** Route queries for unknown topics. No topic label: callers choose those names. */
  routeNotFound = 0
  bytesIn = 0
  bytesOut = 0

  readonly #registrations = new LabelledCounter<Registration>(
    'rocketmq_nameserver_broker_registrations_total',
    'Registrations of brokers, by result.',
  )
  readonly #unregistrations = new LabelledCounter<{ readonly cluster: string; readonly reason: RemovalReason }>(
    'rocketmq_nameserver_broker_unregistrations_total',
    'Brokers that left, by reason.',
  )
  readonly #clusters: NameLimit
  readonly #delay = new EventLoopDelay('rocketmq_nameserver_event_loop_delay_seconds')
  readonly #sources: MetricSource[] = []
  readonly #clock: Clock
  readonly #limits: SeriesLimits
  #gauges: () => MetricFamily[] | Promise<MetricFamily[]> = () => []
  #scrape: Promise<MetricFamily[]> | undefined

  constructor(options: MetricsOptions) {
    this.rpc = new RpcLatency(options.requests, options.responses)
    this.#clock = options.clock
    this.#limits = options.limits ?? seriesLimits
    this.#clusters = new NameLimit(this.#limits.clusters)
  }

  /**
   * Adds gauges of what is registered, read from `status` at every scrape.
   * @param run Does the slices of the reading.
   */
  watch(status: NameServerStatus, run: SliceRunner): void {
    this.#gauges = () => run(statusGauges(status, this.#clock.now(), this.#limits))
  }

  /** Adds the families of another part of the server. */
  include(source: MetricSource): void {
    this.#sources.push(source)
  }

  registered(cluster: string, result: Registration['result']): void {
    // A refused name could be anything.
    const label = result === 'rejected' ? this.#clusters.labelIfKept(cluster) : this.#clusters.label(cluster)
    this.#registrations.add({ cluster: label, result })
  }

  unregistered(cluster: string, reason: RemovalReason): void {
    this.#unregistrations.add({ cluster: this.#clusters.label(cluster), reason })
  }

  /** All families. Concurrent scrapes share one reading. */
  families(): Promise<MetricFamily[]> {
    this.#scrape ??= this.#read().finally(() => {
      this.#scrape = undefined
    })
    return this.#scrape
  }

  close(): void {
    this.#delay.close()
  }

  async #read(): Promise<MetricFamily[]> {
    const families = [...(await this.#gauges()), ...this.#counted()]
    for (const source of this.#sources) families.push(...(await source.families()))
    return families
  }

  #counted(): MetricFamily[] {
    return [
      this.rpc.family(),
      this.routeBytes.family(),
      singleSeries(
        'counter',
        'rocketmq_nameserver_route_not_found_total',
        'Route queries for unknown topics.',
        this.routeNotFound,
      ),
      this.#registrations.family(),
      this.#unregistrations.family(),
      this.configChanges.family(),
      this.connectionsClosed.family(),
      this.rejected.family(),
      {
        type: 'counter',
        name: 'rocketmq_nameserver_bytes_total',
        help: 'Bytes read from and written to connections.',
        samples: [
          { labels: { direction: 'in' }, value: this.bytesIn },
          { labels: { direction: 'out' }, value: this.bytesOut },
        ],
      },
      this.#delay.family(),
    ]
  }
}

function* statusGauges(status: NameServerStatus, now: number, limits: SeriesLimits): Sliced<MetricFamily[]> {
  return [
    {
      type: 'gauge',
      name: 'rocketmq_nameserver_up',
      help: '1 as long as the process answers.',
      samples: [{ labels: { version: status.version }, value: 1 }],
    },
    singleSeries(
      'gauge',
      'rocketmq_nameserver_start_time_seconds',
      'When the server started, seconds since the epoch.',
      status.startedAt / 1000,
    ),
    ...(yield* registryGauges(status, now, limits)),
  ]
}
