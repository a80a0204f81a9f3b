import type { ConsumeTimeSpan, QueueProgress, QueueStats, TopicConfig } from '@gantrymq/protocol'
import type { ConsumeQueue, MessageStore } from '@gantrymq/store'
import type { OffsetTable } from '../offsets/offset-table.ts'

/** What the statistics of topics and groups are read from. */
export interface ProgressSources {
  readonly store: MessageStore
  readonly offsets: OffsetTable
  readonly brokerName: string
}

/** The offsets of all queues of a topic: Apache's AdminBrokerProcessor.getTopicStatsInfo. */
export async function queueStats(config: TopicConfig, { store, brokerName }: ProgressSources): Promise<QueueStats[]> {
  const { topicName: topic, readQueueNums, writeQueueNums } = config
  const stats: QueueStats[] = []
  for (let queueId = 0; queueId < Math.max(readQueueNums, writeQueueNums); queueId++) {
    const queue = store.queue(topic, queueId)
    const maxOffset = queue?.maxOffset ?? 0
    stats.push({
      queue: { topic, brokerName, queueId },
      minOffset: queue?.minOffset ?? 0,
      maxOffset,
      lastUpdateTimestamp: await timeBefore(store, queue, maxOffset),
    })
  }
  return stats
}

/** How far a group is in each queue of a topic: Apache's AdminBrokerProcessor.getConsumeStats. */
export async function groupProgress(
  group: string,
  config: TopicConfig,
  sources: ProgressSources,
): Promise<QueueProgress[]> {
  const { store, offsets, brokerName } = sources
  const { topicName: topic, readQueueNums } = config
  const progress: QueueProgress[] = []
  for (let queueId = 0; queueId < readQueueNums; queueId++) {
    const queue = store.queue(topic, queueId)
    const consumerOffset = Math.max(offsets.get(topic, group, queueId) ?? 0, 0)
    progress.push({
      queue: { topic, brokerName, queueId },
      brokerOffset: queue?.maxOffset ?? 0,
      consumerOffset,
      pullOffset: consumerOffset,
      lastTimestamp: await timeBefore(store, queue, consumerOffset),
    })
  }
  return progress
}

/**
 * How far a group lags behind in time in each queue of a topic: Apache's AdminBrokerProcessor.queryConsumeTimeSpan.
 * @param now Milliseconds since the epoch.
 */
export async function groupTimeSpans(
  group: string,
  config: TopicConfig,
  now: number,
  { store, offsets, brokerName }: ProgressSources,
): Promise<ConsumeTimeSpan[]> {
  const { topicName: topic, writeQueueNums } = config
  const spans: ConsumeTimeSpan[] = []
  for (let queueId = 0; queueId < writeQueueNums; queueId++) {
    const queue = store.queue(topic, queueId)
    const timeAt = (offset: number): Promise<number> | number => queue === undefined ? -1 : store.storeTimeOf(queue, offset) // biome-ignore format: one thought
    const maxOffset = queue?.maxOffset ?? 0
    const offset = offsets.get(topic, group, queueId) ?? 0
    const minTimestamp = await timeAt(queue?.minOffset ?? 0)
    const next = offset < maxOffset ? await timeAt(offset) : -1
    spans.push({
      queue: { topic, brokerName, queueId },
      minTimestamp,
      maxTimestamp: await timeAt(maxOffset - 1),
      consumeTimestamp: offset > 0 ? await timeAt(offset - 1) : minTimestamp,
      delayMs: next < 0 ? 0 : Math.max(now - next, 0),
    })
  }
  return spans
}

/** The store time of the message before an offset, milliseconds since the epoch; 0 if there is none. */
async function timeBefore(store: MessageStore, queue: ConsumeQueue | undefined, offset: number): Promise<number> {
  if (queue === undefined || offset <= 0) return 0
  return Math.max(await store.storeTimeOf(queue, offset - 1), 0)
}
