import type { Attributes } from '@opentelemetry/api'
import type { ConsumeEvent, PullEvent, SendEvent } from '@gantrymq/client'

/** What the spans and metrics of one operation have in common. */
export interface Operation {
  /** In RocketMQ's terms. */
  readonly name: 'send' | 'receive' | 'process'
  readonly clientId: string
  readonly namespace: string
  readonly topic: string
  /** Undefined for sends. */
  readonly group?: string | undefined
}

/** The attributes for metrics, which must have few distinct values. */
export function metricAttributes({ name, topic, group }: Operation): Attributes {
  return {
    'messaging.system': 'rocketmq',
    'messaging.operation.name': name,
    'messaging.operation.type': name,
    'messaging.destination.name': topic,
    ...(group === undefined ? {} : { 'messaging.consumer.group.name': group }),
  }
}

function commonAttributes(operation: Operation): Attributes {
  return {
    ...metricAttributes(operation),
    'messaging.client.id': operation.clientId,
    ...(operation.namespace === '' ? {} : { 'messaging.rocketmq.namespace': operation.namespace }),
  }
}

export function sendOperation({ clientId, namespace, topic }: SendEvent): Operation {
  return { name: 'send', clientId, namespace, topic }
}

export function receiveOperation({ clientId, namespace, group, queue }: PullEvent): Operation {
  return { name: 'receive', clientId, namespace, group, topic: queue.topic }
}

export function processOperation({ clientId, namespace, group, topic }: ConsumeEvent): Operation {
  return { name: 'process', clientId, namespace, group, topic }
}

/** The attributes that are known when a send starts. */
export function sendAttributes(event: SendEvent): Attributes {
  const { message, kind, count } = event
  const { tags, keys, shardingKey, delayLevel, deliverAt } = message
  const common = commonAttributes(sendOperation(event))
  if (kind === 'batch') return { ...common, 'messaging.batch.message_count': count }
  return defined({
    ...common,
    'messaging.rocketmq.message.type': sentType(event),
    'messaging.rocketmq.message.tag': tags,
    'messaging.rocketmq.message.keys': typeof keys === 'string' ? [keys] : keys === undefined ? undefined : [...keys],
    'messaging.rocketmq.message.group': shardingKey,
    'messaging.rocketmq.message.delay_time_level': delayLevel,
    'messaging.rocketmq.message.delivery_timestamp': deliverAt === undefined ? undefined : Number(deliverAt),
    'messaging.message.body.size': bodySize(message.body),
  })
}

/** The attributes that the broker's answer adds. */
export function receiptAttributes({ kind, receipt }: SendEvent): Attributes {
  if (receipt === undefined) return {}
  const { messageId, queue } = receipt
  const partition = { 'messaging.destination.partition.id': `${queue.brokerName}/${queue.queueId}` }
  return kind === 'batch' ? partition : { ...partition, 'messaging.message.id': messageId }
}

type MessageType = 'delay' | 'fifo' | 'normal' | 'transaction'

function sentType({ kind, message }: SendEvent): MessageType {
  const { delayLevel, delayMs, deliverAt, shardingKey } = message
  if (kind === 'transaction') return 'transaction'
  if ((delayLevel ?? 0) > 0 || delayMs !== undefined || deliverAt !== undefined) return 'delay'
  return shardingKey === undefined ? 'normal' : 'fifo'
}

// The size of other values depends on the codec.
function bodySize(body: unknown): number | undefined {
  if (typeof body === 'string') return Buffer.byteLength(body)
  return body instanceof Uint8Array ? body.length : undefined
}

type ProcessedMessage = ConsumeEvent['messages'][number]

/** The attributes that are known when a listener is called. */
export function processAttributes(event: ConsumeEvent): Attributes {
  const { messages, broadcast } = event
  const [first] = messages
  const model = { 'messaging.rocketmq.consumption_model': broadcast ? 'broadcasting' : 'clustering' }
  const common = { ...commonAttributes(processOperation(event)), ...model }
  if (first === undefined || messages.length > 1) return { ...common, 'messaging.batch.message_count': messages.length }
  return { ...common, ...messageAttributes(first) }
}

/** The attributes of one message: for spans of one message, and for links to the messages of a batch. */
export function messageAttributes({
  messageId,
  properties,
  queue,
  bodyLength,
  reconsumeTimes,
}: ProcessedMessage): Attributes {
  const keys = properties.get('KEYS')
  return defined({
    'messaging.message.id': messageId,
    'messaging.message.body.size': bodyLength,
    'messaging.destination.partition.id': `${queue.brokerName}/${queue.queueId}`,
    'messaging.rocketmq.message.type': consumedType(properties),
    'messaging.rocketmq.message.tag': properties.get('TAGS'),
    'messaging.rocketmq.message.keys': keys?.split(' ').filter(key => key !== ''),
    'messaging.rocketmq.message.group': properties.get('__SHARDINGKEY'),
    'messaging.rocketmq.message.reconsume_times': reconsumeTimes > 0 ? reconsumeTimes : undefined,
  })
}

// The properties that a delayed message still has after delivery: its level, or for 5.x timers its time.
function consumedType(properties: ReadonlyMap<string, string>): MessageType {
  if (properties.get('TRAN_MSG') === 'true') return 'transaction'
  if (properties.has('DELAY') || properties.has('TIMER_OUT_MS')) return 'delay'
  return properties.has('__SHARDINGKEY') ? 'fifo' : 'normal'
}

export function receiveAttributes(event: PullEvent): Attributes {
  const { brokerName, queueId } = event.queue
  return {
    ...commonAttributes(receiveOperation(event)),
    'messaging.destination.partition.id': `${brokerName}/${queueId}`,
  }
}

/** The kind of an error: the client's stable code, else the error's name. */
export function errorType(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '_OTHER'
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown }
  if (typeof code === 'string') return code
  return typeof name === 'string' && name !== '' ? name : '_OTHER'
}

function defined(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))
}
