import {
  isRetryTopic,
  type MessageView,
  offsetMessageId,
  popTopic,
  PROPERTY,
  unwrapNamespace,
} from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import type { Codec } from './codec.ts'
import type { MessageQueue } from './message.ts'
import { shownQueue } from './shown-queue.ts'

/** What all messages of one consumer share. */
export interface MessageContext<Body> {
  readonly namespace: string
  readonly codec: Codec<Body>
  /** The group with its namespace, for consumers that may pull messages which were popped before. */
  readonly group?: string
}

/** Makes a user's message of one that was received. */
export type MessageMaker<Body> = (view: MessageView, queue: MessageQueue) => ReceivedMessage<Body>

/**
 * A received message: Apache's MessageExt. It keeps the bytes of a whole pull in memory, so copy what you hold on to for
 * long.
 */
export class ReceivedMessage<Body = Buffer> {
  /** The queue the message was read from. A redelivered message comes from a queue of the retry topic. */
  readonly queue: MessageQueue
  /** Position in that queue. */
  readonly queueOffset: number
  /** How many times the message was delivered before. */
  readonly reconsumeTimes: number
  readonly #view: MessageView
  readonly #context: MessageContext<Body>
  #body: { readonly value: Body } | undefined

  constructor(view: MessageView, queue: MessageQueue, context: MessageContext<Body>, reconsumeTimes?: number) {
    this.#view = view
    this.#context = context
    this.queue = shownQueue(context.namespace, queue)
    this.queueOffset = view.queueOffset
    this.reconsumeTimes = reconsumeTimes ?? view.reconsumeTimes
  }

  /** The topic the message was sent to, also when it is redelivered through the retry topic. */
  get topic(): string {
    const { topic } = this.#view
    const { namespace, group } = this.#context
    const original = isRetryTopic(topic)
      ? (this.#view.property(PROPERTY.RETRY_TOPIC) ?? poppedFrom(topic, group))
      : topic
    return unwrapNamespace(namespace, original)
  }

  /** The body as decoded by the codec. @throws ClientError BAD_BODY if the codec throws */
  get body(): Body {
    return (this.#body ??= { value: this.#decode() }).value
  }

  #decode(): Body {
    try {
      return this.#context.codec.decode(this.#view.body)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const text = `cannot decode the body of message ${this.messageId} of topic ${this.topic}: ${why}`
      throw new ClientError('BAD_BODY', text, { cause: error })
    }
  }

  /** The bytes of the body, decompressed. */
  get bytes(): Buffer {
    return this.#view.body
  }

  get tags(): string | undefined {
    return this.#view.property(PROPERTY.TAGS)
  }

  get keys(): string[] {
    return (this.#view.property(PROPERTY.KEYS) ?? '').split(' ').filter(key => key !== '')
  }

  /** All properties: the sender's and RocketMQ's. */
  get properties(): ReadonlyMap<string, string> {
    return this.#view.properties
  }

  /** One property. Cheaper than `properties` if you need only one or two. */
  property(name: string): string | undefined {
    return this.#view.property(name)
  }

  /** The id assigned by the sender; if it assigned none, the broker's. */
  get messageId(): string {
    return this.#view.property(PROPERTY.UNIQ_KEY) ?? this.offsetMessageId
  }

  /** The id assigned by the broker, which encodes where the message is stored. */
  get offsetMessageId(): string {
    return offsetMessageId(this.#view.storeHost, this.#view.physicalOffset)
  }

  /** Set only for messages of transactions. */
  get transactionId(): string | undefined {
    return this.#view.property(PROPERTY.TRANSACTION_MESSAGE) === 'true'
      ? this.#view.property(PROPERTY.UNIQ_KEY)
      : undefined
  }

  /** The number that the sender set. */
  get flag(): number {
    return this.#view.flag
  }

  /** When the message was sent, by the sender's clock: milliseconds since the epoch. */
  get bornTimestamp(): number {
    return this.#view.bornTimestamp
  }

  /** When the message was stored, by the broker's clock: milliseconds since the epoch. */
  get storeTimestamp(): number {
    return this.#view.storeTimestamp
  }

  /** The sender's address, `ip:port`. */
  get bornHost(): string {
    return hostText(this.#view.bornHost)
  }

  /** The broker's address, `ip:port`. */
  get storeHost(): string {
    return hostText(this.#view.storeHost)
  }

  /** Position in the broker's commit log. */
  get commitLogOffset(): number {
    return this.#view.physicalOffset
  }

  /** The same message for another attempt, with `reconsumeTimes` one higher. */
  again(): ReceivedMessage<Body> {
    return new ReceivedMessage(this.#view, this.queue, this.#context, this.reconsumeTimes + 1)
  }

  /** The message as it was received from the broker. */
  get view(): MessageView {
    return this.#view
  }
}

// A message that failed after a pop has no property with its original topic: only the retry topic's name contains it.
function poppedFrom(topic: string, group: string | undefined): string {
  const start = group === undefined ? undefined : popTopic('1', '', group)
  return start !== undefined && topic.startsWith(start) ? topic.slice(start.length) : topic
}

/** `ip:port`, an IPv6 address in brackets. */
export function hostText({ ip, port }: { readonly ip: string; readonly port: number }): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}
