import { compress, groupProblem, wrapNamespace } from '@gantrymq/protocol'
import { upTo } from '@gantrymq/remoting'
import type { ClientInstance } from '../instance/client-instance.ts'
import { acquireInstance, type InstanceLease } from '../instance/shared-instances.ts'
import { bytes, type BytesInput, type Codec } from '../message/codec.ts'
import type { ReceivedMessage } from '../message/received-message.ts'
import { type SendEvent, sendChannel, traceSend } from '../diagnostics.ts'
import { check, name, problemWith, text } from '../fields.ts'
import { ClientError, toClientError } from '../errors.ts'
import { asJava, type ClientOptions, instanceOptions } from '../instance/instance-options.ts'
import type { ProducerMember } from '../instance/instance-members.ts'
import type { CallOptions, MessageQueue, OutgoingMessage, SendReceipt } from '../message/message.ts'
import { badOption, checkedOptions, defaultGroupProblem, type GivenOf, readOptions } from '../options.ts'
import { producerTrace, TRACE_GROUP_PREFIX } from '../trace/start-trace.ts'
import { AutoBatch } from './auto-batch.ts'
import { probeBrokers } from './broker-probe.ts'
import { FaultLatency } from './fault-latency.ts'
import { SendPipeline, type SendOptions } from './send-pipeline.ts'
import { type Extras, illegal } from './prepared-message.ts'
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

/** The type of received bodies: bytes where bytes are sent. */
export type BodyRead<Body> = BytesInput extends Body ? Buffer : Body

/** The options of a producer. */
export interface ProducerOptions<Body = BytesInput> extends ClientOptions, GivenOf<typeof producerOptions> {
  /** The group of producers that send the same kind of messages. A broker asks any of them about a transaction. */
  readonly group: string
  /** Encodes bodies. Default: bodies are bytes or strings. */
  readonly codec?: Codec<Body> | undefined
  /**
   * Called with the message of a transaction whose outcome the broker has not received, to decide it. Required for
   * `sendInTransaction`. An error counts as `unknown`.
   */
  readonly checkTransaction?: CheckTransaction<BodyRead<NoInfer<Body>>> | undefined
}

const NONE = {}
/** Apache's default group, which its client refuses. */
const DEFAULT_GROUP = 'DEFAULT_PRODUCER'

/** A topic of every broker (Apache's TopicValidator.RMQ_SYS_SELF_TEST_TOPIC). */
const SYSTEM_TOPIC = 'SELF_TEST_TOPIC'

/** Sends messages. */
export class Producer<Body = BytesInput> {
  readonly group: string
  readonly #lease: InstanceLease
  readonly #instance: ClientInstance
  readonly #pipeline: SendPipeline<Body>
  readonly #requests: Requests<Body, BodyRead<Body>>
  readonly #checks: TransactionChecks<BodyRead<Body>>
  readonly #member: ProducerMember
  readonly #autoBatch: AutoBatch<Body> | undefined
  /** Keeps the routes by which brokers are found that hear of this producer. */
  readonly #registrations: Disposable[] = []
  #probes: Disposable | undefined
  #closing: Promise<void> | undefined

  /**
   * Starts a producer.
   * @throws ClientError BAD_OPTION, BAD_NAME
   */
  static async start<Body = BytesInput>(options: ProducerOptions<Body>): Promise<Producer<Body>> {
    const producer = new Producer<Body>(checkedOptions('Producer', options))
    await producer.#start()
    return producer
  }

  async #start(): Promise<void> {
    const { instance, settings } = this.#pipeline.sender
    await instance.start()
    await Promise.all(settings.topics.map(topic => this.#fetchRoute(topic)))
    if (this.#checks.isPossible) await this.#register()
    // For brokers that the instance knows already. Others get a heartbeat when they are connected.
    void instance.heartbeat()
    if (settings.probeBrokers) this.#probes = probeBrokers(this.#pipeline.sender)
  }

  /**
   * Makes brokers hear of a producer of transactions before it has sent anything, so that they can ask it about the transactions of
   * an earlier process: the brokers of option `topics`, else those of the default topic, else all.
   */
  async #register(): Promise<void> {
    const { settings } = this.#pipeline.sender
    const { topics, namespace, createTopicKey } = settings
    const wanted = topics.length > 0 ? topics.map(topic => wrapNamespace(namespace, topic)) : [createTopicKey]
    const known = await Promise.all(wanted.map(topic => this.#registerAt(topic)))
    // Brokers that create no topics do not have the default topic, and all have this one.
    if (topics.length === 0 && !known.includes(true)) await this.#registerAt(SYSTEM_TOPIC)
  }

  async #registerAt(topic: string): Promise<boolean> {
    const { routes } = this.#instance
    if (this.#closing !== undefined) return true
    this.#registrations.push(routes.watch(topic, () => void this.#instance.heartbeat()))
    return await routes.get(topic).then(
      () => true,
      (error: unknown) => {
        this.#instance.log.info(
          { topic, error: String(error) },
          'no broker is known yet that could ask about transactions',
        )
        return false
      },
    )
  }

  // A missing topic is no error here: it may exist by the time of the first send.
  async #fetchRoute(topic: string): Promise<void> {
    await this.queues(topic).catch((error: unknown) => {
      this.#instance.log.info({ topic, error: String(error) }, 'topic not known yet')
    })
  }

  private constructor({ group, codec, checkTransaction, ...given }: ProducerOptions<Body>) {
    const settings = asJava(readOptions('Producer', { ...instanceOptions, ...producerOptions }, given))
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
    this.#pipeline = new SendPipeline(sender, (codec ?? bytes) as Codec<Body>)
    const { autoBatchDelayMs: delayMs, autoBatchBytes, autoBatchHeldBytes: heldBytes } = settings
    const limits = { delayMs, bytes: autoBatchBytes, heldBytes }
    this.#autoBatch = settings.autoBatch ? new AutoBatch(this.#pipeline, limits) : undefined
    this.#requests = new Requests(this.#pipeline, reading)
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

  /** Counters and latencies since the start. */
  get stats(): ProducerStats {
    return this.#pipeline.stats
  }

  /**
   * Sends a message and resolves when a broker has stored it. After a failure it is retried, on another broker if there is
   * one, unless the caller chose the queue. While `maxInFlight` messages are in flight, it waits.
   * @throws ClientError BAD_NAME, MESSAGE_ILLEGAL, ROUTE_MISSING, NO_NAME_SERVER, SEND_FAILED, BROKER_REFUSED, TIMEOUT,
   *   CONNECT_FAILED, BACK_PRESSURE, ABORTED, CLOSED, BAD_OPTION
   */
  send(message: OutgoingMessage<Body>, options: SendOptions<Body> = NONE): Promise<SendReceipt> {
    if (!this.#isObserved) return this.#send(message, options, NONE)
    return traceSend(this.#event('send', message), async event => {
      const receipt = await this.#send(message, options, { traced: event.properties })
      event.receipt = receipt
      return receipt
    })
  }

  // Subscribers of the channel do not see the messages of the message trace.
  get #isObserved(): boolean {
    return sendChannel.hasSubscribers && !this.group.startsWith(TRACE_GROUP_PREFIX)
  }

  #send(message: OutgoingMessage<Body>, options: SendOptions<Body>, extras: Extras): Promise<SendReceipt> {
    const batches = this.#autoBatch
    if (batches?.takes(message, options) === true) return batches.send(message, options, extras)
    return this.#pipeline.send(message, options, singleForm, extras)
  }

  /**
   * Sends a message without an answer and resolves when it is handed to the connection. Whether a broker stored it is not
   * known, and it is not retried.
   * @throws ClientError as `send`
   */
  sendOneway(message: OutgoingMessage<Body>, options: SendOptions<Body> = NONE): Promise<void> {
    if (!this.#isObserved) return this.#pipeline.sendOneway(message, options, NONE)
    return traceSend(this.#event('oneway', message), ({ properties }) =>
      this.#pipeline.sendOneway(message, options, { traced: properties }),
    )
  }

  /**
   * Sends messages in as few requests as their topics and sizes allow; each request is stored as a whole or not at all.
   * Returns a receipt per message, in the order of the messages.
   * @throws ClientError as `send`; BatchError if some were stored and others were not
   */
  sendBatch(messages: readonly OutgoingMessage<Body>[], options: SendOptions<Body> = NONE): Promise<SendReceipt[]> {
    if (!Array.isArray(messages)) return Promise.reject(illegal('a batch must be an array of messages'))
    const [first] = messages as readonly OutgoingMessage<Body>[]
    if (!this.#isObserved || first === undefined) return sendBatch(this.#pipeline, messages, options, NONE)
    return traceSend(this.#event('batch', first, messages.length), async event => {
      const receipts = await sendBatch(this.#pipeline, messages, options, { traced: event.properties })
      event.receipt = receipts[0]
      return receipts
    })
  }

  /**
   * Sends a message that consumers see only if `run` returns `commit`. `run` is called when the broker has stored the
   * message. If it throws, or if its outcome does not reach the broker, the broker later asks option `checkTransaction` of this
   * or another producer of the group.
   * @throws ClientError as `send`; BAD_OPTION without option `checkTransaction`
   */
  async sendInTransaction(
    message: OutgoingMessage<Body>,
    run: LocalTransaction<Body>,
    options: SendOptions<Body> = NONE,
  ): Promise<TransactionReceipt> {
    if (!this.#checks.isPossible) {
      throw new ClientError('BAD_OPTION', 'Producer: sendInTransaction requires option checkTransaction')
    }
    check('run of sendInTransaction', run, { expected: 'a function', accepts: value => typeof value === 'function' })
    if (!this.#isObserved) return await sendInTransaction(this.#pipeline, message, run, options)
    return await traceSend(this.#event('transaction', message), async event => {
      const receipt = await sendInTransaction(this.#pipeline, message, run, options, event.properties)
      event.receipt = receipt
      return receipt
    })
  }

  /**
   * Sends a message and waits for the reply of its consumer. `timeoutMs` covers both; its default is that of `send`.
   * @throws ClientError REPLY_TIMEOUT if it was sent and no reply arrived; else as `send`
   */
  request(message: OutgoingMessage<Body>, options: SendOptions<Body> = NONE): Promise<ReceivedMessage<BodyRead<Body>>> {
    if (!this.#isObserved) return this.#requests.send(message, options, undefined)
    return traceSend(this.#event('request', message), event => this.#requests.send(message, options, event))
  }

  /**
   * Replies to a request that a consumer received. The broker passes the reply to the producer that waits for it.
   * @throws ClientError MESSAGE_ILLEGAL (10007) if the message is not a request; else as `send`, BROKER_REFUSED if the
   *   producer is gone
   */
  reply(request: RepliableMessage, body: Body, options: CallOptions = NONE): Promise<SendReceipt> {
    if (!this.#isObserved) return sendReply(this.#pipeline, request, body, options)
    const topic = request?.queue?.topic ?? ''
    return traceSend(this.#event('reply', { topic, body }), async event => {
      const receipt = await sendReply(this.#pipeline, request, body, options, event.properties)
      event.receipt = receipt
      return receipt
    })
  }

  /**
   * Cancels the delivery of a timer message before its time, by the handle in its receipt. Returns the message's id. For
   * brokers of 5.x that allow it (`recallMessageEnable`).
   * @throws ClientError BAD_NAME, BAD_OPTION, BROKER_MISSING, BROKER_REFUSED and others
   */
  async recall(topic: string, recallHandle: string, options: CallOptions = NONE): Promise<string> {
    check('recallHandle', recallHandle, text)
    return await recallMessage(this.#pipeline.sender, topic, recallHandle, this.#pipeline.deadline(options))
  }

  /** The queues that messages of a topic are sent to. @throws ClientError ROUTE_MISSING, NO_NAME_SERVER, TIMEOUT, ABORTED */
  async queues(topic: string, options: CallOptions = NONE): Promise<readonly MessageQueue[]> {
    const problem = problemWith('topic of queues', topic, name('a topic'))
    if (problem !== undefined) throw new ClientError('BAD_NAME', problem)
    const { sender } = this.#pipeline
    const wireTopic = wrapNamespace(sender.settings.namespace, topic)
    return queuesOf(await publishRoute(sender, wireTopic, this.#pipeline.deadline(options)), sender.settings)
  }

  /**
   * Closes the producer: further sends fail, sends in flight may finish within `drainMs` (default 5,000), and requests that
   * wait for replies fail with CLOSED. Idempotent.
   */
  close({ drainMs = 5000 }: { readonly drainMs?: number } = {}): Promise<void> {
    return (this.#closing ??= this.#shutDown(drainMs))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutDown(drainMs: number): Promise<void> {
    this.#probes?.[Symbol.dispose]()
    for (const registration of this.#registrations) registration[Symbol.dispose]()
    this.#pipeline.refuse()
    this.#requests.close()
    // One time for all steps: a broker that hangs may use it up at the first.
    const { clock } = this.#instance
    const end = clock.elapsed() + drainMs
    const left = (): number => Math.max(0, end - clock.elapsed())
    if (this.#autoBatch !== undefined) await upTo(clock, this.#autoBatch.close(), { timeoutMs: drainMs })
    await this.#pipeline.close(left())
    this.#checks.close()
    await this.#pipeline.sender.trace?.close(left())
    await this.#instance.leave(this.#member)
    await this.#lease.release(left())
  }

  #event(kind: SendEvent['kind'], message: OutgoingMessage<Body>, count = 1): SendEvent {
    const { clientId, group } = this
    const { namespace } = this.#instance.options
    return { clientId, namespace, group, kind, topic: message?.topic ?? '', message, count, properties: {} }
  }
}

// A missing package or a wrong level fails at the start, not with the first large message.
function checkCompression({ compression, compressionLevel }: ProducerSettings): void {
  if (compression === 'zlib') return
  try {
    compress(Buffer.from('x'), compression, compressionLevel)
  } catch (error) {
    throw toClientError(error)
  }
}

function checkedGroup(group: unknown): string {
  if (typeof group !== 'string') throw badOption('Producer', 'group', group, 'a string: the name of the group')
  const problem = group === DEFAULT_GROUP ? defaultGroupProblem(group) : groupProblem(group)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  return group
}
