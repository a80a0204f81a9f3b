import { AUTO_CREATE_TOPIC, type Compression } from '@gantrymq/protocol'
import type { InstanceOptions } from '../instance/instance-options.ts'
import { defaultFaultTable, type FaultTable } from './fault-latency.ts'
import { traceOption } from '../trace/trace-option.ts'
import { custom, flag, millis, textOption, type ValuesOf, whole, word } from '../options.ts'
import { RETRY_RESPONSE_CODES } from '../errors.ts'

const MIB = 1 << 20

function isFaultTable(value: unknown): boolean {
  const { latencyMax, notAvailableDuration, isolationLatency } = (value ?? {}) as Partial<FaultTable>
  const lists = [latencyMax, notAvailableDuration]
  const areNumbers = lists.every(list => Array.isArray(list) && list.every(each => typeof each === 'number'))
  return areNumbers && latencyMax?.length === notAvailableDuration?.length && typeof isolationLatency === 'number'
}

/** What producers have beside `instanceOptions`. */
export const producerOptions = {
  /** How long one send may take, milliseconds, with its retries. Default 3,000. */
  timeoutMs: millis(3000, 'sendMsgTimeout', { min: 1 }),
  /** How long one attempt may take, milliseconds, unless it is the last; 0 for as long as the send. Default 0. */
  attemptTimeoutMs: millis(0, 'sendMsgMaxTimeoutPerRequest'),
  /** How often a failed send is tried again, elsewhere if it can. Default 2. */
  retries: whole(2, 'retryTimesWhenSendFailed', { max: 100 }),
  /** Whether a message that was stored but not flushed or copied in time is sent again. Default false. */
  retryNotStored: flag(false, 'retryAnotherBrokerWhenNotStoreOK'),
  /** Response codes that are worth another attempt. Default 1, 2, 14, 16, 17, 204, 205 and 1500. */
  retryResponseCodes: custom<readonly number[]>(
    RETRY_RESPONSE_CODES,
    'retryResponseCodes',
    'a list of numbers',
    value => Array.isArray(value) && value.every(code => Number.isInteger(code)),
  ),
  /** Largest body in bytes, before compression. Default 4 MiB, the broker's own limit. */
  maxMessageSize: whole(4 * MIB, 'maxMessageSize', { min: 1 }),
  /** Bodies of so many bytes and more are compressed. Default 4,096. */
  compressOver: whole(4096, 'compressMsgBodyOverHowmuch', { min: 1 }),
  /** How: `zlib`, `zstd`, `lz4`. LZ4 needs the package lz4-napi. Default zlib. */
  compression: word<Compression>('zlib', 'compressType', ['zlib', 'zstd', 'lz4']),
  /** 0 to 9, with zstd 1 to 9. Default 5. */
  compressionLevel: whole(5, 'compressLevel', { max: 9 }),
  /** Queues a broker that a topic gets which is made by sending to it. Default 4. */
  defaultTopicQueues: whole(4, 'defaultTopicQueueNums', { min: 1, max: 65_536 }),
  /** The topic that such a topic copies. Default TBW102. */
  createTopicKey: textOption(AUTO_CREATE_TOPIC, 'createTopicKey'),
  /** Whether slow and failed brokers rest for a while, if there are others. Default true; Apache's is false. */
  faultLatency: flag(true, 'sendLatencyFaultEnable'),
  /** How long for which latency, and what latency a failure counts as, milliseconds. Default: that of Apache's 5.x client. */
  faultTable: custom<FaultTable>(
    defaultFaultTable,
    'latencyMax, notAvailableDuration',
    '{ latencyMax, notAvailableDuration, isolationLatency }, two lists of equal length and a number',
    isFaultTable,
  ),
  /** Whether brokers that a send failed at are asked if they are there again. Default false. */
  probeBrokers: flag(false, 'startDetectorEnable'),
  /** How often each is asked, milliseconds. Default 2,000. */
  probeEveryMs: millis(2000, 'detectInterval', { min: 100 }),
  /** How long it may take to answer, milliseconds. Default 200. */
  probeTimeoutMs: millis(200, 'detectTimeout', { min: 1 }),
  /** Whether single sends wait a moment for others of their topic and go with them as a batch. Default false. */
  autoBatch: flag(false, 'autoBatch'),
  /** How long a message may wait for others, milliseconds. Default 10. */
  autoBatchDelayMs: millis(10, 'batchMaxDelayMs', { min: 1, max: 30_000 }),
  /** Bytes that are enough for a batch. Default 32 KiB. */
  autoBatchBytes: whole(32_768, 'batchMaxBytes', { min: 1, max: 2 * MIB }),
  /** Bytes that may wait in all; beyond them messages go by themselves. Default 32 MiB. */
  autoBatchHeldBytes: whole(32 * MIB, 'totalBatchMaxBytes', { min: 1 }),
  /** Topics whose routes are asked for at the start, so that the first send finds them. Default none. */
  topics: custom<readonly string[]>(
    Object.freeze([]),
    'topics',
    'a list of topics',
    value => Array.isArray(value) && value.every(topic => typeof topic === 'string'),
  ),
  /** Messages on their way at a time; a send beyond it waits. Default 10,000. */
  maxInFlight: whole(10_000, 'backPressureForAsyncSendNum', { min: 1 }),
  /** Bytes of their bodies. Default 100 MiB. */
  maxInFlightBytes: whole(100 * MIB, 'backPressureForAsyncSendSize', { min: 1 }),
  /** Largest batch in bytes; what is larger goes as several. Default 4 MiB less 64 KiB. */
  maxBatchBytes: whole(4 * MIB - 65_536, 'maxMessageSize', { min: 1024 }),
  /** Checks of transactions that may wait for an answer of yours. Default 2,000. */
  maxTransactionChecks: whole(2000, 'checkRequestHoldMax', { min: 1 }),
  /** RocketMQ's own message trace, which mqadmin and dashboards show: true, or `{ topic }` of your own. Default false. */
  trace: traceOption,
  /** Header flag for clusters that are run in units. Default false. */
  unitMode: flag(false, 'unitMode'),
}

export type ProducerSettings = ValuesOf<typeof producerOptions> & InstanceOptions
