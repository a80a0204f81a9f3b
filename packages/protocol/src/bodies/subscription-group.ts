import {
  type Bean,
  boolOf,
  intOf,
  type JsonObject,
  listOf,
  numberOf,
  objectOf,
  textOf,
  textTable,
  toInt,
  toNumber,
  toObject,
  toText,
} from '@gantrymq/remoting'
import { type DataVersion, noDataVersion } from '../data-version.ts'
import { dataVersionBean, readDataVersion } from './data-version.ts'
import { jsonBody } from './json-body.ts'
import { type OtherMembers, otherMembers, withOthers } from './other-members.ts'

/** When a failed message is delivered again (5.x): Apache's GroupRetryPolicy. Times in milliseconds. */
export interface GroupRetryPolicy {
  readonly type: 'EXPONENTIAL' | 'CUSTOMIZED'
  readonly exponential?: { readonly initial: number; readonly max: number; readonly multiplier: number }
  /** Without `next`, brokers use Apache's own table. */
  readonly customized?: { readonly next: readonly number[] }
}

/** A subscription of a group that is part of its configuration (5.x): Apache's SimpleSubscriptionData. */
export interface GroupSubscription {
  readonly topic: string
  /** `TAG` or `SQL92`. */
  readonly expressionType: string
  readonly expression: string
  readonly version: number
}

/** The configuration of a consumer group at a broker: Apache's SubscriptionGroupConfig. */
export interface SubscriptionGroupConfig {
  readonly groupName: string
  readonly consumeEnable: boolean
  readonly consumeFromMinEnable: boolean
  readonly consumeBroadcastEnable: boolean
  /** Queues of the retry topic. */
  readonly retryQueueNums: number
  /** A message goes to the dead-letter topic after this many retries. */
  readonly retryMaxTimes: number
  /** Id of the broker to read from. */
  readonly brokerId: number
  /** Id of the broker to read from when consumption lags behind. */
  readonly whichBrokerWhenConsumeSlowly: number
  readonly notifyConsumerIdsChangedEnable: boolean
  /** This and all members below: 5.x; absent if the sender is a 4.9 broker. */
  readonly consumeMessageOrderly?: boolean
  readonly groupRetryPolicy?: GroupRetryPolicy
  readonly groupSysFlag?: number
  readonly consumeTimeoutMinute?: number
  readonly subscriptions?: readonly GroupSubscription[]
  readonly attributes?: ReadonlyMap<string, string>
  /** Only in the table of a broker, which keeps them in its file. */
  readonly others?: OtherMembers
}

/** The configuration of a group that was not configured, as both lines create it. */
export function defaultGroupConfig(groupName: string): SubscriptionGroupConfig {
  return {
    groupName,
    consumeEnable: true,
    consumeFromMinEnable: true,
    consumeBroadcastEnable: true,
    retryQueueNums: 1,
    retryMaxTimes: 16,
    brokerId: 0,
    whichBrokerWhenConsumeSlowly: 1,
    notifyConsumerIdsChangedEnable: true,
  }
}

function retryPolicyBean({ type, exponential, customized }: GroupRetryPolicy): Bean {
  return {
    customizedRetryPolicy: customized && { next: customized.next },
    exponentialRetryPolicy: exponential && {
      initial: exponential.initial,
      max: exponential.max,
      multiplier: exponential.multiplier,
    },
    type,
  }
}

function readRetryPolicy(object: JsonObject): GroupRetryPolicy {
  const exponential = objectOf(object, 'exponentialRetryPolicy')
  const next = listOf(objectOf(object, 'customizedRetryPolicy') ?? new Map(), 'next')
  return {
    type: textOf(object, 'type')?.toUpperCase() === 'EXPONENTIAL' ? 'EXPONENTIAL' : 'CUSTOMIZED',
    ...(exponential && {
      exponential: {
        initial: numberOf(exponential, 'initial', 5000),
        max: numberOf(exponential, 'max', 7_200_000),
        multiplier: numberOf(exponential, 'multiplier', 2),
      },
    }),
    ...(next && { customized: { next: next.map(item => toNumber(item, 'next')) } }),
  }
}

function groupSubscriptionBean({ topic, expressionType, expression, version }: GroupSubscription): Bean {
  return { expression, expressionType, topic, version }
}

function readGroupSubscription(object: JsonObject): GroupSubscription {
  return {
    topic: textOf(object, 'topic') ?? '',
    expressionType: textOf(object, 'expressionType') ?? 'TAG',
    expression: textOf(object, 'expression') ?? '*',
    version: numberOf(object, 'version', 0),
  }
}

/** Members of 5.x are written if they are set; 4.9 ignores them. */
function groupConfigBean(config: SubscriptionGroupConfig): Bean {
  return {
    attributes: config.attributes,
    brokerId: config.brokerId,
    consumeBroadcastEnable: config.consumeBroadcastEnable,
    consumeEnable: config.consumeEnable,
    consumeFromMinEnable: config.consumeFromMinEnable,
    consumeMessageOrderly: config.consumeMessageOrderly,
    consumeTimeoutMinute: config.consumeTimeoutMinute,
    groupName: config.groupName,
    groupRetryPolicy: config.groupRetryPolicy && retryPolicyBean(config.groupRetryPolicy),
    groupSysFlag: config.groupSysFlag,
    notifyConsumerIdsChangedEnable: config.notifyConsumerIdsChangedEnable,
    retryMaxTimes: config.retryMaxTimes,
    retryQueueNums: config.retryQueueNums,
    subscriptionDataSet: config.subscriptions?.map(groupSubscriptionBean),
    whichBrokerWhenConsumeSlowly: config.whichBrokerWhenConsumeSlowly,
  }
}

/** @param key The key in the table, used as the name if the configuration does not name its group. */
function readGroupConfig(object: JsonObject, key: string): SubscriptionGroupConfig {
  const fallback = defaultGroupConfig(textOf(object, 'groupName') ?? key)
  return {
    groupName: fallback.groupName,
    consumeEnable: boolOf(object, 'consumeEnable', fallback.consumeEnable),
    consumeFromMinEnable: boolOf(object, 'consumeFromMinEnable', fallback.consumeFromMinEnable),
    consumeBroadcastEnable: boolOf(object, 'consumeBroadcastEnable', fallback.consumeBroadcastEnable),
    retryQueueNums: intOf(object, 'retryQueueNums', fallback.retryQueueNums),
    retryMaxTimes: intOf(object, 'retryMaxTimes', fallback.retryMaxTimes),
    brokerId: numberOf(object, 'brokerId', fallback.brokerId),
    whichBrokerWhenConsumeSlowly: numberOf(
      object,
      'whichBrokerWhenConsumeSlowly',
      fallback.whichBrokerWhenConsumeSlowly,
    ),
    notifyConsumerIdsChangedEnable: boolOf(
      object,
      'notifyConsumerIdsChangedEnable',
      fallback.notifyConsumerIdsChangedEnable,
    ),
    ...readModernMembers(object),
  }
}

function readModernMembers(object: JsonObject): Partial<SubscriptionGroupConfig> {
  const policy = objectOf(object, 'groupRetryPolicy')
  const subscriptions = listOf(object, 'subscriptionDataSet')
  const attributes = objectOf(object, 'attributes')
  return {
    ...(object.has('consumeMessageOrderly') && {
      consumeMessageOrderly: boolOf(object, 'consumeMessageOrderly', false),
    }),
    ...(policy && { groupRetryPolicy: readRetryPolicy(policy) }),
    ...(object.has('groupSysFlag') && { groupSysFlag: intOf(object, 'groupSysFlag', 0) }),
    ...(object.has('consumeTimeoutMinute') && { consumeTimeoutMinute: intOf(object, 'consumeTimeoutMinute', 15) }),
    ...(subscriptions && {
      subscriptions: subscriptions.map(item => readGroupSubscription(toObject(item, 'subscriptionDataSet'))),
    }),
    ...(attributes && { attributes: textTable(attributes) }),
  }
}

export const groupConfigBody = jsonBody<SubscriptionGroupConfig>('SubscriptionGroupConfig', groupConfigBean, object =>
  readGroupConfig(object, ''),
)

/** Several groups at once (5.x): Apache's SubscriptionGroupList. */
export const groupConfigListBody = jsonBody<readonly SubscriptionGroupConfig[]>(
  'SubscriptionGroupList',
  groups => ({ groupConfigList: groups.map(groupConfigBean) }),
  object =>
    (listOf(object, 'groupConfigList') ?? []).map(item => readGroupConfig(toObject(item, 'groupConfigList'), '')),
)

/** All groups of a broker: Apache's SubscriptionGroupWrapper. */
export interface SubscriptionGroupTable {
  readonly dataVersion: DataVersion
  /** By group name. */
  readonly groups: ReadonlyMap<string, SubscriptionGroupConfig>
  /** 5.x: by group, then by topic: a bit set. 4, as in permissions, forbids reading. */
  readonly forbidden: ReadonlyMap<string, ReadonlyMap<string, number>>
}

const KNOWN: ReadonlySet<string> = new Set(Object.keys(groupConfigBean(defaultGroupConfig(''))))

function readGroups(object: JsonObject): Map<string, SubscriptionGroupConfig> {
  const groups = new Map<string, SubscriptionGroupConfig>()
  for (const [key, value] of objectOf(object, 'subscriptionGroupTable') ?? []) {
    const group = toObject(value, 'subscriptionGroupTable')
    const config = readGroupConfig(group, toText(key))
    const others = otherMembers(group, KNOWN)
    groups.set(config.groupName, others === undefined ? config : { ...config, others })
  }
  return groups
}

function readForbidden(object: JsonObject): Map<string, Map<string, number>> {
  const forbidden = new Map<string, Map<string, number>>()
  for (const [group, topics] of objectOf(object, 'forbiddenTable') ?? []) {
    const bits = [...toObject(topics, 'forbiddenTable')].map(
      ([topic, value]) => [toText(topic), toInt(value, 'forbiddenTable')] as const,
    )
    forbidden.set(toText(group), new Map(bits))
  }
  return forbidden
}

/** Written with the members of 5.x, which 4.9 ignores, and with members of groups that this release does not know. */
export const subscriptionGroupTableBody = jsonBody<SubscriptionGroupTable>(
  'SubscriptionGroupWrapper',
  ({ dataVersion, forbidden, groups }) => ({
    dataVersion: dataVersionBean(dataVersion),
    forbiddenTable: forbidden,
    subscriptionGroupTable: new Map(
      [...groups].map(([name, config]) => [name, withOthers(groupConfigBean(config), config.others)]),
    ),
  }),
  object => {
    const version = objectOf(object, 'dataVersion')
    return {
      dataVersion: version === null ? noDataVersion : readDataVersion(version, 0),
      groups: readGroups(object),
      forbidden: readForbidden(object),
    }
  },
)
