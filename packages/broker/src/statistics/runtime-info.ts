import { versionName } from '@gantrymq/protocol'
import type { MessageCounts, Rates } from './message-counts.ts'

/** What the answer to GET_BROKER_RUNTIME_INFO shows. */
export interface RuntimeFacts {
  readonly counts: MessageCounts
  readonly version: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly now: number
  readonly minPosition: number
  readonly maxPosition: number
  /** Bytes that are written but not flushed to disk. */
  readonly unflushed: number
  /** Part of the disk in use, 0 to 1. */
  readonly diskRatio: number
  /** Bytes of the disk; undefined if it is not known. */
  readonly disk?: { readonly total: number; readonly free: number }
  /** Milliseconds since the epoch; -1 if there is no message, or its time could not be read from the disk. */
  readonly earliestMessage: number
  readonly startAcceptSendRequestTimeStamp: number
  /** Sends that wait because the disk is too slow for them, and how many may. */
  readonly waitingSends: RequestQueue
  /** Pulls and queries that wait for messages from the disk, and how many may. */
  readonly coldReads: RequestQueue
  /** How far the messages of each delay level have been delivered. */
  readonly delays: Iterable<{ readonly level: number; readonly offset: number; readonly maxOffset: number }>
}

/** Requests that wait, in place of those in the queue of a thread pool. */
export interface RequestQueue {
  readonly size: number
  readonly capacity: number
}

const DAY = 86_400
const HOUR = 3600
const MINUTE = 60

/**
 * Counters and states in Apache's words and formats, which mqadmin and dashboards parse: AdminBrokerProcessor.prepareRuntimeInfo,
 * StoreStatsService.
 */
export function runtimeInfo(facts: RuntimeFacts): Map<string, string> {
  const { put, got, found, missed, asked, failed } = facts.counts
  const putDays = put.days
  const gotDays = got.days
  return new Map(
    Object.entries({
      brokerActive: 'true',
      brokerVersionDesc: versionName(facts.version),
      brokerVersion: String(facts.version),
      bootTimestamp: String(facts.startedAt),
      runtime: duration(facts.now - facts.startedAt),
      // Apache shows at least 1.
      putMessageTimesTotal: String(Math.max(put.messages, 1)),
      putMessageFailedTimes: String(failed),
      putMessageSizeTotal: String(put.bytes),
      putMessageAverageSize: double(put.bytes / Math.max(put.messages, 1)),
      putTps: ratesText(put.rates),
      getFoundTps: ratesText(found.rates),
      getMissTps: ratesText(missed.rates),
      getTotalTps: ratesText(asked.rates),
      getTransferredTps: ratesText(got.rates),
      // The name of 4.9, with its spelling.
      getTransferedTps: ratesText(got.rates),
      msgPutTotalYesterdayMorning: String(putDays.yesterdayMorning),
      msgPutTotalTodayMorning: String(putDays.todayMorning),
      msgPutTotalTodayNow: String(putDays.now),
      msgGetTotalYesterdayMorning: String(gotDays.yesterdayMorning),
      msgGetTotalTodayMorning: String(gotDays.todayMorning),
      msgGetTotalTodayNow: String(gotDays.now),
      commitLogMinOffset: String(facts.minPosition),
      commitLogMaxOffset: String(facts.maxPosition),
      commitLogDiskRatio: String(facts.diskRatio),
      consumeQueueDiskRatio: String(facts.diskRatio),
      ...(facts.disk && {
        commitLogDirCapacity: `Total : ${size(facts.disk.total)}, Free : ${size(facts.disk.free)}.`,
      }),
      dispatchBehindBytes: '0',
      pageCacheLockTimeMills: '0',
      earliestMessageTimeStamp: String(facts.earliestMessage),
      startAcceptSendRequestTimeStamp: String(facts.startAcceptSendRequestTimeStamp),
      remainHowManyDataToFlush: size(facts.unflushed),
      ...delayProgress(facts.delays),
      ...threadPools(facts),
    }),
  )
}

function delayProgress(delays: RuntimeFacts['delays']): Record<string, string> {
  const entries = [...delays].map(({ level, offset, maxOffset }) => [`scheduleMessageOffset_${level}`, `${offset},${maxOffset}`]) // biome-ignore format: one thought
  return Object.fromEntries(entries)
}

/** mqadmin shows them. A broker that answers in one thread has no such queues, but requests that wait for the disk. */
function threadPools({ waitingSends, coldReads }: RuntimeFacts): Record<string, string> {
  const pools: Record<string, string> = {}
  const none: RequestQueue = { size: 0, capacity: 0 }
  const queues = { send: waitingSends, pull: coldReads, litePull: none, query: none, ack: none }
  for (const [pool, { size: waiting, capacity }] of Object.entries(queues)) {
    pools[`${pool}ThreadPoolQueueSize`] = String(waiting)
    pools[`${pool}ThreadPoolQueueCapacity`] = String(capacity)
    pools[`${pool}ThreadPoolQueueHeadWaitTimeMills`] = '0'
  }
  return { ...pools, EndTransactionQueueSize: '0', EndTransactionThreadPoolQueueCapacity: '0' }
}

/** Three numbers; each is empty until enough time has passed. */
function ratesText({ last10, last60, last600 }: Rates): string {
  return [last10, last60, last600].map(rate => (rate === undefined ? '' : double(rate))).join(' ')
}

/** As Java prints a double. */
function double(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value)
}

/** `[ 0 days, 1 hours, 2 minutes, 3 seconds ]` */
function duration(ms: number): string {
  const seconds = Math.max(Math.floor(ms / 1000), 0)
  const days = Math.floor(seconds / DAY)
  const hours = Math.floor((seconds % DAY) / HOUR)
  const minutes = Math.floor((seconds % HOUR) / MINUTE)
  return `[ ${days} days, ${hours} hours, ${minutes} minutes, ${seconds % MINUTE} seconds ]`
}

/** `1.5 KiB` (Apache's MixAll.humanReadableByteCount). */
function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), 6)
  return `${(bytes / 1024 ** power).toFixed(1)} ${'KMGTPE'[power - 1]}iB`
}
