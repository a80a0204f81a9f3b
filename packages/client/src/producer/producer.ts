import { compress, groupProblem, wrapNamespace } from '@gantrymq/protocol'
import type { ClientInstance } from '../instance/client-instance.ts'
import { acquireInstance, type InstanceLease } from '../instance/shared-instances.ts'
import { bytes, type BytesInput, type Codec } from '../message/codec.ts'
import type { ReceivedMessage } from '../message/received-message.ts'
import { type SendEvent, sendChannel, traceSend } from '../diagnostics.ts'
import { within } from '../deadline.ts'
import { ClientError, toClientError } from '../errors.ts'
import { type ClientOptions, instanceOptions } from '../instance/instance-options.ts'
import type { ProducerMember } from '../instance/instance-members.ts'
import type { CallOptions, MessageQueue, OutgoingMessage, SendReceipt } from '../message/message.ts'
import { badOption, checkedOptions, type GivenOf, readOptions } from '../options.ts'
import { producerTrace, TRACE_GROUP_PREFIX } from '../trace/start-trace.ts'
import { AutoBatch } from './auto-batch.ts'
import { probeBrokers } from './broker-probe.ts'
import { FaultLatency } from './fault-latency.ts'
import { type Extra, Outbound, type SendOptions as SendOptionsOf } from './send-pipeline.ts'
import { illegal } from './prepared-message.ts'
import { producerOptions, type ProducerSettings } from './producer-options.ts'
import { QueuePicker } from './queue-picker.ts'
import { recallMessage } from './recall.ts'
import { type RepliableMessage, Requests, sendReply } from './request-reply.ts'
import { sendBatch } from './send-batch.ts'
import { publishRoute, queuesOf, singleForm } from './send-loop.ts'
import type { ProducerStats } from './send-stats.ts'
import { TransactionChecks } from './transaction-checks.ts'
import {
  type CheckTransaction,
  type LocalTransaction,
  sendInTransaction,
  type TransactionReceipt,
} from './transactions.ts'

/** What bodies are when they come back: bytes where bytes are sent. */
export type BodyRead<Body> = BytesInput extends Body ? Buffer : Body

/** What a producer is started with. */
export interface ProducerOptions<Body = BytesInput> extends ClientOptions, GivenOf<typeof producerOptions> {
  /** Name of the group of producers that send the same kind of messages; brokers ask any of it about transactions. */
  readonly group: string
  /** Makes bytes of bodies. Default: bodies are bytes, or text. */
  readonly codec?: Codec<Body> | undefined
  /**
   * Says what became of a transaction when the broker does not know: its message was sent, but not its outcome. Needed for
   * `sendInTransaction`. What it throws counts as unknown.
   */
  readonly checkTransaction?: CheckTransaction<BodyRead<NoInfer<Body>>> | undefined
}

/** Where and how long one message is sent. */
export interface SendOptions<Body = BytesInput> extends SendOptionsOf<Body> {}

const NOTHING = {}
/** The group that Apache's client has when none is given, and refuses. */
const DEFAULT_GROUP = 'DEFAULT_PRODUCER'

/** Sends messages. */
export class Producer<Body = BytesInput> {
  readonly group: string
  readonly #lease: InstanceLease
  readonly #instance: ClientInstance
  readonly #outbound: Outbound<Body>
  readonly #requests: Requests<Body, BodyRead<Body>>
  readonly #checks: TransactionChecks<BodyRead<Body>>
  readonly #member: ProducerMember
  readonly #autoBatch: AutoBatch<Body> | undefined
  #probes: Disposable | undefined
  #closing: Promise<void> | undefined

  /**
   * Connects a producer.
   * @throws ClientError BAD_OPTION, BAD_NAME
   */
  static async start<Body = BytesInput>(options: ProducerOptions<Body>): Promise<Producer<Body>> {
    const producer = new Producer<Body>(checkedOptions('Producer', options))
    await producer.#start()
    return producer
  }

  async #start(): Promise<void> {
    const { instance, settings } = this.#outbound.sender
    await instance.start()
    await Promise.all(settings.topics.map(topic => this.#meet(topic)))
    // Brokers that others of this process know already hear of it now, new ones when they are met.
    void instance.heartbeat()
    if (settings.probeBrokers) this.#probes = probeBrokers(this.#outbound.sender)
  }

  // A topic that is missing is no error yet: it may be there when it is sent to.
  async #meet(topic: string): Promise<void> {
    await this.queues(topic).catch((error: unknown) => {
      this.#instance.log.info({ topic, error: String(error) }, 'topic not known yet')
    })
  }

  private constructor({ group, codec, checkTransaction, ...given }: ProducerOptions<Body>) {
    const settings = readOptions('Producer', { ...instanceOptions, ...producerOptions }, given)
    if (checkTransaction !== undefined && typeof checkTransaction !== 'function') {
      throw badOption('Producer', 'checkTransaction', checkTransaction, 'a function')
    }
    checkCompression(settings)
    this.group = checkedGroup(group)
    this.#lease = acquireInstance(settings)
    this.#instance = this.#lease.instance
    const sender = {
      instance: this.#instance,
      group: wrapNamespace(settings.namespace, this.group),
      settings,
      picker: new QueuePicker(Math.random),
      faults: settings.faultLatency ? new FaultLatency(settings.faultTable) : undefined,
      trace: producerTrace(settings, this.group, options => Producer.start(options)),
    }
    const reading = (codec ?? bytes) as Codec<BodyRead<Body>>
    this.#outbound = new Outbound(sender, (codec ?? bytes) as Codec<Body>)
    const { autoBatchDelayMs: delayMs, autoBatchBytes, autoBatchHeldBytes: heldBytes } = settings
    const limits = { delayMs, bytes: autoBatchBytes, heldBytes }
    this.#autoBatch = settings.autoBatch ? new AutoBatch(this.#outbound, limits) : undefined
    this.#requests = new Requests(this.#outbound, reading)
    this.#checks = new TransactionChecks(sender, reading, checkTransaction)
    this.#member = {
      kind: 'producer',
      group: sender.group,
      checkTransaction: check => this.#checks.take(check),
      takeReply: reply => this.#requests.settle(reply),
    }
    this.#instance.join(this.#member)
  }

  get clientId(): string {
    return this.#instance.clientId
  }

  /** What it has done so far. */
  get stats(): ProducerStats {
    return this.#outbound.stats
  }

  /**
   * Sends a message and resolves when a broker has stored it. A failure is tried again, elsewhere if it can be, unless the
   * queue was chosen. When too many are on their way it waits to be let in.
   * @throws ClientError BAD_NAME, MESSAGE_ILLEGAL, ROUTE_MISSING, NO_NAME_SERVER, SEND_FAILED, BROKER_REFUSED, TIMEOUT,
   *   CONNECT_FAILED, BACK_PRESSURE, ABORTED, CLOSED, BAD_OPTION
   */
  send(message: OutgoingMessage<Body>, options: SendOptions<Body> = NOTHING): Promise<SendReceipt> {
    if (!this.#isSeen) return this.#send(message, options, NOTHING)
    return traceSend(this.#event('send', message), async event => {
      const receipt = await this.#send(message, options, { traced: event.properties })
      event.receipt = receipt
      return receipt
    })
  }

  // Who watches what is sent does not want to see the messages that tell of it.
  get #isSeen(): boolean {
    return sendChannel.hasSubscribers && !this.group.startsWith(TRACE_GROUP_PREFIX)
  }

  #send(message: OutgoingMessage<Body>, options: SendOptions<Body>, extra: Extra): Promise<SendReceipt> {
    const batches = this.#autoBatch
    if (batches?.takes(message, options) === true) return batches.send(message, options, extra)
    return this.#outbound.send(message, options, singleForm, extra)
  }

  /**
   * Sends a message and resolves when it has left; whether a broker stored it is not known. Never tried again.
   * @throws ClientError as `send`
   */
  sendOneway(message: OutgoingMessage<Body>, options: SendOptions<Body> = NOTHING): Promise<void> {
    if (!this.#isSeen) return this.#outbound.sendOneway(message, options, NOTHING)
    return traceSend(this.#event('oneway', message), ({ properties }) =>
      this.#outbound.sendOneway(message, options, { traced: properties }),
    )
  }

  /**
   * Sends messages in as few requests as their topics and sizes allow; each request is stored whole or not at all. Gives a
   * receipt for each message, in the order given.
   * @throws ClientError as `send`; BatchError if some were stored and others were not
   */
  sendBatch(messages: readonly OutgoingMessage<Body>[], options: SendOptions<Body> = NOTHING): Promise<SendReceipt[]> {
    if (!Array.isArray(messages)) return Promise.reject(illegal('a batch must be a list of messages'))
    const [first] = messages as readonly OutgoingMessage<Body>[]
    if (!this.#isSeen || first === undefined) return sendBatch(this.#outbound, messages, options, NOTHING)
    return traceSend(this.#event('batch', first, messages.length), async event => {
      const receipts = await sendBatch(this.#outbound, messages, options, { traced: event.properties })
      event.receipt = receipts[0]
      return receipts
    })
  }

  /**
   * Sends a message that consumers see only if `run` says `commit`. `run` is called when the broker has the message; what
   * it throws, and what the broker does not hear of, is settled later by option `checkTransaction`, here or at another
   * producer of the group.
   * @throws ClientError as `send`; BAD_OPTION without option `checkTransaction`
   */
  async sendInTransaction(
    message: OutgoingMessage<Body>,
    run: LocalTransaction<Body>,
    options: SendOptions<Body> = NOTHING,
  ): Promise<TransactionReceipt> {
    if (!this.#checks.isPossible) {
      throw new ClientError('BAD_OPTION', 'Producer: option checkTransaction is needed for transactions')
    }
    if (!this.#isSeen) return await sendInTransaction(this.#outbound, message, run, options)
    return await traceSend(this.#event('transaction', message), async event => {
      const receipt = await sendInTransaction(this.#outbound, message, run, options, event.properties)
      event.receipt = receipt
      return receipt
    })
  }

  /**
   * Sends a message and waits for the reply of whoever consumes it. Default `timeoutMs` as `send`.
   * @throws ClientError REPLY_TIMEOUT if it was sent and nobody replied; else as `send`
   */
  request(
    message: OutgoingMessage<Body>,
    options: SendOptions<Body> = NOTHING,
  ): Promise<ReceivedMessage<BodyRead<Body>>> {
    if (!this.#isSeen) return this.#requests.send(message, options, undefined)
    return traceSend(this.#event('request', message), event => this.#requests.send(message, options, event))
  }

  /**
   * Replies to a request that a consumer received; goes back to the producer that waits for it.
   * @throws ClientError MESSAGE_ILLEGAL (10007) if the message is no request; else as `send`, BROKER_REFUSED if the producer
   *   is gone
   */
  reply(request: RepliableMessage, body: Body, options: CallOptions = NOTHING): Promise<SendReceipt> {
    if (!this.#isSeen) return sendReply(this.#outbound, request, body, options)
    const topic = request?.queue?.topic ?? ''
    return traceSend(this.#event('reply', { topic, body }), async event => {
      const receipt = await sendReply(this.#outbound, request, body, options, event.properties)
      event.receipt = receipt
      return receipt
    })
  }

  /**
   * Takes a timer message back before its time, with the handle of its receipt. Gives the message's id. 5.x, where the
   * broker allows it (`recallMessageEnable`).
   * @throws ClientError BAD_NAME, BAD_OPTION, BROKER_MISSING, BROKER_REFUSED and others
   */
  async recall(topic: string, recallHandle: string, options: CallOptions = NOTHING): Promise<string> {
    return await recallMessage(this.#outbound.sender, topic, recallHandle, this.#outbound.deadline(options))
  }

  /** The queues that messages of a topic are sent to. @throws ClientError ROUTE_MISSING, NO_NAME_SERVER, TIMEOUT, ABORTED */
  async queues(topic: string, options: CallOptions = NOTHING): Promise<readonly MessageQueue[]> {
    const { sender } = this.#outbound
    const wireTopic = wrapNamespace(sender.settings.namespace, topic)
    return queuesOf(await publishRoute(sender, wireTopic, this.#outbound.deadline(options)), sender.settings)
  }

  /**
   * Ends the producer: no new sends, what is on its way may finish within `drainMs` (default 5,000), requests that wait for
   * their replies fail with CLOSED. Idempotent.
   */
  close({ drainMs = 5000 }: { readonly drainMs?: number } = {}): Promise<void> {
    return (this.#closing ??= this.#shutDown(drainMs))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutDown(drainMs: number): Promise<void> {
    this.#probes?.[Symbol.dispose]()
    this.#requests.close()
    const { clock } = this.#instance
    await within(clock, this.#autoBatch?.close() ?? Promise.resolve(), drainMs, undefined, 'sending').catch(() => {})
    await this.#outbound.close(drainMs)
    this.#checks.close()
    await this.#outbound.sender.trace?.close(drainMs)
    await this.#instance.leave(this.#member)
    await this.#lease.release(drainMs)
  }

  #event(kind: SendEvent['kind'], message: OutgoingMessage<Body>, count = 1): SendEvent {
    const { clientId, group } = this
    const { namespace } = this.#instance.options
    return { clientId, namespace, group, kind, topic: message?.topic ?? '', message, count, properties: {} }
  }
}

// A missing package or a level out of range should fail at the start, not with the first large message.
function checkCompression({ compression, compressionLevel }: ProducerSettings): void {
  if (compression === 'zlib') return
  try {
    compress(Buffer.from('x'), compression, compressionLevel)
  } catch (error) {
    throw toClientError(error)
  }
}

function checkedGroup(group: unknown): string {
  if (typeof group !== 'string') throw badOption('Producer', 'group', group, 'a text: the name of the group')
  const problem =
    group === DEFAULT_GROUP ? `producerGroup can not equal ${group}, please specify another one` : groupProblem(group)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  return group
}
