import {
  type CodeNames,
  EventLoopDelay,
  isLabel,
  LabelledCounter,
  type MetricFamily,
  type MetricSource,
  RpcLatency,
  type Sample,
  singleSeries,
} from '@gantrymq/daemon'
import type { MessageCounts } from '../statistics/message-counts.ts'
import type { SampledCounts } from '../statistics/sampled-counts.ts'
import type { BrokerStatus } from '../status.ts'

export interface BrokerMetricsOptions {
  /** Names of the request codes that get their own label: Apache's constants, in upper or lower case. */
  readonly requests: CodeNames
  readonly responses: CodeNames
  readonly counts: MessageCounts
}

/** What the gauges of the store and of long polls are read from. */
export interface GaugeSources {
  readonly status: BrokerStatus
  readonly heldPulls: () => number
  readonly brokerPermission: () => number
  /** Bytes of the log that are written but not flushed. */
  readonly unflushed: () => number
  /** Bytes of the log. */
  readonly storedBytes: () => number
}

/** Most topics, and most pairs of topic and group, that one scrape shows. */
const MAX_SERIES = 1000

/**
 * The metrics of a broker, with the names that Apache 5 gives to them (BrokerMetricsConstant, DefaultStoreMetricsConstant). Recording
 * only adds to plain numbers; names, labels and text are made at a scrape.
 */
export class BrokerMetrics implements MetricSource {
  readonly rpc: RpcLatency
  readonly connectionsClosed = new LabelledCounter<{ readonly reason: string }>(
    'rocketmq_broker_connections_closed_total',
    'Connections closed, by reason.',
  )
  bytesIn = 0
  bytesOut = 0
  readonly #counts: MessageCounts
  readonly #delay = new EventLoopDelay('rocketmq_broker_event_loop_delay_seconds')
  #sources: GaugeSources | undefined

  constructor({ requests, responses, counts }: BrokerMetricsOptions) {
    this.rpc = new RpcLatency(requests, responses)
    this.#counts = counts
  }

  /** Adds gauges that are read at every scrape. */
  watch(sources: GaugeSources): void {
    this.#sources = sources
  }

  families(): MetricFamily[] {
    return [
      this.rpc.family(),
      ...this.#messages(),
      ...(this.#sources === undefined ? [] : gauges(this.#sources)),
      this.connectionsClosed.family(),
      {
        type: 'counter',
        name: 'rocketmq_broker_bytes_total',
        help: 'Bytes read from and written to connections.',
        samples: [
          { labels: { direction: 'in' }, value: this.bytesIn },
          { labels: { direction: 'out' }, value: this.bytesOut },
        ],
      },
      this.#delay.family(),
    ]
  }

  close(): void {
    this.#delay.close()
  }

  #messages(): MetricFamily[] {
    const put = shown(this.#counts.putByTopic, topic => ({ topic }))
    const got = shown(this.#counts.gotByGroup, key => {
      const at = key.lastIndexOf('@')
      return { topic: key.slice(0, at), consumer_group: key.slice(at + 1) }
    })
    return [
      counter('rocketmq_messages_in_total', 'Messages stored, by topic.', put.messages),
      counter('rocketmq_throughput_in_total', 'Bytes stored, by topic.', put.bytes),
      counter('rocketmq_messages_out_total', 'Messages delivered, by topic and consumer group.', got.messages),
      counter('rocketmq_throughput_out_total', 'Bytes delivered, by topic and consumer group.', got.bytes),
    ]
  }
}

function counter(name: string, help: string, samples: readonly Sample[]): MetricFamily {
  return { type: 'counter', name, help, samples }
}

function shown(tallies: SampledCounts, labelsOf: (key: string) => Readonly<Record<string, string>>) {
  const messages: Sample[] = []
  const bytes: Sample[] = []
  for (const [key, tally] of tallies) {
    if (messages.length === MAX_SERIES) break
    if (!isLabel(key)) continue
    const labels = labelsOf(key)
    messages.push({ labels, value: tally.messages })
    bytes.push({ labels, value: tally.bytes })
  }
  return { messages, bytes }
}

function gauges({ status, heldPulls, brokerPermission, unflushed, storedBytes }: GaugeSources): MetricFamily[] {
  const { topics = 0, groups = 0 } = status.counts()
  const roles = { producer: 0, consumer: 0 }
  for (const { role } of status.clients()) roles[role]++
  const gauge = (name: string, help: string, value: number) => singleSeries('gauge', name, help, value)
  return [
    gauge('rocketmq_broker_permission', 'Permission of the broker: 4 to read, 2 to write.', brokerPermission()),
    gauge('rocketmq_topic_number', 'Topics.', topics),
    gauge('rocketmq_consumer_group_number', 'Consumer groups.', groups),
    gauge('rocketmq_producer_connections', 'Producers, by connection and group.', roles.producer),
    gauge('rocketmq_consumer_connections', 'Consumers, by connection and group.', roles.consumer),
    gauge('rocketmq_broker_held_pulls', 'Pulls that wait for messages.', heldPulls()),
    gauge('rocketmq_storage_size', 'Bytes of the commit log.', storedBytes()),
    gauge('rocketmq_storage_flush_behind_bytes', 'Bytes of the commit log that are not flushed.', unflushed()),
    lag(status),
  ]
}

function lag(status: BrokerStatus): MetricFamily {
  const samples: Sample[] = []
  for (const group of status.groups()) {
    if (samples.length >= MAX_SERIES) break
    const byTopic = new Map<string, number>()
    for (const { topic, backlog } of status.backlogs(group)) byTopic.set(topic, (byTopic.get(topic) ?? 0) + backlog)
    for (const [topic, value] of byTopic) samples.push({ labels: { consumer_group: group, topic }, value })
  }
  const help = 'Messages that a group has not consumed yet, by topic.'
  return { type: 'gauge', name: 'rocketmq_consumer_lag_messages', help, samples: samples.slice(0, MAX_SERIES) }
}
