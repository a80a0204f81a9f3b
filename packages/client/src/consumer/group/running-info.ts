import {
  type AssignmentStrategy,
  type ConsumerRunningInfo,
  type PopProcessQueueInfo,
  type ProcessQueueInfo,
  type SubscriptionData,
  V5_5_0,
  versionName,
} from '@gantrymq/protocol'
import type { Clock } from '@gantrymq/remoting'
import type { OptionTable } from '../../options.ts'
import type { Consumption } from '../push/context.ts'
import { consumeFromWhere } from '../offsets/start-offset.ts'
import type { Membership } from './membership.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'
import { PopWork } from '../pop/popped-queue.ts'
import type { HeldWork } from '../rebalance/rebalancer.ts'
import type { ConsumeFrom } from '../offsets/start-offset.ts'

/** What all consumers' settings have, or may have. */
export interface ConsumerSettings {
  readonly broadcast?: boolean
  readonly consumeFrom?: ConsumeFrom
  readonly allocate?: AssignmentStrategy
  readonly unitMode: boolean
}

export interface RunningInfoInput {
  readonly membership: Membership
  readonly settings: ConsumerSettings
  /** The options that the settings were read by. */
  readonly table: OptionTable
  readonly works: readonly Pick<HeldWork, 'queue' | 'process'>[]
  /** Undefined for consumers that have no queues. */
  readonly offsets: Pick<OffsetStore, 'peek'> | undefined
  readonly subscriptions: readonly SubscriptionData[]
  /** Who calls listeners; undefined for consumers that are asked for messages. */
  readonly consumption: Pick<Consumption<never>, 'orderly' | 'concurrency'> | undefined
  readonly withStack: boolean
}

const MEBIBYTE = 1 << 20

/** What operators see of a consumer, in Apache's words: ConsumerRunningInfo. */
export function runningInfo(input: RunningInfoInput): ConsumerRunningInfo {
  const { membership, works, offsets, subscriptions, withStack } = input
  const { clock } = membership.instance
  return {
    properties: propertiesOf(input),
    subscriptionSet: subscriptions,
    mqTable: works.filter(work => !(work instanceof PopWork)).map(work => processInfo(clock, work, offsets)),
    mqPopTable: works.filter(work => work instanceof PopWork).map(work => popInfo(clock, work)),
    statusTable: membership.stats.statuses(clock.elapsed()),
    ...(withStack ? { jstack: processText() } : {}),
  }
}

function popInfo(clock: Clock, { queue, popped, process: held }: PopWork<unknown>): PopProcessQueueInfo {
  const lastPopTimestamp = dateOf(clock, held.lastPullAt)
  return { queue, waitAckCount: popped, droped: held.dropped, lastPopTimestamp }
}

/** The time of day of what happened then by `Clock.elapsed`. */
function dateOf(clock: Clock, at: number): number {
  return clock.now() - (clock.elapsed() - at)
}

function processInfo(
  clock: Clock,
  { queue, process: held }: Pick<HeldWork, 'queue' | 'process'>,
  offsets: Pick<OffsetStore, 'peek'> | undefined,
): ProcessQueueInfo {
  const taken = held.takenSpan
  return {
    queue,
    commitOffset: offsets?.peek(queue) ?? -1,
    cachedMsgMinOffset: held.firstOffset ?? 0,
    cachedMsgMaxOffset: held.lastOffset ?? 0,
    cachedMsgCount: held.count,
    cachedMsgSizeInMiB: Math.floor(held.size / MEBIBYTE),
    transactionMsgMinOffset: taken?.first ?? 0,
    transactionMsgMaxOffset: taken?.last ?? 0,
    transactionMsgCount: held.takenCount,
    locked: held.locked,
    tryUnlockTimes: held.unlockAttempts,
    lastLockTimestamp: dateOf(clock, held.lastLockAt),
    droped: held.dropped,
    lastPullTimestamp: dateOf(clock, held.lastPullAt),
    lastConsumeTimestamp: dateOf(clock, held.lastConsumeAt),
  }
}

function propertiesOf({ membership, settings, table, consumption }: RunningInfoInput): Map<string, string> {
  const { instance, group, startedAt } = membership
  const { broadcast = false, consumeFrom = 'last', allocate } = settings
  return new Map([
    ...settingsInJava(settings, table),
    ['consumerGroup', group],
    ['messageModel', broadcast ? 'BROADCASTING' : 'CLUSTERING'],
    ['consumeFromWhere', consumeFromWhere(consumeFrom)],
    ...(allocate === undefined ? [] : [['allocateMessageQueueStrategy', allocate.name] as const]),
    ['PROP_CONSUMEORDERLY', String(consumption?.orderly ?? false)],
    ['PROP_THREADPOOL_CORE_SIZE', String(consumption?.concurrency ?? 0)],
    ['PROP_CONSUMER_START_TIMESTAMP', String(startedAt)],
    ['PROP_NAMESERVER_ADDR', instance.nameServers.addresses.map(address => `${address};`).join('')],
    ['PROP_CONSUME_TYPE', consumption === undefined ? 'CONSUME_ACTIVELY' : 'CONSUME_PASSIVELY'],
    ['PROP_CLIENT_VERSION', versionName(V5_5_0)],
  ])
}

/** Names that mean something else in Apache's client than our value of it. */
const OTHERWISE = new Set(['messageModel', 'messageListener', 'clientRebalance'])

// Only numbers, flags and short texts: secrets and certificates are in objects.
function settingsInJava(settings: ConsumerSettings, table: OptionTable): [string, string][] {
  return Object.entries(settings).flatMap(([name, value]: [string, unknown]) => {
    const java = table[name]?.java ?? null
    const isPlain = typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string'
    return java === null || !isPlain || OTHERWISE.has(java)
      ? []
      : [[java, inUnitsOfJava(java, value)] as [string, string]]
  })
}

function inUnitsOfJava(java: string, value: string | number | boolean): string {
  // Minutes there.
  return java === 'consumeTimeout' ? String(Math.ceil(Number(value) / 60_000)) : String(value)
}

/** There are no threads to show; what keeps this process busy is. */
function processText(): string {
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
  const { utilization } = performance.eventLoopUtilization()
  const mebibytes = (bytes: number): string => `${Math.round(bytes / MEBIBYTE)} MiB`
  const lines = [
    `Node ${process.version} on ${process.platform}, pid ${process.pid}, up ${Math.round(process.uptime())} s`,
    `event loop busy ${(utilization * 100).toFixed(1)} % since the start`,
    `memory ${mebibytes(rss)}, heap ${mebibytes(heapUsed)} of ${mebibytes(heapTotal)}, buffers ${mebibytes(external)}`,
    `active: ${[...Map.groupBy(process.getActiveResourcesInfo(), name => name)].map(([name, all]) => `${name} ${all.length}`).join(', ')}`,
  ]
  return `${lines.join('\n')}\n`
}
