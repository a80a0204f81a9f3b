import type { AssignmentStrategy } from '@gantrymq/protocol'
import { type ClientOptions, type InstanceOptions, instanceOptions } from '../../instance/instance-options.ts'
import { custom, flag, type GivenOf, millis, readOptions, type ValuesOf, whole } from '../../options.ts'
import { traceOption } from '../../trace/trace-option.ts'
import type { ConsumeFrom } from '../offsets/start-offset.ts'
import { averagely } from '../strategies.ts'

const isDate = (value: unknown): boolean => value instanceof Date && !Number.isNaN(value.getTime())

/** What push consumers have beside `instanceOptions`. */
export const pushOptions = {
  /** Whether every member of the group gets all messages. Default false: they share them. */
  broadcast: flag(false, 'messageModel'),
  /** Whether each queue is consumed in order, by one member, one message at a time. Default false. */
  orderly: flag(false, 'messageListener'),
  /** Where a group begins that has no offsets yet: `last`, `first` or a time. Default `last`. */
  consumeFrom: custom<ConsumeFrom>(
    'last',
    'consumeFromWhere',
    "'last', 'first' or a Date",
    value => value === 'first' || value === 'last' || isDate(value),
  ),
  /** Listeners that may run at a time. Default 20. */
  concurrency: whole(20, 'consumeThreadMax', { min: 1, max: 10_000 }),
  /** Messages a call of `onMessages`. Default 1. */
  batchSize: whole(1, 'consumeMessageBatchMaxSize', { min: 1, max: 1024 }),
  /** Deliveries of a message before it goes to the dead letters; -1 for 16, and for ever if orderly. Default -1. */
  maxReconsumeTimes: whole(-1, 'maxReconsumeTimes', { min: -1 }),
  /** How long a listener may take before its message is delivered again, milliseconds. Default 15 minutes. */
  consumeTimeoutMs: millis(900_000, 'consumeTimeout', { min: 1000 }),
  /** How long an orderly queue rests after a failure, milliseconds. Default 1,000. */
  suspendQueueMs: millis(1000, 'suspendCurrentQueueTimeMillis', { min: 10, max: 30_000 }),
  /** How queues are shared by the members. Default `averagely`; all members must have the same. */
  allocate: custom<AssignmentStrategy>(
    averagely,
    'allocateMessageQueueStrategy',
    'a strategy with name and assign',
    value => typeof (value as { assign?: unknown } | null)?.assign === 'function',
  ),
  /** Messages a pull. Default 32. */
  pullBatchSize: whole(32, 'pullBatchSize', { min: 1, max: 1024 }),
  /** Bytes a pull, from brokers of 5.x. Default 256 KiB. */
  pullBatchBytes: whole(262_144, 'pullBatchSizeInBytes', { min: 1 }),
  /** Rest after a pull that brought messages, milliseconds. Default 0. */
  pullIntervalMs: millis(0, 'pullInterval', { max: 65_535 }),
  /** Rest after a pull that failed, milliseconds. Default 1,000. */
  pullRetryMs: millis(1000, 'pullTimeDelayMillsWhenException', { min: 1 }),
  /** Messages of a queue that may wait in memory. Default 1,000. */
  maxQueuedMessages: whole(1000, 'pullThresholdForQueue', { min: 1, max: 65_535 }),
  /** Mebibytes of a queue that may wait in memory. Default 100. */
  maxQueuedMebibytes: whole(100, 'pullThresholdSizeForQueue', { min: 1, max: 1024 }),
  /** From the oldest message of a queue that is not done to the newest. Default 2,000. */
  maxSpan: whole(2000, 'consumeConcurrentlyMaxSpan', { min: 1, max: 65_535 }),
  /** Messages of all queues together that may wait; -1 for no such limit. Default -1. */
  maxTopicMessages: whole(-1, 'pullThresholdForTopic', { min: -1, max: 6_553_500 }),
  /** Mebibytes of all queues together; -1 for no such limit. Default -1. */
  maxTopicMebibytes: whole(-1, 'pullThresholdSizeForTopic', { min: -1, max: 102_400 }),
  /** Whether each pull brings its subscription along, instead of the heartbeat only. Default false. */
  postSubscription: flag(false, 'postSubscriptionWhenPull'),
  /** Whether 5.x brokers decide who consumes what, and whether by pull or by pop. Default false. */
  serverAssignment: flag(false, 'clientRebalance'),
  /** How long a popped message is hidden from others, milliseconds. Default 60,000. */
  popInvisibleMs: millis(60_000, 'popInvisibleTime', { min: 5000, max: 300_000 }),
  /** Messages a pop. Default 32. */
  popBatchSize: whole(32, 'popBatchNums', { min: 1, max: 32 }),
  /** Popped messages of a queue that are not acknowledged yet. Default 96. */
  maxPopped: whole(96, 'popThresholdForQueue', { min: 1 }),
  /** How often queues are shared out anew without a notice, milliseconds. Default 20,000. */
  rebalanceMs: millis(20_000, 'rocketmq.client.rebalance.waitInterval', { min: 100 }),
  /** How often offsets are kept, milliseconds. Default 5,000. */
  persistOffsetsMs: millis(5000, 'persistConsumerOffsetInterval', { min: 10 }),
  /** Where the offsets of broadcast groups are kept. Default `~/.rocketmq_offsets`. */
  offsetsFolder: custom<string | undefined>(
    undefined,
    'rocketmq.client.localOffsetStoreDir',
    'a path',
    value => typeof value === 'string',
  ),
  /** RocketMQ's own message trace, which mqadmin and dashboards show: true, or `{ topic }` of your own. Default false. */
  trace: traceOption,
  /** Header flag for clusters that are run in units. Default false. */
  unitMode: flag(false, 'unitMode'),
}

/** Apache's broadcast consumers keep their client id, and with it their offset file, across restarts by this name. */
const BROADCAST_INSTANCE = 'DEFAULT'

/** Settings of which broadcast consumers get an instance name that survives a restart, as their offset file depends on it. */
export function broadcastSettings<S extends { readonly broadcast: boolean; readonly instanceName: string }>(
  settings: S,
): S {
  const isUnnamed = settings.broadcast && settings.instanceName === ''
  return isUnnamed ? { ...settings, instanceName: BROADCAST_INSTANCE } : settings
}

export type PushSettings = ValuesOf<typeof pushOptions> & InstanceOptions

/** All that they have. */
export const pushTable = { ...instanceOptions, ...pushOptions }

/** The settings. @throws ClientError BAD_OPTION */
export function readPushSettings(given: GivenOf<typeof pushOptions> & ClientOptions): PushSettings {
  return broadcastSettings(readOptions('PushConsumer', pushTable, given))
}
