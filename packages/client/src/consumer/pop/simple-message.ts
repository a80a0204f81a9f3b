import { PROPERTY, unwrapNamespace, writePopReceipt } from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'
import { type MessageContext, ReceivedMessage } from '../../message/received-message.ts'
import type { ConsumptionStats } from '../queue/consumption-stats.ts'
import { acknowledge, type Acknowledgement, changeInvisible, popQueueOf } from './acknowledge.ts'
import type { PopContext } from './call-master.ts'
import type { PoppedView } from './reply.ts'

/** The consumer that receives messages. */
export interface SimpleContext extends PopContext {
  readonly stats: ConsumptionStats
}

/**
 * A message of a simple consumer. It is invisible to the other members of the group until `ack` ends its delivery or
 * `invisibleUntil` is over.
 */
export class SimpleMessage<Body = Buffer> extends ReceivedMessage<Body> {
  readonly #pop: SimpleContext
  /** With its namespace. */
  readonly #topic: string
  readonly #namespace: string
  readonly #firstPopTime: string
  #receipt: Acknowledgement['receipt']

  constructor(pop: SimpleContext, topic: string, { view, receipt }: PoppedView, context: MessageContext<Body>) {
    super(view, popQueueOf(pop, { topic, receipt }), context)
    this.#pop = pop
    this.#topic = topic
    this.#namespace = context.namespace
    this.#receipt = receipt
    this.#firstPopTime = view.property(PROPERTY.FIRST_POP_TIME) ?? String(receipt.popTime)
  }

  /** What the broker identifies this delivery by: the POP_CK property. Changes with `changeInvisible`. */
  get receipt(): string {
    return writePopReceipt(this.#receipt)
  }

  /** When other members may get the message, by the broker's clock: milliseconds since the epoch. */
  get invisibleUntil(): number {
    return this.#receipt.popTime + this.#receipt.invisibleMs
  }

  override get topic(): string {
    return unwrapNamespace(this.#namespace, this.#topic)
  }

  override property(name: string): string | undefined {
    if (name === PROPERTY.POP_CK) return this.receipt
    return name === PROPERTY.FIRST_POP_TIME ? this.#firstPopTime : super.property(name)
  }

  override get properties(): ReadonlyMap<string, string> {
    const all = new Map(super.properties)
    return all.set(PROPERTY.POP_CK, this.receipt).set(PROPERTY.FIRST_POP_TIME, this.#firstPopTime)
  }

  /** What acknowledges this message, for acknowledging several at once. */
  get acknowledgement(): Acknowledgement {
    return { topic: this.#topic, receipt: this.#receipt }
  }

  /** Acknowledges the message. Once `invisibleUntil` is over this may be too late, and the message is redelivered. @throws ClientError */
  async ack(options: CallOptions = {}): Promise<void> {
    await acknowledge(this.#pop, this.acknowledgement, options)
    this.#pop.stats.consumed(this.#topic, 1, 0, true)
  }

  /**
   * Makes the message invisible for `invisibleMs` milliseconds from now on: a large value to keep working on it, a small one to
   * have it redelivered soon.
   * @throws ClientError BAD_OPTION, and what the broker answers
   */
  async changeInvisible(invisibleMs: number, options: CallOptions = {}): Promise<void> {
    if (!Number.isSafeInteger(invisibleMs) || invisibleMs < 0) {
      throw new ClientError('BAD_OPTION', `invisibleMs must be a whole number of 0 or more, not ${invisibleMs}`)
    }
    this.#receipt = await changeInvisible(this.#pop, this.acknowledgement, invisibleMs, options)
  }
}
