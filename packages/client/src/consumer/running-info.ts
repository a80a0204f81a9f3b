import {
  type ConsumerRunningInfo,
  type PopProcessQueueInfo,
  type ProcessQueueInfo,
  V5_5_0,
  versionName,
} from '@gantrymq/protocol'
import type { Clock } from '@gantrymq/remoting'
import { instanceOptions } from '../instance-options.ts'
import type { OptionTable } from '../options.ts'
import type { ConsumerCore } from './consumer-core.ts'
import { consumeFromWhere } from './member-names.ts'
import { PopWork } from './pop-loop.ts'
import { pushOptions, type PushSettings } from './push-options.ts'
import { QueueWork } from './queue-work.ts'
import type { SubscriptionData } from './subscription.ts'

export interface RunningInfoInput<Body> {
  readonly core: ConsumerCore<Body>
  readonly works: Iterable<QueueWork<Body> | PopWork<Body>>
  readonly subscriptions: readonly SubscriptionData[]
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly withStack: boolean
}

const MEBIBYTE = 1 << 20

/** What operators see of a consumer, in Apache's words: ConsumerRunningInfo. */
export function runningInfo<Body>(input: RunningInfoInput<Body>): ConsumerRunningInfo {
  const { core, works, subscriptions, withStack } = input
  const all = [...works]
  return {
    properties: propertiesOf(input),
    subscriptionSet: subscriptions,
    mqTable: all.filter(work => work instanceof QueueWork).map(work => processInfo(core, work)),
    mqPopTable: all.filter(work => work instanceof PopWork).map(work => popInfo(core, work)),
    statusTable: core.stats.statuses(core.instance.clock.elapsed()),
    ...(withStack ? { jstack: processText() } : {}),
  }
}

function popInfo<Body>(
  { instance }: ConsumerCore<Body>,
  { queue, popped, process: held }: PopWork<Body>,
): PopProcessQueueInfo {
  const lastPopTimestamp = dateOf(instance.clock, held.lastPullAt)
  return { queue, waitAckCount: popped, droped: held.dropped, lastPopTimestamp }
}

/** The time of day of what happened then by `Clock.elapsed`. */
function dateOf(clock: Clock, at: number): number {
  return clock.now() - (clock.elapsed() - at)
}

function processInfo<Body>(
  { offsets, instance: { clock } }: ConsumerCore<Body>,
  { queue, process: held }: QueueWork<Body>,
): ProcessQueueInfo {
  const taken = held.takenSpan
  return {
    queue,
    commitOffset: offsets.peek(queue),
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

function propertiesOf<Body>({ core, startedAt }: RunningInfoInput<Body>): Map<string, string> {
  const { instance, settings, group, consumption } = core
  return new Map([
    ...settingsInJava(settings),
    ['consumerGroup', group],
    ['messageModel', settings.broadcast ? 'BROADCASTING' : 'CLUSTERING'],
    ['consumeFromWhere', consumeFromWhere(settings.consumeFrom)],
    ['allocateMessageQueueStrategy', settings.allocate.name],
    ['PROP_CONSUMEORDERLY', String(consumption.orderly)],
    ['PROP_THREADPOOL_CORE_SIZE', String(consumption.concurrency)],
    ['PROP_CONSUMER_START_TIMESTAMP', String(startedAt)],
    ['PROP_NAMESERVER_ADDR', instance.nameServers.addresses.map(address => `${address};`).join('')],
    ['PROP_CONSUME_TYPE', 'CONSUME_PASSIVELY'],
    ['PROP_CLIENT_VERSION', versionName(V5_5_0)],
  ])
}

/** Names that mean something else in Apache's client than our value of it. */
const OTHERWISE = new Set(['messageModel', 'messageListener', 'clientRebalance'])

// Only numbers, flags and short texts: secrets and certificates are in objects.
function settingsInJava(settings: PushSettings): [string, string][] {
  const table: OptionTable = { ...instanceOptions, ...pushOptions }
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
