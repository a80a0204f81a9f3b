import { randomUUID } from 'node:crypto'
import type { ClientInstance } from '../instance/client-instance.ts'
import type { Codec } from '../message/codec.ts'
import type { ReceivedMessage } from '../message/received-message.ts'
import { Deadline } from '../deadline.ts'
import type { SendEvent } from '../diagnostics.ts'
import { ClientError, closed, javaCodes, toClientError } from '../errors.ts'
import type { PushedReply } from '../instance/instance-members.ts'
import type { CallOptions, MessageQueue, OutgoingMessage, SendReceipt } from '../message/message.ts'
import type { SendPipeline, SendOptions } from './send-pipeline.ts'
import { PendingRequests } from './pending-requests.ts'
import { publishRoute, replyForm, singleForm } from './send-loop.ts'

/** A request as its consumer received it: a `ReceivedMessage`. */
export interface RepliableMessage {
  readonly properties: ReadonlyMap<string, string>
  readonly queue?: MessageQueue | undefined
}

/** The properties that make a message a request. */
function requestProperties(clientId: string, ttlMs: number) {
  return { CORRELATION_ID: randomUUID(), REPLY_TO_CLIENT: clientId, TTL: String(ttlMs) }
}

/** The topic and properties of the reply to a request. @throws ClientError MESSAGE_ILLEGAL (10007) if it is not a request */
function replyTo(request: RepliableMessage): { topic: string; properties: Record<string, string> } {
  const properties = request?.properties
  if (typeof properties?.get !== 'function') throw noRequest('it is not a received message')
  const cluster = properties.get('CLUSTER')
  const correlationId = properties.get('CORRELATION_ID')
  const client = properties.get('REPLY_TO_CLIENT')
  if (cluster === undefined) throw noRequest('it has no property CLUSTER, which a broker adds')
  if (correlationId === undefined || client === undefined)
    throw noRequest('it has no correlation id or client, so that no producer waits for a reply to it')
  const ttl = properties.get('TTL')
  const ids = { CORRELATION_ID: correlationId, REPLY_TO_CLIENT: client, ...(ttl === undefined ? {} : { TTL: ttl }) }
  return { topic: replyTopicOf(cluster), properties: { MSG_TYPE: 'reply', ...ids } }
}

function noRequest(why: string): ClientError {
  const text = `there is nothing to reply to: the message is not a request, because ${why}`
  return new ClientError('MESSAGE_ILLEGAL', text, { responseCode: javaCodes.replyMessage })
}

function replyTopicOf(cluster: string): string {
  return `${cluster}_REPLY_TOPIC`
}

/** How long a request waits for the registration at brokers at most, milliseconds. */
const REGISTER_MS = 1000

/**
 * Registers this client at all brokers that may get a reply for it: those of the topic, and those of the clusters' reply
 * topics, of which a replier may take any. Each gets one heartbeat for that; the regular ones keep the client registered.
 */
class ReplyRegistrations {
  readonly #instance: ClientInstance
  readonly #registered = new Set<string>()

  constructor(instance: ClientInstance) {
    this.#instance = instance
  }

  /** Registers at the brokers of a topic whose route is known, if not done yet. Never rejects. */
  async ensure(topic: string, deadline: Deadline): Promise<void> {
    const { routes, brokers } = this.#instance
    const clusters = new Set(routes.peek(topic)?.route.brokerDatas.map(({ cluster }) => cluster))
    for (const cluster of clusters) {
      const replies = replyTopicOf(cluster)
      if (routes.peek(replies) === undefined) {
        await routes.get(replies, deadline.options(Math.min(REGISTER_MS, deadline.left / 2))).catch(() => {})
      }
    }
    const masters = brokers.masters().map(({ address }) => address)
    if (masters.every(address => this.#registered.has(address))) return
    for (const address of masters) this.#registered.add(address)
    const atMost = new Deadline(this.#instance.clock, Math.min(REGISTER_MS, deadline.left), deadline.signal)
    await atMost.wait(this.#instance.heartbeat(), 'the heartbeat').catch(() => {})
  }
}

/**
 * Sends a reply, first to the broker that stored the request: the requester is registered there.
 * @throws ClientError
 */
export async function sendReply<Body>(
  pipeline: SendPipeline<Body>,
  request: RepliableMessage,
  body: Body,
  options: CallOptions,
  traced?: Readonly<Record<string, string>>,
): Promise<SendReceipt> {
  const { topic, properties } = replyTo(request)
  const extras = { properties, traced, bare: true }
  const deadline = pipeline.deadline(options)
  const queue = await queueOn(pipeline, topic, request.queue?.brokerName, deadline)
  if (queue !== undefined) {
    try {
      return await pipeline.send({ topic, body }, { ...deadline.options(), queue }, replyForm, extras)
    } catch (error) {
      if (!toClientError(error).retriable || deadline.hasPassed) throw error
    }
  }
  return await pipeline.send({ topic, body }, deadline.options(), replyForm, extras)
}

async function queueOn<Body>(
  { sender }: SendPipeline<Body>,
  topic: string,
  brokerName: string | undefined,
  deadline: Deadline,
): Promise<MessageQueue | undefined> {
  if (brokerName === undefined) return undefined
  const { publish } = await publishRoute(sender, topic, deadline)
  return publish.find(queue => queue.brokerName === brokerName)
}

/** The requests of a producer that wait for replies. */
export class Requests<Body, Read> {
  readonly #pipeline: SendPipeline<Body>
  readonly #pending: PendingRequests<Read>
  readonly #registrations: ReplyRegistrations
  #closed = false

  constructor(pipeline: SendPipeline<Body>, codec: Codec<Read>) {
    const { instance, settings } = pipeline.sender
    this.#pipeline = pipeline
    this.#pending = new PendingRequests(settings.clock, settings.namespace, codec)
    this.#registrations = new ReplyRegistrations(instance)
  }

  /** Sends a request and waits for its reply. @throws ClientError */
  async send(
    message: OutgoingMessage<Body>,
    options: SendOptions<Body>,
    event: SendEvent | undefined,
  ): Promise<ReceivedMessage<Read>> {
    const { sender } = this.#pipeline
    const deadline = this.#pipeline.deadline(options)
    const properties = requestProperties(sender.instance.clientId, deadline.timeoutMs)
    const prepared = this.#pipeline.prepare(message, { properties, traced: event?.properties })
    await publishRoute(sender, prepared.topic, deadline)
    await this.#registrations.ensure(prepared.topic, deadline)
    deadline.check(`the request to ${message.topic}`)
    if (this.#closed) throw closed('this producer')
    const id = properties.CORRELATION_ID
    const reply = this.#pending.open(id, message.topic, deadline)
    // The reply may arrive before the broker's answer, so only a failed send ends the wait.
    this.#pipeline.run({ prepared, count: 1, form: singleForm, message, choice: options }, deadline).then(
      (receipt: SendReceipt) => {
        if (event !== undefined) event.receipt = receipt
      },
      (error: unknown) => this.#pending.fail(id, toClientError(error)),
    )
    return await reply
  }

  /** True if a request waited for the reply. */
  settle(reply: PushedReply): boolean {
    return this.#pending.settle(reply)
  }

  close(): void {
    this.#closed = true
    this.#pending.close()
  }
}
