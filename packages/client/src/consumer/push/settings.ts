import type { AssignmentStrategy } from '@gantrymq/protocol'
import {
  asJava,
  DEFAULT_INSTANCE,
  type ClientOptions,
  type InstanceOptions,
  instanceOptions,
} from '../../instance/instance-options.ts'
import { custom, flag, type GivenOf, millis, readOptions, type OptionValues, whole } from '../../options.ts'
import type { Problem } from '../../problems.ts'
import { traceOption } from '../../trace/trace-option.ts'
import type { ConsumeFrom } from '../offsets/start-offset.ts'
import { averagely } from '../rebalance/strategies.ts'

const isDate = (value: unknown): boolean => value instanceof Date && !Number.isNaN(value.getTime())

/** The options of push consumers besides `instanceOptions`. */
export const pushOptions = {
  /** Whether every member of the group receives all messages. Default false: the members share them. */
  broadcast: flag(false, 'messageModel'),
  /** Whether each queue is consumed in order, one message at a time. Default false. */
  orderly: flag(false, 'messageListener'),
  /** Where a group without offsets starts: `last`, `first` or a time. Default `last`. */
  consumeFrom: custom<ConsumeFrom>(
    'last',
    'consumeFromWhere',
    "'last', 'first' or a Date",
    value => value === 'first' || value === 'last' || isDate(value),
  ),
  /** How many listeners may run at a time. Default 20. */
  concurrency: whole(20, 'consumeThreadMax', { min: 1, max: 10_000 }),
  /** The most messages in one call of `onMessages`. Default 1. */
  batchSize: whole(1, 'consumeMessageBatchMaxSize', { min: 1, max: 1024 }),
  /** Redeliveries before a message becomes a dead letter. -1 means 16, or no limit for orderly consumers. Default -1. */
  maxReconsumeTimes: whole(-1, 'maxReconsumeTimes', { min: -1 }),
  /** How long a listener may take before its messages are redelivered, in milliseconds. Default 900,000, which is 15 minutes. */
  consumeTimeoutMs: millis(900_000, 'consumeTimeout', { min: 1000 }),
  /** How long an orderly queue rests after its listener failed, in milliseconds. Default 1,000. */
  suspendQueueMs: millis(1000, 'suspendCurrentQueueTimeMillis', { min: 10, max: 30_000 }),
  /** How queues are assigned to the members. Must be the same for all members. Default `averagely`. */
  allocate: custom<AssignmentStrategy>(
    averagely,
    'allocateMessageQueueStrategy',
    'a strategy with name and assign',
    value => typeof (value as { assign?: unknown } | null)?.assign === 'function',
  ),
  /** The most messages in one pull. Default 32. */
  pullBatchSize: whole(32, 'pullBatchSize', { min: 1, max: 1024 }),
  /** The most bytes in one pull, for brokers of 5.x. Default 262,144, which is 256 KiB. */
  pullBatchBytes: whole(262_144, 'pullBatchSizeInBytes', { min: 1 }),
  /** Pause after a pull that returned messages, in milliseconds. Default 0. */
  pullIntervalMs: millis(0, 'pullInterval', { max: 65_535 }),
  /** Pause after a pull that failed, in milliseconds. Default 1,000. */
  pullRetryMs: millis(1000, 'pullTimeDelayMillsWhenException', { min: 1 }),
  /** How many messages of a queue may wait in memory. Default 1,000. */
  maxQueuedMessages: whole(1000, 'pullThresholdForQueue', { min: 1, max: 65_535 }),
  /** How many mebibytes of a queue may wait in memory. Default 100. */
  maxQueuedMebibytes: whole(100, 'pullThresholdSizeForQueue', { min: 1, max: 1024 }),
  /** The greatest distance of offsets between the oldest waiting message of a queue and the newest. Default 2,000. */
  maxSpan: whole(2000, 'consumeConcurrentlyMaxSpan', { min: 1, max: 65_535 }),
  /** How many messages of all queues together may wait in memory; -1 for no such limit. Default -1. */
  maxTopicMessages: whole(-1, 'pullThresholdForTopic', { min: -1, max: 6_553_500 }),
  /** How many mebibytes of all queues together may wait in memory; -1 for no such limit. Default -1. */
  maxTopicMebibytes: whole(-1, 'pullThresholdSizeForTopic', { min: -1, max: 102_400 }),
  /** Whether each pull contains the subscription; otherwise only heartbeats do. Default false. */
  postSubscription: flag(false, 'postSubscriptionWhenPull'),
  /** Whether brokers of 5.x assign the queues, and decide whether they are pulled or popped. Default false. */
  serverAssignment: flag(false, 'clientRebalance'),
  /** How long a popped message is invisible to other members, in milliseconds. Default 60,000. */
  popInvisibleMs: millis(60_000, 'popInvisibleTime', { min: 5000, max: 300_000 }),
  /** The most messages in one pop. Default 32. */
  popBatchSize: whole(32, 'popBatchNums', { min: 1, max: 32 }),
  /** How many popped messages of a queue may be unacknowledged. Default 96. */
  maxPopped: whole(96, 'popThresholdForQueue', { min: 1 }),
  /** How often the consumer rebalances without a notice from a broker, in milliseconds. Default 20,000. */
  rebalanceMs: millis(20_000, 'rocketmq.client.rebalance.waitInterval', { min: 100 }),
  /** How often offsets are stored, in milliseconds. Default 5,000. */
  persistOffsetsMs: millis(5000, 'persistConsumerOffsetInterval', { min: 10 }),
  /** The folder for the offsets of broadcast groups. Default `~/.rocketmq_offsets`. */
  offsetsFolder: custom<string | undefined>(
    undefined,
    'rocketmq.client.localOffsetStoreDir',
    'a path',
    value => typeof value === 'string',
  ),
  /** Writes RocketMQ's message trace, which mqadmin and dashboards show: true, or `{ topic }` for a topic of your own. Default false. */
  trace: traceOption,
  /**
   * Whether `start` waits for a name server's answer, and rejects if there is none. With false it starts all the same, and goes on
   * looking. Default true.
   */
  waitForNameServer: flag(true, null),
  /**
   * Called when something keeps the consumer from its messages, with a stable code; see `readiness`. Default: it is logged as a
   * warning, or without option `log` written to standard error.
   */
  onProblem: custom<((problem: Problem) => void) | undefined>(
    undefined,
    null,
    'a function',
    value => typeof value === 'function',
  ),
  /** Sets the unit mode flag of heartbeats, for clusters that are split into units. Default false. */
  unitMode: flag(false, 'unitMode'),
}

/** The settings, with an instance name that stays the same after a restart for broadcast consumers: their offset file depends on it. */
export function broadcastSettings<S extends { readonly broadcast: boolean; readonly instanceName: string }>(
  settings: S,
): S {
  const isUnnamed = settings.broadcast && settings.instanceName === ''
  return isUnnamed ? { ...settings, instanceName: DEFAULT_INSTANCE } : settings
}

export type PushSettings = OptionValues<typeof pushOptions> & InstanceOptions

/** All options of push consumers. */
export const pushTable = { ...instanceOptions, ...pushOptions }

/** Checks the options and fills in the defaults. @throws ClientError BAD_OPTION */
export function readPushSettings(given: GivenOf<typeof pushOptions> & ClientOptions): PushSettings {
  return broadcastSettings(asJava(readOptions('PushConsumer', pushTable, given)))
}
