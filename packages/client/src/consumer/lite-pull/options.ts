import type { Codec } from '../../message/codec.ts'
import { ClientError } from '../../errors.ts'
import { type ClientOptions, type InstanceOptions, instanceOptions } from '../../instance/instance-options.ts'
import type { MessageQueue } from '../../message/message.ts'
import { flag, type GivenOf, millis, readOptions, type ValuesOf, whole } from '../../options.ts'
import { broadcastSettings, pushOptions } from '../push/settings.ts'
import type { Expression } from '../subscription.ts'

const { broadcast, consumeFrom, allocate, rebalanceMs, persistOffsetsMs, pullBatchBytes, pullRetryMs } = pushOptions
const { offsetsFolder, unitMode, maxQueuedMessages, maxQueuedMebibytes, maxSpan, trace } = pushOptions

/** What lite pull consumers have beside `instanceOptions`. */
export const litePullOptions = {
  broadcast,
  consumeFrom,
  allocate,
  rebalanceMs,
  persistOffsetsMs,
  pullBatchBytes,
  pullRetryMs,
  offsetsFolder,
  unitMode,
  maxQueuedMessages,
  maxQueuedMebibytes,
  maxSpan,
  trace,
  /** Messages a pull, and so a poll. Default 10. */
  pullBatchSize: whole(10, 'pullBatchSize', { min: 1, max: 1024 }),
  /** Messages of all queues together that may wait in memory. Default 10,000. */
  maxQueuedTotal: whole(10_000, 'pullThresholdForAll', { min: 1 }),
  /** How long a broker may hold a pull that finds nothing, milliseconds. Default 20,000. */
  suspendMs: millis(20_000, 'brokerSuspendMaxTimeMillis', { min: 1, max: 300_000 }),
  /** How long this client waits for the answer of a pull, milliseconds, longer than `suspendMs`. Default 30,000. */
  pullTimeoutMs: millis(30_000, 'consumerTimeoutMillisWhenSuspend', { min: 1 }),
  /** How long `poll` waits when it is not told, milliseconds. Default 5,000. */
  pollTimeoutMs: millis(5000, 'pollTimeoutMillis'),
  /** Whether offsets of what was consumed are committed by themselves. Default true. */
  autoCommit: flag(true, 'autoCommit'),
  /** How often they are, milliseconds. Default 5,000. */
  autoCommitMs: millis(5000, 'autoCommitIntervalMillis', { min: 1000 }),
}

/** All that they have. */
export const litePullTable = { ...instanceOptions, ...litePullOptions }

export type LitePullSettings = ValuesOf<typeof litePullOptions> & InstanceOptions

/** What a lite pull consumer is started with. */
export interface LitePullConsumerOptions<Body = Buffer> extends ClientOptions, GivenOf<typeof litePullOptions> {
  /** Name of the group, whose offsets are used. */
  readonly group: string
  /** Topics whose queues the members of the group share, each with what is wanted of it. Leave it out to `assign` queues. */
  readonly subscriptions?: Readonly<Record<string, Expression>> | undefined
  /** Makes bodies of bytes. Default: bodies are bytes. */
  readonly codec?: Codec<Body> | undefined
  /** Told when this member's queues of a subscribed topic have changed. */
  readonly onQueues?: ((topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => void) | undefined
}

/** What a lite pull consumer has done since it started, and holds now. */
export interface LitePullConsumerStats {
  readonly pulled: number
  /** Messages that were given out. */
  readonly received: number
  /** Could not be read, and were passed over. */
  readonly skipped: number
  /** Messages in memory that are not done. */
  readonly queued: number
}

/** The settings, checked together. @throws ClientError BAD_OPTION */
export function readLitePullSettings(given: GivenOf<typeof litePullOptions> & ClientOptions): LitePullSettings {
  const settings = readOptions('LitePullConsumer', litePullTable, given)
  if (settings.pullTimeoutMs < settings.suspendMs) {
    const text = `LitePullConsumer: pullTimeoutMs ${settings.pullTimeoutMs} must not be less than suspendMs ${settings.suspendMs}`
    throw new ClientError('BAD_OPTION', text)
  }
  return broadcastSettings(settings)
}
