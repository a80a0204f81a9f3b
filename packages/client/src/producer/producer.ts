import { groupProblem, UniqueIds, wrapNamespace } from '@gantrymq/protocol'
import { ClientInstance } from '../client-instance.ts'
import { ownAddress } from '../client-id.ts'
import { bytes, type BytesInput, type Codec } from '../codec.ts'
import { Deadline } from '../deadline.ts'
import { ClientError, closed } from '../errors.ts'
import { type ClientOptions, instanceOptions } from '../instance-options.ts'
import type { Hashable } from '../java-hash.ts'
import type { ProducerMember } from '../members.ts'
import type { CallOptions, MessageQueue, OutgoingMessage, SendReceipt } from '../message.ts'
import { type GivenOf, readOptions } from '../options.ts'
import { FaultLatency } from './fault-latency.ts'
import { Gate } from './gate.ts'
import { type PreparedMessage, prepare } from './outgoing.ts'
import { producerOptions } from './producer-options.ts'
import { queueByHash, QueuePicker, type QueueSelector } from './queue-picker.ts'
import { type Sender, sendOnce, sendWithRetries, singleForm } from './send-loop.ts'

/** What a producer is started with. */
export interface ProducerOptions<Body = BytesInput> extends ClientOptions, GivenOf<typeof producerOptions> {
  /** Name of the group of producers that send the same kind of messages; brokers ask any of it about transactions. */
  readonly group: string
  /** Makes bytes of bodies. Default: bodies are bytes, or text. */
  readonly codec?: Codec<Body> | undefined
}

/** Where and how long one message is sent. */
export interface SendOptions<Body = BytesInput> extends CallOptions {
  /** To this queue. It is not tried elsewhere. */
  readonly queue?: MessageQueue | undefined
  /** Messages with equal keys go to the same queue, in order: the one that Java's SelectMessageQueueByHash takes. */
  readonly hashKey?: Hashable | undefined
  /** Chooses the queue. It is not tried elsewhere. */
  readonly selector?: QueueSelector<OutgoingMessage<Body>> | undefined
}

/** Sends messages. */
export class Producer<Body = BytesInput> {
  readonly group: string
  readonly #instance: ClientInstance
  readonly #sender: Sender
  readonly #codec: Codec<Body>
  readonly #gate: Gate
  readonly #ids: UniqueIds
  readonly #member: ProducerMember
  #closing: Promise<void> | undefined

  /**
   * Connects a producer.
   * @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN
   */
  static async start<Body = BytesInput>(options: ProducerOptions<Body>): Promise<Producer<Body>> {
    const producer = new Producer<Body>(options)
    await producer.#instance.start()
    return producer
  }

  private constructor({ group, codec, ...given }: ProducerOptions<Body>) {
    const settings = readOptions('Producer', { ...instanceOptions, ...producerOptions }, given)
    this.group = checkedGroup(group)
    this.#codec = codec ?? (bytes as unknown as Codec<Body>)
    const wireGroup = wrapNamespace(settings.namespace, this.group)
    this.#instance = ClientInstance.acquire(settings)
    this.#sender = {
      instance: this.#instance,
      group: wireGroup,
      settings,
      picker: new QueuePicker(Math.random),
      faults: settings.faultLatency ? new FaultLatency() : undefined,
    }
    this.#gate = new Gate(settings.clock, settings.maxInFlight, settings.maxInFlightBytes)
    this.#ids = new UniqueIds({ clock: settings.clock, ip: ownAddress(), pid: process.pid, seed: 1 })
    this.#member = { kind: 'producer', group: wireGroup, checkTransaction() {}, takeReply: () => false }
    this.#instance.join(this.#member)
  }

  get clientId(): string {
    return this.#instance.clientId
  }

  /**
   * Sends a message and resolves when a broker has stored it. A failure is tried again, elsewhere if it can be.
   * @throws ClientError BAD_NAME, MESSAGE_ILLEGAL, ROUTE_MISSING, NO_NAME_SERVER, SEND_FAILED, BROKER_REFUSED, TIMEOUT,
   *   BACK_PRESSURE, ABORTED, CLOSED
   */
  async send(message: OutgoingMessage<Body>, options: SendOptions<Body> = {}): Promise<SendReceipt> {
    if (this.#closing !== undefined) throw closed('this producer')
    const { settings, instance } = this.#sender
    const deadline = Deadline.of(instance.clock, options, settings.timeoutMs)
    const prepared = prepare(message, this.#codec.encode(message.body), settings, {
      messageId: this.#ids.next(),
      now: instance.clock.now(),
    })
    const size = prepared.body.length
    if (!this.#gate.tryEnter(size)) await this.#gate.enter(size, deadline.left, options.signal)
    try {
      return await this.#dispatch(prepared, message, options, deadline)
    } finally {
      this.#gate.leave(size)
    }
  }

  async #dispatch(
    prepared: PreparedMessage,
    message: OutgoingMessage<Body>,
    options: SendOptions<Body>,
    deadline: Deadline,
  ): Promise<SendReceipt> {
    const { settings, instance } = this.#sender
    const known =
      instance.routes.peek(prepared.topic) ??
      (await instance.routes.toPublish(
        prepared.topic,
        settings.defaultTopicQueues,
        settings.createTopicKey,
        deadline.options(),
      ))
    const queue = chosen(known.publish, message, options)
    return queue === undefined
      ? await sendWithRetries(this.#sender, prepared, known, singleForm, deadline)
      : await sendOnce(this.#sender, prepared, queue, singleForm, deadline)
  }

  /** Ends the producer: what is on its way may finish within `drainMs` (default 5,000). Idempotent. */
  close({ drainMs = 5000 }: { readonly drainMs?: number } = {}): Promise<void> {
    return (this.#closing ??= this.#shutDown(drainMs))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutDown(drainMs: number): Promise<void> {
    await this.#instance.leave(this.#member)
    await this.#instance.release(undefined, drainMs)
  }
}

function chosen<Body>(
  queues: readonly MessageQueue[],
  message: OutgoingMessage<Body>,
  { queue, hashKey, selector }: SendOptions<Body>,
): MessageQueue | undefined {
  if (queue !== undefined) return queue
  const key = hashKey ?? message.shardingKey
  if (selector !== undefined) return selector(queues, message)
  return key === undefined ? undefined : queueByHash(queues, key)
}

function checkedGroup(group: unknown): string {
  if (typeof group !== 'string')
    throw new ClientError('BAD_OPTION', 'option group must be a text: the name of the group')
  const problem = groupProblem(group)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  return group
}
