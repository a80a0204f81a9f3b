import type { Codec } from '../../message/codec.ts'
import { ClientError } from '../../errors.ts'
import { asJava, type ClientOptions, type InstanceOptions, instanceOptions } from '../../instance/instance-options.ts'
import type { MessageQueue } from '../../message/message.ts'
import { flag, type GivenOf, millis, readOptions, type OptionValues, whole } from '../../options.ts'
import { broadcastSettings, pushOptions } from '../push/settings.ts'
import type { Expression } from '../group/subscription.ts'

const { broadcast, consumeFrom, allocate, rebalanceMs, persistOffsetsMs, pullBatchBytes, pullRetryMs } = pushOptions
const { offsetsFolder, unitMode, maxQueuedMessages, maxQueuedMebibytes, maxSpan, trace, waitForNameServer, onProblem } =
  pushOptions

/** The options of lite pull consumers besides `instanceOptions`. */
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
  waitForNameServer,
  onProblem,
  /** The most messages in one pull, and therefore in one poll. Default 10. */
  pullBatchSize: whole(10, 'pullBatchSize', { min: 1, max: 1024 }),
  /** How many messages of all queues together may wait in memory. Default 10,000. */
  maxQueuedTotal: whole(10_000, 'pullThresholdForAll', { min: 1 }),
  /** How long a broker may hold a pull that finds nothing, in milliseconds. Default 20,000. */
  suspendMs: millis(20_000, 'brokerSuspendMaxTimeMillis', { min: 1, max: 300_000 }),
  /** How long the client waits for the reply to a pull, in milliseconds. Must not be less than `suspendMs`. Default 30,000. */
  pullTimeoutMs: millis(30_000, 'consumerTimeoutMillisWhenSuspend', { min: 1 }),
  /** How long `poll` waits by default, in milliseconds. Default 5,000. */
  pollTimeoutMs: millis(5000, 'pollTimeoutMillis'),
  /** Whether the offsets of consumed messages are committed automatically. Default true. */
  autoCommit: flag(true, 'autoCommit'),
  /** How often `autoCommit` commits, in milliseconds. Default 5,000. */
  autoCommitMs: millis(5000, 'autoCommitIntervalMillis', { min: 1000 }),
}

/** All options of lite pull consumers. */
export const litePullTable = { ...instanceOptions, ...litePullOptions }

export type LitePullSettings = OptionValues<typeof litePullOptions> & InstanceOptions

/** The options of a lite pull consumer. */
export interface LitePullConsumerOptions<Body = Buffer> extends ClientOptions, GivenOf<typeof litePullOptions> {
  /** Name of the consumer group, whose offsets are used. */
  readonly group: string
  /** The topics whose queues the members of the group share, each with a filter as in `subscribe`. Leave it out to `assign` queues. */
  readonly subscriptions?: Readonly<Record<string, Expression>> | undefined
  /** Decodes message bodies. Default: bodies stay bytes. */
  readonly codec?: Codec<Body> | undefined
  /** Called when the queues of a topic that this member consumes have changed. */
  readonly onQueues?: ((topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => void) | undefined
}

/** What a lite pull consumer has done since it started, and what it holds now. */
export interface LitePullConsumerStats {
  readonly pulled: number
  /** Messages that polls and loops have returned. */
  readonly received: number
  /** Messages that could not be read and were skipped. */
  readonly skipped: number
  /** Messages in memory that are not done. */
  readonly queued: number
}

/** Checks the options and fills in the defaults. @throws ClientError BAD_OPTION */
export function readLitePullSettings(given: GivenOf<typeof litePullOptions> & ClientOptions): LitePullSettings {
  const settings = asJava(readOptions('LitePullConsumer', litePullTable, given))
  checkSuspend('LitePullConsumer', settings)
  return broadcastSettings(settings)
}

/** A broker must not hold a pull for longer than the client waits for it. @throws ClientError BAD_OPTION */
export function checkSuspend(
  who: string,
  { pullTimeoutMs, suspendMs }: Pick<LitePullSettings, 'pullTimeoutMs' | 'suspendMs'>,
): void {
  if (pullTimeoutMs >= suspendMs) return
  throw new ClientError(
    'BAD_OPTION',
    `${who}: pullTimeoutMs ${pullTimeoutMs} must not be less than suspendMs ${suspendMs}`,
  )
}
