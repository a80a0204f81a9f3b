import {
  type Bean,
  intOf,
  type JsonObject,
  listOf,
  numberOf,
  objectOf,
  textOf,
  toObject,
  toObjects,
  toText,
} from '@gantrymq/remoting'
import {
  type ConsumeFromWhere,
  type ConsumeType,
  consumeFromWhereOf,
  consumeTypeOf,
  type MessageModel,
  messageModelOf,
  readSubscription,
  type SubscriptionData,
  subscriptionBean,
} from './heartbeat.ts'
import { jsonBody } from './json-body.ts'

/** A client that is connected to a broker: Apache's Connection. */
export interface ClientConnection {
  readonly clientId: string
  /** `ip:port` as the broker sees it. */
  readonly clientAddr: string
  /** Apache's LanguageCode, `JAVA` for example; empty if the broker does not know it. */
  readonly language: string
  /** A number, see `versionName`. */
  readonly version: number
}

/** The consumers of a group at one broker: Apache's ConsumerConnection. */
export interface ConsumerConnections {
  readonly connections: readonly ClientConnection[]
  /** By topic. */
  readonly subscriptions: ReadonlyMap<string, SubscriptionData>
  readonly consumeType: ConsumeType
  readonly messageModel: MessageModel
  readonly consumeFromWhere: ConsumeFromWhere
}

function connectionBean({ clientAddr, clientId, language, version }: ClientConnection): Bean {
  return { clientAddr, clientId, language: language === '' ? undefined : language, version }
}

function readConnection(object: JsonObject): ClientConnection {
  return {
    clientId: textOf(object, 'clientId') ?? '',
    clientAddr: textOf(object, 'clientAddr') ?? '',
    language: textOf(object, 'language') ?? '',
    version: intOf(object, 'version', 0),
  }
}

function readConnections(object: JsonObject): ClientConnection[] {
  return (listOf(object, 'connectionSet') ?? []).map(item => readConnection(toObject(item, 'connectionSet')))
}

function readSubscriptions(object: JsonObject): Map<string, SubscriptionData> {
  const table = new Map<string, SubscriptionData>()
  for (const [topic, value] of objectOf(object, 'subscriptionTable') ?? []) {
    table.set(toText(topic), readSubscription(toObject(value, 'subscriptionTable')))
  }
  return table
}

function readConsumers(object: JsonObject): ConsumerConnections {
  return {
    connections: readConnections(object),
    subscriptions: readSubscriptions(object),
    consumeType: consumeTypeOf(object),
    messageModel: messageModelOf(object),
    consumeFromWhere: consumeFromWhereOf(object),
  }
}

export const consumerConnectionBody = jsonBody<ConsumerConnections>(
  'ConsumerConnection',
  ({ connections, consumeFromWhere, consumeType, messageModel, subscriptions }) => ({
    connectionSet: connections.map(connectionBean),
    consumeFromWhere,
    consumeType,
    messageModel,
    subscriptionTable: new Map([...subscriptions].map(([topic, data]) => [topic, subscriptionBean(data)])),
  }),
  readConsumers,
)

export const producerConnectionBody = jsonBody<readonly ClientConnection[]>(
  'ProducerConnection',
  connections => ({ connectionSet: connections.map(connectionBean) }),
  readConnections,
)

/** A producer that is connected to a broker: Apache's ProducerInfo. */
export interface ProducerInfo {
  readonly clientId: string
  /** `ip:port` as the broker sees it. */
  readonly remoteIP: string
  readonly language: string
  readonly version: number
  /** When the broker last heard from it, milliseconds since the epoch. */
  readonly lastUpdateTimestamp: number
}

function producerBean({ clientId, language, lastUpdateTimestamp, remoteIP, version }: ProducerInfo): Bean {
  return { clientId, language: language === '' ? undefined : language, lastUpdateTimestamp, remoteIP, version }
}

function readProducer(object: JsonObject): ProducerInfo {
  return {
    clientId: textOf(object, 'clientId') ?? '',
    remoteIP: textOf(object, 'remoteIP') ?? '',
    language: textOf(object, 'language') ?? '',
    version: intOf(object, 'version', 0),
    lastUpdateTimestamp: numberOf(object, 'lastUpdateTimestamp', 0),
  }
}

/** All producers of a broker, by group: Apache's ProducerTableInfo. */
export const producerTableBody = jsonBody<ReadonlyMap<string, readonly ProducerInfo[]>>(
  'ProducerTableInfo',
  groups => ({ data: new Map([...groups].map(([group, producers]) => [group, producers.map(producerBean)])) }),
  object => {
    const groups = new Map<string, ProducerInfo[]>()
    for (const [group, producers] of objectOf(object, 'data') ?? []) {
      groups.set(toText(group), toObjects(producers, 'data').map(readProducer))
    }
    return groups
  },
)
