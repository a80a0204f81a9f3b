import {
  type Bean,
  boolOf,
  doubleOf,
  intOf,
  type JsonObject,
  numberOf,
  objectOf,
  textOf,
  textTable,
  toObject,
  toText,
} from '@gantrymq/remoting'
import { type SubscriptionData, subscriptionBean, subscriptionsOf } from './heartbeat.ts'
import { jsonBody } from './json-body.ts'
import { type MessageQueue, type OfQueue, queueTable, readQueueTable } from './message-queue.ts'

/** The messages of one queue that a consumer holds: Apache's ProcessQueueInfo. Times are milliseconds since the epoch. */
export interface ProcessQueueInfo extends OfQueue {
  readonly commitOffset: number
  readonly cachedMsgMinOffset: number
  readonly cachedMsgMaxOffset: number
  readonly cachedMsgCount: number
  readonly cachedMsgSizeInMiB: number
  readonly transactionMsgMinOffset: number
  readonly transactionMsgMaxOffset: number
  readonly transactionMsgCount: number
  readonly locked: boolean
  readonly tryUnlockTimes: number
  readonly lastLockTimestamp: number
  /** The wire has this spelling. */
  readonly droped: boolean
  readonly lastPullTimestamp: number
  readonly lastConsumeTimestamp: number
}

/** The messages of one queue that a popping consumer holds: Apache's PopProcessQueueInfo (5.x). */
export interface PopProcessQueueInfo extends OfQueue {
  readonly waitAckCount: number
  /** The wire has this spelling. */
  readonly droped: boolean
  readonly lastPopTimestamp: number
}

/** The speed of a topic's consumption: Apache's ConsumeStatus. Times are milliseconds, rates are per second. */
export interface ConsumeStatus {
  readonly pullRT: number
  readonly pullTPS: number
  readonly consumeRT: number
  readonly consumeOKTPS: number
  readonly consumeFailedTPS: number
  /** In the last hour. */
  readonly consumeFailedMsgs: number
}

/** The state that a consumer reports: Apache's ConsumerRunningInfo. */
export interface ConsumerRunningInfo {
  /** Properties such as `PROP_CLIENT_VERSION`, and the consumer's settings. */
  readonly properties: ReadonlyMap<string, string>
  readonly subscriptionSet: readonly SubscriptionData[]
  readonly mqTable: readonly ProcessQueueInfo[]
  /** 5.x. */
  readonly mqPopTable?: readonly PopProcessQueueInfo[]
  /** By topic. */
  readonly statusTable: ReadonlyMap<string, ConsumeStatus>
  /** 5.x. */
  readonly userConsumerInfo?: ReadonlyMap<string, string>
  /** The stacks of all threads, if they were requested. */
  readonly jstack?: string
}

function processQueueBean(info: ProcessQueueInfo): Bean {
  return {
    cachedMsgCount: info.cachedMsgCount,
    cachedMsgMaxOffset: info.cachedMsgMaxOffset,
    cachedMsgMinOffset: info.cachedMsgMinOffset,
    cachedMsgSizeInMiB: info.cachedMsgSizeInMiB,
    commitOffset: info.commitOffset,
    droped: info.droped,
    lastConsumeTimestamp: info.lastConsumeTimestamp,
    lastLockTimestamp: info.lastLockTimestamp,
    lastPullTimestamp: info.lastPullTimestamp,
    locked: info.locked,
    transactionMsgCount: info.transactionMsgCount,
    transactionMsgMaxOffset: info.transactionMsgMaxOffset,
    transactionMsgMinOffset: info.transactionMsgMinOffset,
    tryUnlockTimes: info.tryUnlockTimes,
  }
}

function readProcessQueue(queue: MessageQueue, object: JsonObject): ProcessQueueInfo {
  return {
    queue,
    commitOffset: numberOf(object, 'commitOffset', 0),
    cachedMsgMinOffset: numberOf(object, 'cachedMsgMinOffset', 0),
    cachedMsgMaxOffset: numberOf(object, 'cachedMsgMaxOffset', 0),
    cachedMsgCount: intOf(object, 'cachedMsgCount', 0),
    cachedMsgSizeInMiB: intOf(object, 'cachedMsgSizeInMiB', 0),
    transactionMsgMinOffset: numberOf(object, 'transactionMsgMinOffset', 0),
    transactionMsgMaxOffset: numberOf(object, 'transactionMsgMaxOffset', 0),
    transactionMsgCount: intOf(object, 'transactionMsgCount', 0),
    locked: boolOf(object, 'locked', false),
    tryUnlockTimes: numberOf(object, 'tryUnlockTimes', 0),
    lastLockTimestamp: numberOf(object, 'lastLockTimestamp', 0),
    droped: boolOf(object, 'droped', false),
    lastPullTimestamp: numberOf(object, 'lastPullTimestamp', 0),
    lastConsumeTimestamp: numberOf(object, 'lastConsumeTimestamp', 0),
  }
}

function popQueueBean({ droped, lastPopTimestamp, waitAckCount }: PopProcessQueueInfo): Bean {
  return { droped, lastPopTimestamp, waitAckCount }
}

function readPopQueue(queue: MessageQueue, object: JsonObject): PopProcessQueueInfo {
  return {
    queue,
    waitAckCount: intOf(object, 'waitAckCount', 0),
    droped: boolOf(object, 'droped', false),
    lastPopTimestamp: numberOf(object, 'lastPopTimestamp', 0),
  }
}

function statusBean(status: ConsumeStatus): Bean {
  const { consumeFailedMsgs, consumeFailedTPS, consumeOKTPS, consumeRT, pullRT, pullTPS } = status
  return { consumeFailedMsgs, consumeFailedTPS, consumeOKTPS, consumeRT, pullRT, pullTPS }
}

function readStatus(object: JsonObject): ConsumeStatus {
  return {
    pullRT: doubleOf(object, 'pullRT'),
    pullTPS: doubleOf(object, 'pullTPS'),
    consumeRT: doubleOf(object, 'consumeRT'),
    consumeOKTPS: doubleOf(object, 'consumeOKTPS'),
    consumeFailedTPS: doubleOf(object, 'consumeFailedTPS'),
    consumeFailedMsgs: numberOf(object, 'consumeFailedMsgs', 0),
  }
}

function readStatuses(object: JsonObject): Map<string, ConsumeStatus> {
  const statuses = new Map<string, ConsumeStatus>()
  for (const [topic, status] of objectOf(object, 'statusTable') ?? []) {
    statuses.set(toText(topic), readStatus(toObject(status, 'statusTable')))
  }
  return statuses
}

function readRunningInfo(object: JsonObject): ConsumerRunningInfo {
  const jstack = textOf(object, 'jstack')
  return {
    properties: textTable(objectOf(object, 'properties') ?? new Map()),
    subscriptionSet: subscriptionsOf(object, 'subscriptionSet'),
    mqTable: readQueueTable(objectOf(object, 'mqTable'), readProcessQueue),
    mqPopTable: readQueueTable(objectOf(object, 'mqPopTable'), readPopQueue),
    statusTable: readStatuses(object),
    userConsumerInfo: textTable(objectOf(object, 'userConsumerInfo') ?? new Map()),
    ...(jstack === undefined ? undefined : { jstack }),
  }
}

/** Written as 5.x does; 4.9 ignores unknown members. */
export const runningInfoBody = jsonBody<ConsumerRunningInfo>(
  'ConsumerRunningInfo',
  info => ({
    jstack: info.jstack,
    mqPopTable: queueTable(info.mqPopTable ?? [], popQueueBean),
    mqTable: queueTable(info.mqTable, processQueueBean),
    properties: info.properties,
    statusTable: new Map([...info.statusTable].map(([topic, status]) => [topic, statusBean(status)])),
    subscriptionSet: info.subscriptionSet.map(subscriptionBean),
    userConsumerInfo: info.userConsumerInfo ?? new Map<string, string>(),
  }),
  readRunningInfo,
)
