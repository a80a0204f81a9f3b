import { AUTO_CREATE_TOPIC, type Compression } from '@gantrymq/protocol'
import type { InstanceOptions } from '../instance/instance-options.ts'
import { defaultFaultTable, type FaultTable } from './fault-latency.ts'
import { traceOption } from '../trace/trace-option.ts'
import { custom, flag, millis, textOption, type OptionValues, whole, word } from '../options.ts'
import { RETRY_RESPONSE_CODES } from '../errors.ts'

const MIB = 1 << 20

function isFaultTable(value: unknown): boolean {
  const { latencyMax, notAvailableDuration, isolationLatency } = (value ?? {}) as Partial<FaultTable>
  const lists = [latencyMax, notAvailableDuration]
  const areNumbers = lists.every(list => Array.isArray(list) && list.every(each => typeof each === 'number'))
  return areNumbers && latencyMax?.length === notAvailableDuration?.length && typeof isolationLatency === 'number'
}

/** The options of producers, besides `instanceOptions`. */
export const producerOptions = {
  /** Timeout of one send including its retries, milliseconds. Default 3,000. */
  timeoutMs: millis(3000, 'sendMsgTimeout', { min: 1 }),
  /**
   * Timeout of each attempt but the last, milliseconds; 0 for an equal share of what is left of `timeoutMs`, if there is another broker
   * that is well, and else for all of it. Default 0.
   */
  attemptTimeoutMs: millis(0, 'sendMsgMaxTimeoutPerRequest'),
  /** How often a failed send is retried, on another broker if there is one. Default 2. */
  retries: whole(2, 'retryTimesWhenSendFailed', { max: 100 }),
  /** Whether a message that was stored but not flushed or replicated in time is sent again. Default false. */
  retryNotStored: flag(false, 'retryAnotherBrokerWhenNotStoreOK'),
  /** Response codes after which a send is retried. Default 1, 2, 14, 16, 17, 204, 205 and 1500. */
  retryResponseCodes: custom<readonly number[]>(
    RETRY_RESPONSE_CODES,
    'retryResponseCodes',
    'an array of numbers',
    value => Array.isArray(value) && value.every(code => Number.isInteger(code)),
  ),
  /** Largest body in bytes, after compression. Default 4 MiB, the broker's own limit. */
  maxMessageSize: whole(4 * MIB, 'maxMessageSize', { min: 1 }),
  /** Bodies of at least this many bytes are compressed. Default 4,096. */
  compressOver: whole(4096, 'compressMsgBodyOverHowmuch', { min: 1 }),
  /** Compression: `zlib`, `zstd` or `lz4`. LZ4 needs the package lz4-napi. Default zlib. */
  compression: word<Compression>('zlib', 'compressType', ['zlib', 'zstd', 'lz4']),
  /** Compression level: 0 to 9, for zstd 1 to 9. Default 5. */
  compressionLevel: whole(5, 'compressLevel', { max: 9 }),
  /** Queues per broker of a topic that a broker creates because a message is sent to it. Default 4. */
  defaultTopicQueues: whole(4, 'defaultTopicQueueNums', { min: 1, max: 65_536 }),
  /** The template topic whose settings such a topic gets. Default TBW102. */
  createTopicKey: textOption(AUTO_CREATE_TOPIC, 'createTopicKey'),
  /** Whether slow and failed brokers are avoided for a while, if there are others. Default true; Apache's is false. */
  faultLatency: flag(true, 'sendLatencyFaultEnable'),
  /** For how long at which latency, and the latency that a failure counts as, milliseconds. Default: as in Apache's 5.x client. */
  faultTable: custom<FaultTable>(
    defaultFaultTable,
    'latencyMax, notAvailableDuration',
    '{ latencyMax, notAvailableDuration, isolationLatency }, two arrays of equal length and a number',
    isFaultTable,
  ),
  /** Whether brokers at which a send failed are probed in the background until they answer. Default false. */
  probeBrokers: flag(false, 'startDetectorEnable'),
  /** Time between two probes of a broker, milliseconds. Default 2,000. */
  probeEveryMs: millis(2000, 'detectInterval', { min: 100 }),
  /** Timeout of a probe, milliseconds. Default 200. */
  probeTimeoutMs: millis(200, 'detectTimeout', { min: 1 }),
  /** Whether single sends wait a short time for others of their topic and are sent with them as a batch. Default false. */
  autoBatch: flag(false, 'autoBatch'),
  /** How long a message waits for others, milliseconds. Default 10. */
  autoBatchDelayMs: millis(10, 'batchMaxDelayMs', { min: 1, max: 30_000 }),
  /** The size in bytes at which such a batch is sent at once. Default 32 KiB. */
  autoBatchBytes: whole(32_768, 'batchMaxBytes', { min: 1, max: 2 * MIB }),
  /** Bytes in all such batches that are not stored yet; beyond it messages are sent alone. Default 32 MiB. */
  autoBatchHeldBytes: whole(32 * MIB, 'totalBatchMaxBytes', { min: 1 }),
  /** Topics whose routes are fetched at the start, so that the first send need not wait for them. Default none. */
  topics: custom<readonly string[]>(
    Object.freeze([]),
    'topics',
    'an array of topics',
    value => Array.isArray(value) && value.every(topic => typeof topic === 'string'),
  ),
  /**
   * Whether messages with `delayMs` or `deliverAt` may go to brokers of 4.9, which deliver them at once. Default false: they are
   * refused (UNSUPPORTED).
   */
  allowImmediateDelivery: flag(false, null),
  /** Messages in flight at a time; further sends wait. Default 10,000. */
  maxInFlight: whole(10_000, 'backPressureForAsyncSendNum', { min: 1 }),
  /** Bytes in the bodies of the messages in flight; further sends wait. Default 100 MiB. */
  maxInFlightBytes: whole(100 * MIB, 'backPressureForAsyncSendSize', { min: 1 }),
  /** Largest batch in bytes; a larger one is sent as several. Default 4 MiB less 64 KiB. */
  maxBatchBytes: whole(4 * MIB - 65_536, 'maxMessageSize', { min: 1024 }),
  /** Transaction checks that may wait for `checkTransaction`; a broker asks again about those beyond it. Default 2,000. */
  maxTransactionChecks: whole(2000, 'checkRequestHoldMax', { min: 1 }),
  /** RocketMQ's message trace, which mqadmin and dashboards show: true, or `{ topic }` for another trace topic. Default false. */
  trace: traceOption,
  /** The unit-mode flag of requests, for clusters that are run in units. Default false. */
  unitMode: flag(false, 'unitMode'),
}

export type ProducerSettings = OptionValues<typeof producerOptions> & InstanceOptions
