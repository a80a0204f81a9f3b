import { randomUUID } from 'node:crypto'
import type { ClientInstance } from '../instance/client-instance.ts'
import type { Codec } from '../message/codec.ts'
import type { ReceivedMessage } from '../message/received-message.ts'
import { Deadline } from '../deadline.ts'
import type { SendEvent } from '../diagnostics.ts'
import { ClientError, closed, javaCodes, toClientError } from '../errors.ts'
import type { PushedReply } from '../instance/instance-members.ts'
import type { CallOptions, MessageQueue, OutgoingMessage, SendReceipt } from '../message/message.ts'
import type { Outbound, SendOptions } from './send-pipeline.ts'
import { PendingRequests } from './pending-requests.ts'
import { publishRoute, replyForm, singleForm } from './send-loop.ts'

/** A request to be replied to, as its consumer has it: a `ReceivedMessage`. */
export interface RepliableMessage {
  readonly properties: ReadonlyMap<string, string>
  readonly queue?: MessageQueue | undefined
}

/** What makes a message a request. */
function requestProperties(clientId: string, ttlMs: number) {
  return { CORRELATION_ID: randomUUID(), REPLY_TO_CLIENT: clientId, TTL: String(ttlMs) }
}

/** What makes a message the reply to a request. @throws ClientError NOT_FOUND (10007) if it is no request */
function replyTo(request: RepliableMessage): { topic: string; properties: Record<string, string> } {
  const properties = request?.properties
  if (typeof properties?.get !== 'function') throw noRequest('requestMessage cannot be null.')
  const cluster = properties.get('CLUSTER')
  const correlationId = properties.get('CORRELATION_ID')
  const client = properties.get('REPLY_TO_CLIENT')
  if (cluster === undefined) throw noRequest('property[CLUSTER] is null.')
  if (correlationId === undefined || client === undefined) throw noRequest('nobody waits for a reply to it.')
  const ttl = properties.get('TTL')
  const ids = { CORRELATION_ID: correlationId, REPLY_TO_CLIENT: client, ...(ttl === undefined ? {} : { TTL: ttl }) }
  return { topic: replyTopicOf(cluster), properties: { MSG_TYPE: 'reply', ...ids } }
}

function noRequest(why: string): ClientError {
  const text = `create reply message fail, requestMessage error, ${why}`
  return new ClientError('MESSAGE_ILLEGAL', text, { responseCode: javaCodes.replyMessage })
}

function replyTopicOf(cluster: string): string {
  return `${cluster}_REPLY_TOPIC`
}

/** A server that does not answer does not hold up requests for longer, milliseconds. */
const INTRODUCTION_MS = 1000

/**
 * Makes this client known to all brokers that may have a reply for it: those of the topic, and those of the clusters' reply
 * topics, as a replier may take any of them. Each hears of it once; later its heartbeats keep it known.
 */
class Introductions {
  readonly #instance: ClientInstance
  readonly #known = new Set<string>()

  constructor(instance: ClientInstance) {
    this.#instance = instance
  }

  /** Does what is still to do for a topic whose route is known. Never rejects. */
  async make(topic: string, deadline: Deadline): Promise<void> {
    const { routes, brokers } = this.#instance
    const clusters = new Set(routes.peek(topic)?.route.brokerDatas.map(({ cluster }) => cluster))
    for (const cluster of clusters) {
      const replies = replyTopicOf(cluster)
      if (routes.peek(replies) === undefined) {
        await routes.get(replies, deadline.options(Math.min(INTRODUCTION_MS, deadline.left / 2))).catch(() => {})
      }
    }
    const masters = brokers.masters().map(({ address }) => address)
    if (masters.every(address => this.#known.has(address))) return
    for (const address of masters) this.#known.add(address)
    const patience = new Deadline(this.#instance.clock, Math.min(INTRODUCTION_MS, deadline.left), deadline.signal)
    await patience.wait(this.#instance.heartbeat(), 'the heartbeat').catch(() => {})
  }
}

/**
 * Sends a reply. The broker that has the request knows the requester for sure, so it is tried first.
 * @throws ClientError
 */
export async function sendReply<Body>(
  outbound: Outbound<Body>,
  request: RepliableMessage,
  body: Body,
  options: CallOptions,
  traced?: Readonly<Record<string, string>>,
): Promise<SendReceipt> {
  const { topic, properties } = replyTo(request)
  const extra = { properties, traced, bare: true }
  const deadline = outbound.deadline(options)
  const queue = await queueOn(outbound, topic, request.queue?.brokerName, deadline)
  if (queue !== undefined) {
    try {
      return await outbound.send({ topic, body }, { ...deadline.options(), queue }, replyForm, extra)
    } catch (error) {
      if (!toClientError(error).retriable || deadline.hasPassed) throw error
    }
  }
  return await outbound.send({ topic, body }, deadline.options(), replyForm, extra)
}

async function queueOn<Body>(
  { sender }: Outbound<Body>,
  topic: string,
  brokerName: string | undefined,
  deadline: Deadline,
): Promise<MessageQueue | undefined> {
  if (brokerName === undefined) return undefined
  const { publish } = await publishRoute(sender, topic, deadline)
  return publish.find(queue => queue.brokerName === brokerName)
}

/** The requests of a producer. */
export class Requests<Body, Read> {
  readonly #outbound: Outbound<Body>
  readonly #pending: PendingRequests<Read>
  readonly #introductions: Introductions
  #closed = false

  constructor(outbound: Outbound<Body>, codec: Codec<Read>) {
    const { instance, settings } = outbound.sender
    this.#outbound = outbound
    this.#pending = new PendingRequests(settings.clock, settings.namespace, codec)
    this.#introductions = new Introductions(instance)
  }

  /** Sends a request; its reply, when it comes. @throws ClientError */
  async send(
    message: OutgoingMessage<Body>,
    options: SendOptions<Body>,
    event: SendEvent | undefined,
  ): Promise<ReceivedMessage<Read>> {
    const { sender } = this.#outbound
    const deadline = this.#outbound.deadline(options)
    const properties = requestProperties(sender.instance.clientId, deadline.timeoutMs)
    const prepared = this.#outbound.prepare(message, { properties, traced: event?.properties })
    await publishRoute(sender, prepared.topic, deadline)
    await this.#introductions.make(prepared.topic, deadline)
    deadline.check(`the request to ${message.topic}`)
    if (this.#closed) throw closed('this producer')
    const id = properties.CORRELATION_ID
    const reply = this.#pending.open(id, message.topic, deadline)
    // The reply may be here before the broker's answer; only a send that failed ends the wait.
    this.#outbound.pass({ prepared, count: 1, form: singleForm, message, choice: options }, deadline).then(
      (receipt: SendReceipt) => {
        if (event !== undefined) event.receipt = receipt
      },
      (error: unknown) => this.#pending.fail(id, toClientError(error)),
    )
    return await reply
  }

  /** True if somebody waited for it. */
  settle(reply: PushedReply): boolean {
    return this.#pending.settle(reply)
  }

  close(): void {
    this.#closed = true
    this.#pending.close()
  }
}
