import {
  type Bean,
  boolOf,
  constantOf,
  intOf,
  type JsonObject,
  listOf,
  numberOf,
  textOf,
  textsOf,
  toInt,
  toObject,
} from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'

const CONSUME_TYPES = ['CONSUME_ACTIVELY', 'CONSUME_PASSIVELY', 'CONSUME_POP'] as const
const MESSAGE_MODELS = ['BROADCASTING', 'CLUSTERING'] as const
const CONSUME_FROM = [
  'CONSUME_FROM_LAST_OFFSET',
  'CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST',
  'CONSUME_FROM_MIN_OFFSET',
  'CONSUME_FROM_MAX_OFFSET',
  'CONSUME_FROM_FIRST_OFFSET',
  'CONSUME_FROM_TIMESTAMP',
] as const

/** How a consumer gets its messages: its application pulls them, they are pushed to it, or it pops them (5.x). */
export type ConsumeType = (typeof CONSUME_TYPES)[number]
export type MessageModel = (typeof MESSAGE_MODELS)[number]
/** Where a group without committed offsets starts. */
export type ConsumeFromWhere = (typeof CONSUME_FROM)[number]

/** A group's subscription to a topic: Apache's SubscriptionData. */
export interface SubscriptionData {
  readonly topic: string
  /** The expression as written: `*`, `a || b`, or SQL. */
  readonly subString: string
  /** `TAG` or `SQL92`. */
  readonly expressionType: string
  /** The tags of a tag expression; none for `*` and for SQL. */
  readonly tagsSet: readonly string[]
  /** Java's `String.hashCode` of each tag. */
  readonly codeSet: readonly number[]
  /** Milliseconds since the epoch; brokers keep the newest. */
  readonly subVersion: number
  /** True only for filter servers, which no supported release has. */
  readonly classFilterMode?: boolean
}

/** A consumer group of a client: Apache's ConsumerData. */
export interface ConsumerData {
  readonly groupName: string
  readonly consumeType: ConsumeType
  readonly messageModel: MessageModel
  readonly consumeFromWhere: ConsumeFromWhere
  readonly subscriptionDataSet: readonly SubscriptionData[]
  readonly unitMode?: boolean
}

/** A producer group of a client: Apache's ProducerData. */
export interface ProducerData {
  readonly groupName: string
}

/** The producers and consumers of a client: Apache's HeartbeatData. */
export interface HeartbeatData {
  readonly clientID: string
  readonly producerDataSet: readonly ProducerData[]
  readonly consumerDataSet: readonly ConsumerData[]
  /** 5.x: a number that changes with the subscriptions. Default 0: the broker compares everything. */
  readonly heartbeatFingerprint?: number
  /** 5.x: the subscriptions are left out because the broker has them under this fingerprint. Default false. */
  readonly withoutSub?: boolean
}

export function subscriptionBean(data: SubscriptionData): Bean {
  return {
    classFilterMode: data.classFilterMode ?? false,
    codeSet: data.codeSet,
    expressionType: data.expressionType,
    subString: data.subString,
    subVersion: data.subVersion,
    tagsSet: data.tagsSet,
    topic: data.topic,
  }
}

export function readSubscription(object: JsonObject): SubscriptionData {
  return {
    topic: textOf(object, 'topic') ?? '',
    subString: textOf(object, 'subString') ?? '',
    // As in Java, a subscription without a type is a tag expression.
    expressionType: textOf(object, 'expressionType') ?? 'TAG',
    tagsSet: textsOf(object, 'tagsSet') ?? [],
    codeSet: (listOf(object, 'codeSet') ?? []).map(code => toInt(code, 'codeSet')),
    subVersion: numberOf(object, 'subVersion', 0),
    classFilterMode: boolOf(object, 'classFilterMode', false),
  }
}

/** The subscriptions in the member `name`; none if it is missing. */
export function subscriptionsOf(object: JsonObject, name: string): SubscriptionData[] {
  return (listOf(object, name) ?? []).map(item => readSubscription(toObject(item, name)))
}

export function consumeTypeOf(object: JsonObject): ConsumeType {
  return constantOf(object, 'consumeType', CONSUME_TYPES, 'CONSUME_PASSIVELY')
}

export function messageModelOf(object: JsonObject): MessageModel {
  return constantOf(object, 'messageModel', MESSAGE_MODELS, 'CLUSTERING')
}

export function consumeFromWhereOf(object: JsonObject): ConsumeFromWhere {
  return constantOf(object, 'consumeFromWhere', CONSUME_FROM, 'CONSUME_FROM_LAST_OFFSET')
}

function consumerBean(data: ConsumerData): Bean {
  return {
    consumeFromWhere: data.consumeFromWhere,
    consumeType: data.consumeType,
    groupName: data.groupName,
    messageModel: data.messageModel,
    subscriptionDataSet: data.subscriptionDataSet.map(subscriptionBean),
    unitMode: data.unitMode ?? false,
  }
}

function readConsumer(object: JsonObject): ConsumerData {
  return {
    groupName: textOf(object, 'groupName') ?? '',
    consumeType: consumeTypeOf(object),
    messageModel: messageModelOf(object),
    consumeFromWhere: consumeFromWhereOf(object),
    subscriptionDataSet: subscriptionsOf(object, 'subscriptionDataSet'),
    unitMode: boolOf(object, 'unitMode', false),
  }
}

function readProducer(object: JsonObject): ProducerData {
  return { groupName: textOf(object, 'groupName') ?? '' }
}

/** Written as 5.x does; 4.9 ignores unknown members. */
export const heartbeatBody = jsonBody<HeartbeatData>(
  'HeartbeatData',
  data => ({
    clientID: data.clientID,
    consumerDataSet: data.consumerDataSet.map(consumerBean),
    heartbeatFingerprint: data.heartbeatFingerprint ?? 0,
    producerDataSet: data.producerDataSet.map(({ groupName }) => ({ groupName })),
    withoutSub: data.withoutSub ?? false,
  }),
  object => ({
    clientID: textOf(object, 'clientID') ?? '',
    producerDataSet: (listOf(object, 'producerDataSet') ?? []).map(item =>
      readProducer(toObject(item, 'producerDataSet')),
    ),
    consumerDataSet: (listOf(object, 'consumerDataSet') ?? []).map(item =>
      readConsumer(toObject(item, 'consumerDataSet')),
    ),
    heartbeatFingerprint: intOf(object, 'heartbeatFingerprint', 0),
    withoutSub: boolOf(object, 'withoutSub', false),
  }),
)
