import {
  assignmentsBody,
  batchAckBody,
  checkClientBody,
  type ConsumerData,
  consumeDirectlyBody,
  consumerListBody,
  consumerStatusBody,
  heartbeatBody,
  lockBatchBody,
  lockBatchResponseBody,
  queryAssignmentBody,
  resetOffsetBody,
  resetOffsetBodyForC,
  runningInfoBody,
  setMessageRequestModeBody,
  type SubscriptionData,
  unlockBatchBody,
} from '@gantrymq/protocol'
import type { BodyCodec } from '@gantrymq/remoting'

type ApacheRelease = '4.9.7' | '5.5.0'

/**
 * A body in our representation. packages/protocol/test/golden has Java's bytes of it. Sets have the order in which Java
 * iterates over them.
 */
export interface BodySample {
  /** Name of the golden file, without `.json`. */
  readonly name: string
  /** The name of Apache's class. */
  readonly className: string
  /** The releases whose class has all these members. */
  readonly releases: readonly ApacheRelease[]
  readonly value: unknown
  /** Encodes `value` with our codec. */
  encode(): Buffer
  decode(bytes: Buffer): unknown
}

const BOTH: readonly ApacheRelease[] = ['4.9.7', '5.5.0']
const ONLY_5: readonly ApacheRelease[] = ['5.5.0']

function sample<T>(name: string, codec: BodyCodec<T>, value: T, releases: readonly ApacheRelease[] = BOTH): BodySample {
  return {
    name,
    className: codec.name,
    releases,
    value,
    encode: () => Buffer.from(codec.encode(value)),
    decode: bytes => codec.decode(bytes),
  }
}

const orders = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }
const retries = { topic: '%RETRY%billing', brokerName: 'broker-b', queueId: 3 }

const byTag: SubscriptionData = {
  topic: 'Orders',
  subString: 'paid || Überweisung',
  expressionType: 'TAG',
  tagsSet: ['paid', 'Überweisung'],
  codeSet: [3433164, -2092342301],
  subVersion: 1700000000000,
  classFilterMode: false,
}

const bySql: SubscriptionData = {
  topic: 'Others',
  subString: "a > 5 AND b = 'x\"\\'",
  expressionType: 'SQL92',
  tagsSet: [],
  codeSet: [],
  subVersion: 1700000000001,
  classFilterMode: false,
}

const billing: ConsumerData = {
  groupName: 'billing',
  consumeType: 'CONSUME_PASSIVELY',
  messageModel: 'CLUSTERING',
  consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
  subscriptionDataSet: [byTag],
  unitMode: false,
}

const heartbeat = {
  clientID: '10.0.0.9@4321#123456789',
  producerDataSet: [{ groupName: 'CLIENT_INNER_PRODUCER' }],
  consumerDataSet: [billing],
  heartbeatFingerprint: 0,
  withoutSub: false,
}

const lock = { consumerGroup: 'billing', clientId: '10.0.0.9@1', mqSet: [retries, orders], onlyThisBroker: false }

const processQueue = {
  queue: orders,
  commitOffset: 90,
  cachedMsgMinOffset: 91,
  cachedMsgMaxOffset: 9007199254740991,
  cachedMsgCount: 7,
  cachedMsgSizeInMiB: 1,
  transactionMsgMinOffset: 11,
  transactionMsgMaxOffset: 12,
  transactionMsgCount: 2,
  locked: true,
  tryUnlockTimes: 4,
  lastLockTimestamp: 1700000000001,
  droped: false,
  lastPullTimestamp: 1700000000002,
  lastConsumeTimestamp: 1700000000003,
}

const runningInfo = {
  properties: new Map([['PROP_CONSUME_TYPE', 'CONSUME_PASSIVELY']]),
  subscriptionSet: [byTag, bySql],
  mqTable: [processQueue, { ...processQueue, queue: { ...orders, queueId: 1 }, droped: true }],
  mqPopTable: [],
  statusTable: new Map([
    [
      'Orders',
      {
        pullRT: 0,
        pullTPS: 1.5,
        consumeRT: 12345678.9,
        consumeOKTPS: 0.0001,
        consumeFailedTPS: 0,
        consumeFailedMsgs: 3,
      },
    ],
  ]),
  userConsumerInfo: new Map<string, string>(),
  jstack: 'TID: 1 STATE: RUNNABLE\n\tat a.B(C.java:1)\r\n',
}

const popRunningInfo = {
  ...runningInfo,
  mqTable: [],
  mqPopTable: [{ queue: orders, waitAckCount: 5, droped: true, lastPopTimestamp: 1700000000000 }],
  userConsumerInfo: new Map([['zone', 'a']]),
}

const ack = {
  consumerGroup: 'billing',
  topic: 'Orders',
  retry: '0',
  startOffset: 100,
  queueId: 1,
  reviveQueueId: 3,
  popTime: 1700000000000,
  invisibleTime: 60000,
  bits: [0, 2, 7, 8, 63, 64, 130],
}

/** Samples of the bodies between clients and brokers. */
export const clientBodySamples: readonly BodySample[] = [
  sample('heartbeat', heartbeatBody, heartbeat),
  sample('heartbeat-empty', heartbeatBody, { ...heartbeat, producerDataSet: [], consumerDataSet: [] }),
  sample('heartbeat-v2', heartbeatBody, { ...heartbeat, heartbeatFingerprint: -123456789, withoutSub: true }, ONLY_5),
  sample('check-client', checkClientBody, { clientId: 'c1', group: 'billing', subscriptionData: bySql }),
  sample('consumer-list', consumerListBody, { consumerIdList: ['10.0.0.9@4321#1', '10.0.0.9@4321#2'] }),
  sample('lock-batch', lockBatchBody, lock),
  sample('unlock-batch', unlockBatchBody, lock),
  sample('lock-batch-strict', lockBatchBody, { ...lock, onlyThisBroker: true }, ONLY_5),
  sample('lock-batch-answer', lockBatchResponseBody, { lockOKMQSet: [orders] }),
  sample('reset-offset', resetOffsetBody, {
    offsetTable: [
      { queue: retries, offset: 9007199254740991 },
      { queue: orders, offset: 42 },
    ],
  }),
  sample('reset-offset-list', resetOffsetBodyForC, { offsetTable: [{ queue: orders, offset: 42 }] }),
  sample('consumer-status', consumerStatusBody, {
    messageQueueTable: [{ queue: orders, offset: 42 }],
    consumerTable: new Map([['10.0.0.9@4321#1', [{ queue: retries, offset: 7 }]]]),
  }),
  sample('running-info', runningInfoBody, runningInfo),
  sample('running-info-pop', runningInfoBody, popRunningInfo, ONLY_5),
  sample('consume-directly', consumeDirectlyBody, {
    order: false,
    autoCommit: true,
    consumeResult: 'CR_SUCCESS',
    spentTimeMills: 3,
  }),
  sample('consume-directly-failed', consumeDirectlyBody, {
    order: true,
    autoCommit: false,
    consumeResult: 'CR_THROW_EXCEPTION',
    remark: 'java.lang.Error: "no"\n\tat a.B',
    spentTimeMills: 3,
  }),
  sample(
    'query-assignment',
    queryAssignmentBody,
    { topic: 'Orders', consumerGroup: 'billing', clientId: 'c1', strategyName: 'AVG', messageModel: 'CLUSTERING' },
    ONLY_5,
  ),
  sample(
    'assignments',
    assignmentsBody,
    {
      messageQueueAssignments: [{ messageQueue: orders, mode: 'POP', attachments: new Map([['a', 'b']]) }],
    },
    ONLY_5,
  ),
  sample(
    'message-request-mode',
    setMessageRequestModeBody,
    { topic: 'Orders', consumerGroup: 'billing', mode: 'POP', popShareQueueNum: -1 },
    ONLY_5,
  ),
  sample('batch-ack', batchAckBody, { brokerName: 'broker-a', acks: [ack, { ...ack, retry: '2', bits: [] }] }, ONLY_5),
]
