import { performance } from 'node:perf_hooks'
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
import type { DeclaredOptions } from '../../options.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'
import { type ConsumeFrom, consumeFromWhere } from '../offsets/start-offset.ts'
import type { HeldQueue } from '../queue/held-queue.ts'
import type { Membership } from './membership.ts'

/** The settings that are shown. Not all consumers have all of them. */
export interface ConsumerSettings {
  readonly broadcast?: boolean
  readonly consumeFrom?: ConsumeFrom
  readonly allocate?: AssignmentStrategy
  readonly unitMode: boolean
}

type ShownQueue = Pick<HeldQueue, 'queue' | 'process' | 'popped'>

export interface RunningInfoInput {
  readonly membership: Membership
  readonly settings: ConsumerSettings
  /** The option table of the settings. */
  readonly table: DeclaredOptions
  readonly queues: readonly ShownQueue[]
  /** Undefined for consumers that hold no queues. */
  readonly offsets: Pick<OffsetStore, 'peek'> | undefined
  readonly subscriptions: readonly SubscriptionData[]
  /** How listeners are called. Undefined for consumers whose user asks for messages. */
  readonly consumption: { readonly orderly: boolean; readonly concurrency: number } | undefined
  readonly withStack: boolean
}

const MEBIBYTE = 1 << 20

/** What operators see of a consumer: Apache's ConsumerRunningInfo. */
export function runningInfo(input: RunningInfoInput): ConsumerRunningInfo {
  const { membership, queues, offsets, subscriptions, withStack } = input
  const { clock } = membership.instance
  return {
    properties: propertiesOf(input),
    subscriptionSet: subscriptions,
    mqTable: queues.filter(({ popped }) => popped === undefined).map(held => pullInfo(clock, held, offsets)),
    mqPopTable: queues.filter(({ popped }) => popped !== undefined).map(held => popInfo(clock, held)),
    statusTable: membership.stats.statuses(clock.elapsed()),
    ...(withStack ? { jstack: processText() } : {}),
  }
}

function popInfo(clock: Clock, { queue, popped = 0, process: state }: ShownQueue): PopProcessQueueInfo {
  const lastPopTimestamp = timeOfDay(clock, state.lastPullAt)
  return { queue, waitAckCount: popped, droped: state.dropped, lastPopTimestamp }
}

/** The time of day, in milliseconds since the epoch, of a time by `Clock.elapsed`. */
function timeOfDay(clock: Clock, at: number): number {
  return clock.now() - (clock.elapsed() - at)
}

function pullInfo(
  clock: Clock,
  { queue, process: state }: ShownQueue,
  offsets: Pick<OffsetStore, 'peek'> | undefined,
): ProcessQueueInfo {
  const taken = state.takenSpan
  return {
    queue,
    commitOffset: offsets?.peek(queue) ?? -1,
    cachedMsgMinOffset: state.firstOffset ?? 0,
    cachedMsgMaxOffset: state.lastOffset ?? 0,
    cachedMsgCount: state.count,
    cachedMsgSizeInMiB: Math.floor(state.size / MEBIBYTE),
    transactionMsgMinOffset: taken?.first ?? 0,
    transactionMsgMaxOffset: taken?.last ?? 0,
    transactionMsgCount: state.takenCount,
    locked: state.locked,
    tryUnlockTimes: state.unlockAttempts,
    lastLockTimestamp: timeOfDay(clock, state.lastLockAt),
    droped: state.dropped,
    lastPullTimestamp: timeOfDay(clock, state.lastPullAt),
    lastConsumeTimestamp: timeOfDay(clock, state.lastConsumeAt),
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

/** Options whose values mean something else in Apache's client. */
const DIFFERENT = new Set(['messageModel', 'messageListener', 'clientRebalance'])

// Only numbers, booleans and strings: secrets and certificates are inside objects.
function settingsInJava(settings: ConsumerSettings, table: DeclaredOptions): [string, string][] {
  return Object.entries(settings).flatMap(([name, value]: [string, unknown]) => {
    const java = table[name]?.java ?? null
    const isPlain = typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string'
    return java === null || !isPlain || DIFFERENT.has(java)
      ? []
      : [[java, inUnitsOfJava(java, value)] as [string, string]]
  })
}

function inUnitsOfJava(java: string, value: string | number | boolean): string {
  // Apache's is in minutes.
  return java === 'consumeTimeout' ? String(Math.ceil(Number(value) / 60_000)) : String(value)
}

/** Node has no thread stacks to show, so this describes what keeps the process busy. */
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
