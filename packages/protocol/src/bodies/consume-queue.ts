import {
  type Bean,
  boolOf,
  intOf,
  type JsonObject,
  listOf,
  type Long,
  longOf,
  numberOf,
  objectOf,
  textOf,
  toObject,
} from '@gantrymq/remoting'
import { readSubscription, type SubscriptionData, subscriptionBean } from './heartbeat.ts'
import { jsonBody } from './json-body.ts'

/** One entry of a consume queue: Apache's ConsumeQueueData. */
export interface ConsumeQueueEntry {
  /** Position in the commit log. */
  readonly physicOffset: number
  readonly physicSize: number
  /** Hash of the tag, or the address of an extension, which takes all 64 bits. */
  readonly tagsCode: Long
  readonly extendDataJson?: string
  readonly bitMap?: string
  /** Whether the message passes the group's filter. */
  readonly eval: boolean
  readonly msg?: string
}

/** Some entries of a consume queue: Apache's QueryConsumeQueueResponseBody. */
export interface ConsumeQueueView {
  readonly minQueueIndex: number
  readonly maxQueueIndex: number
  readonly entries: readonly ConsumeQueueEntry[]
  readonly subscription?: SubscriptionData
  readonly filterData?: string
}

function entryBean({
  bitMap,
  eval: taken,
  extendDataJson,
  msg,
  physicOffset,
  physicSize,
  tagsCode,
}: ConsumeQueueEntry): Bean {
  return { bitMap, eval: taken, extendDataJson, msg, physicOffset, physicSize, tagsCode }
}

function readEntry(object: JsonObject): ConsumeQueueEntry {
  const texts = (['extendDataJson', 'bitMap', 'msg'] as const).map(name => [name, textOf(object, name)] as const)
  return {
    physicOffset: numberOf(object, 'physicOffset', 0),
    physicSize: intOf(object, 'physicSize', 0),
    tagsCode: longOf(object, 'tagsCode', 0),
    eval: boolOf(object, 'eval', false),
    ...Object.fromEntries(texts.filter(([, value]) => value !== undefined)),
  }
}

function readView(object: JsonObject): ConsumeQueueView {
  const subscription = objectOf(object, 'subscriptionData')
  const filterData = textOf(object, 'filterData')
  return {
    minQueueIndex: numberOf(object, 'minQueueIndex', 0),
    maxQueueIndex: numberOf(object, 'maxQueueIndex', 0),
    entries: (listOf(object, 'queueData') ?? []).map(item => readEntry(toObject(item, 'queueData'))),
    ...(subscription && { subscription: readSubscription(subscription) }),
    ...(filterData === undefined ? undefined : { filterData }),
  }
}

export const consumeQueueBody = jsonBody<ConsumeQueueView>(
  'QueryConsumeQueueResponseBody',
  view => ({
    filterData: view.filterData,
    maxQueueIndex: view.maxQueueIndex,
    minQueueIndex: view.minQueueIndex,
    queueData: view.entries.map(entryBean),
    subscriptionData: view.subscription && subscriptionBean(view.subscription),
  }),
  readView,
)
