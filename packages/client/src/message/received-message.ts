import { isRetryTopic, type MessageView, offsetMessageId, popTopic, unwrapNamespace } from '@gantrymq/protocol'
import type { Codec } from './codec.ts'
import { ClientError } from '../errors.ts'
import type { MessageQueue } from './message.ts'
import { shownQueue } from '../consumer/group/checked-names.ts'

/** What all messages of a consumer have in common. */
export interface MessageContext<Body> {
  readonly namespace: string
  readonly codec: Codec<Body>
  /** Of consumers that may pull what was popped before: their group, with its namespace. */
  readonly group?: string
}

/** A message that was received: Apache's MessageExt. It keeps the bytes of a whole pull in memory: copy what is kept for long. */
export class ReceivedMessage<Body = Buffer> {
  /** Where it was read from: the retry topic's queue, for one that is delivered again. */
  readonly queue: MessageQueue
  /** Place in that queue. */
  readonly queueOffset: number
  /** How often it was delivered before. */
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

  /** The topic it was sent to, also when it comes again through the retry topic. */
  get topic(): string {
    const { topic } = this.#view
    const { namespace, group } = this.#context
    const first = isRetryTopic(topic) ? (this.#view.property('RETRY_TOPIC') ?? poppedFrom(topic, group)) : topic
    return unwrapNamespace(namespace, first)
  }

  /** As the codec reads it. @throws ClientError BAD_BODY if it cannot */
  get body(): Body {
    return (this.#body ??= { value: this.#decode() }).value
  }

  #decode(): Body {
    try {
      return this.#context.codec.decode(this.#view.body)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new ClientError('BAD_BODY', `the body of message ${this.messageId} of ${this.topic}: ${why}`, {
        cause: error,
      })
    }
  }

  /** The bytes of the body, decompressed. */
  get bytes(): Buffer {
    return this.#view.body
  }

  get tags(): string | undefined {
    return this.#view.property('TAGS')
  }

  get keys(): string[] {
    return (this.#view.property('KEYS') ?? '').split(' ').filter(key => key !== '')
  }

  /** All properties, the user's and RocketMQ's. */
  get properties(): ReadonlyMap<string, string> {
    return this.#view.properties
  }

  /** One property; cheaper than `properties` for one or two of them. */
  property(name: string): string | undefined {
    return this.#view.property(name)
  }

  /** The id its sender gave it; the broker's where it gave none. */
  get messageId(): string {
    return this.#view.property('UNIQ_KEY') ?? this.offsetMessageId
  }

  /** The broker's id: where it is stored. */
  get offsetMessageId(): string {
    return offsetMessageId(this.#view.storeHost, this.#view.physicalOffset)
  }

  /** Set for messages of transactions. */
  get transactionId(): string | undefined {
    return this.#view.property('TRAN_MSG') === 'true' ? this.#view.property('UNIQ_KEY') : undefined
  }

  /** A number of the sender's own. */
  get flag(): number {
    return this.#view.flag
  }

  /** Milliseconds since the epoch, the sender's clock. */
  get bornTimestamp(): number {
    return this.#view.bornTimestamp
  }

  /** Milliseconds since the epoch, the broker's clock. */
  get storeTimestamp(): number {
    return this.#view.storeTimestamp
  }

  /** The sender, `ip:port`. */
  get bornHost(): string {
    return hostText(this.#view.bornHost)
  }

  /** The broker, `ip:port`. */
  get storeHost(): string {
    return hostText(this.#view.storeHost)
  }

  /** Position in the broker's commit log. */
  get commitLogOffset(): number {
    return this.#view.physicalOffset
  }

  /** The same, tried once more. */
  again(): ReceivedMessage<Body> {
    return new ReceivedMessage(this.#view, this.queue, this.#context, this.reconsumeTimes + 1)
  }

  /** As it came over the wire. */
  get view(): MessageView {
    return this.#view
  }
}

// What failed after a pop has no property that says where it was sent to: the name of its retry topic does.
function poppedFrom(topic: string, group: string | undefined): string {
  const start = group === undefined ? undefined : popTopic('1', '', group)
  return start !== undefined && topic.startsWith(start) ? topic.slice(start.length) : topic
}

function hostText({ ip, port }: { readonly ip: string; readonly port: number }): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}
