import type { MessageView } from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import { type MessageQueue, queueKey } from '../../message/message.ts'
import { type MessageContext, ReceivedMessage } from '../../message/received-message.ts'
import { ABANDONED, type MessageHandler, type Outcome } from './listener.ts'

type Settle = (outcome: Outcome | typeof ABANDONED) => void

/**
 * A message of a consumer that is iterated over. The consumer holds it until `ack` or `retry` is called; only the first of
 * these calls counts.
 */
export class DeliveredMessage<Body = Buffer> extends ReceivedMessage<Body> {
  readonly #context: MessageContext<Body>
  #settle: Settle | undefined

  constructor(view: MessageView, queue: MessageQueue, context: MessageContext<Body>, reconsumeTimes?: number) {
    super(view, queue, context, reconsumeTimes)
    this.#context = context
  }

  /** Marks the message as done. */
  async ack(): Promise<void> {
    this.settle(undefined)
  }

  /**
   * Has the message redelivered. `delayLevel` is a level of the broker's delay table, 1 to 18; by default the delay grows with
   * each delivery; -1 makes the message a dead letter. An orderly consumer gets it again as the next message of its queue,
   * after `suspendMs`.
   */
  async retry(options: { readonly delayLevel?: number; readonly suspendMs?: number } = {}): Promise<void> {
    this.settle({ retry: options })
  }

  /** Sets what is called with the outcome. */
  onSettled(settle: Settle): void {
    this.#settle = settle
  }

  settle(outcome: Outcome | typeof ABANDONED): void {
    const settle = this.#settle
    this.#settle = undefined
    settle?.(outcome)
  }

  override again(): DeliveredMessage<Body> {
    return new DeliveredMessage(this.view, this.queue, this.#context, this.reconsumeTimes + 1)
  }
}

type WaitingLoop<Body> = (result: IteratorResult<DeliveredMessage<Body>, undefined>) => void

const END = { done: true, value: undefined } as const

/**
 * Hands messages to `for await` loops instead of a listener. It holds as many messages at a time as listeners could run.
 */
export class DeliveredMessages<Body> implements MessageHandler<Body> {
  /** Messages that no loop has taken yet. */
  #waiting: DeliveredMessage<Body>[] = []
  /** Messages that a loop has taken and not settled. */
  readonly #taken = new Set<DeliveredMessage<Body>>()
  #waitingLoops: WaitingLoop<Body>[] = []
  #loops = 0
  #isClosed = false

  handle(messages: readonly ReceivedMessage<Body>[]): Promise<Outcome | typeof ABANDONED> {
    const [message] = messages
    if (!(message instanceof DeliveredMessage))
      throw new ClientError('UNSUPPORTED', 'without a listener messages are delivered one at a time')
    const { promise, resolve } = Promise.withResolvers<Outcome | typeof ABANDONED>()
    message.onSettled(outcome => {
      this.#taken.delete(message)
      resolve(outcome)
    })
    if (this.#isClosed) message.settle(ABANDONED)
    else this.#deliver(message)
    return promise
  }

  isWaiting(message: ReceivedMessage<Body>): boolean {
    return this.#waiting.some(each => each === message)
  }

  abandon(queue: MessageQueue): void {
    const all = Map.groupBy(this.#waiting, message => queueKey(message.queue) === queueKey(queue))
    this.#waiting = all.get(false) ?? []
    for (const message of all.get(true) ?? []) message.settle(ABANDONED)
  }

  #deliver(message: DeliveredMessage<Body>): void {
    const loop = this.#waitingLoops.shift()
    if (loop === undefined) this.#waiting.push(message)
    else this.#give(message, loop)
  }

  #give(message: DeliveredMessage<Body>, loop: WaitingLoop<Body>): void {
    this.#taken.add(message)
    loop({ done: false, value: message })
  }

  /** An iterator over the messages. Several iterators share them. */
  loop(): AsyncIterableIterator<DeliveredMessage<Body>, undefined> {
    this.#loops++
    let isOver = false
    const waiting = new Set<WaitingLoop<Body>>()
    const end = (): void => {
      if (!isOver) this.#loops--
      isOver = true
    }
    const iterator: AsyncIterableIterator<DeliveredMessage<Body>, undefined> = {
      next: async () => {
        if (isOver) return END
        const result = await this.#next(waiting)
        if (result.done === true) end()
        return result
      },
      return: async () => {
        end()
        // A message for a loop that has ended would be settled by no one.
        this.#waitingLoops = this.#waitingLoops.filter(each => !waiting.has(each))
        for (const each of waiting) each(END)
        if (this.#isClosed) this.#abandonTaken()
        return END
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  /** @param waiting the calls of the same loop that wait for a message */
  #next(waiting: Set<WaitingLoop<Body>>): Promise<IteratorResult<DeliveredMessage<Body>, undefined>> {
    if (this.#isClosed) return Promise.resolve(END)
    const { promise, resolve } = Promise.withResolvers<IteratorResult<DeliveredMessage<Body>, undefined>>()
    const give: WaitingLoop<Body> = result => {
      waiting.delete(give)
      resolve(result)
    }
    const message = this.#waiting.shift()
    if (message !== undefined) this.#give(message, give)
    else {
      waiting.add(give)
      this.#waitingLoops.push(give)
    }
    return promise
  }

  /**
   * Ends all loops. Messages that no loop has taken are abandoned. So are taken ones if there is no loop any more that could
   * settle them.
   */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const hasLoops = this.#loops > 0
    for (const loop of this.#waitingLoops.splice(0)) loop(END)
    for (const message of this.#waiting.splice(0)) message.settle(ABANDONED)
    if (!hasLoops) this.#abandonTaken()
  }

  #abandonTaken(): void {
    for (const message of this.#taken) message.settle(ABANDONED)
  }
}
