import { PROPERTY, unwrapNamespace, writePopReceipt } from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'
import type { ConsumeStats } from '../queue/consume-stats.ts'
import { acknowledge, type Acknowledgement, changeInvisible, type PopContext, popQueueOf } from './call.ts'
import type { PoppedView } from './reply.ts'
import { type MessageContext, ReceivedMessage } from '../../message/received-message.ts'

/** Who receives. */
export interface SimpleContext extends PopContext {
  readonly stats: ConsumeStats
}

/** A message of a simple consumer: hidden from others until its time is over, `ack` ends it, or `changeInvisible` moves that. */
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

  /** What the broker knows this delivery by: its POP_CK property. Another after `changeInvisible`. */
  get receipt(): string {
    return writePopReceipt(this.#receipt)
  }

  /** When others may get it, milliseconds since the epoch, the broker's clock. */
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

  /** For acknowledging several at once. */
  get acknowledgement(): Acknowledgement {
    return { topic: this.#topic, receipt: this.#receipt }
  }

  /** It is done with. After its time is over this may come too late: it is delivered again. @throws ClientError */
  async ack(options: CallOptions = {}): Promise<void> {
    await acknowledge(this.#pop, this.acknowledgement, options)
    this.#pop.stats.consumed(this.#topic, 1, 0, true)
  }

  /**
   * Hides it for so long from now on, milliseconds: more to go on working, less to have it again soon.
   * @throws ClientError BAD_OPTION, and what the broker says
   */
  async changeInvisible(invisibleMs: number, options: CallOptions = {}): Promise<void> {
    if (!Number.isSafeInteger(invisibleMs) || invisibleMs < 0) {
      throw new ClientError('BAD_OPTION', `invisibleMs must be a whole number from 0 on, not ${invisibleMs}`)
    }
    this.#receipt = await changeInvisible(this.#pop, this.acknowledgement, invisibleMs, options)
  }
}
