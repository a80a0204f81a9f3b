import type { MessageView } from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import { type MessageQueue, queueKey } from '../../message/message.ts'
import { type Handler, LEFT, type Outcome } from './listener.ts'
import { type MessageContext, ReceivedMessage } from '../../message/received-message.ts'

type Settle = (said: Outcome | typeof LEFT) => void

/** A message of a consumer that is iterated over. It is the consumer's until `ack` or `retry`; the second of them is ignored. */
export class DeliveredMessage<Body = Buffer> extends ReceivedMessage<Body> {
  readonly #context: MessageContext<Body>
  #settle: Settle | undefined

  constructor(view: MessageView, queue: MessageQueue, context: MessageContext<Body>, reconsumeTimes?: number) {
    super(view, queue, context, reconsumeTimes)
    this.#context = context
  }

  /** It is done. */
  async ack(): Promise<void> {
    this.settle(undefined)
  }

  /**
   * It is to come again: after the delay of a level, 1 to 18 of the broker's table; by default after longer each time; -1
   * puts it among the dead letters. In order, it comes again in its place after `suspendMs`.
   */
  async retry(options: { readonly delayLevel?: number; readonly suspendMs?: number } = {}): Promise<void> {
    this.settle({ retry: options })
  }

  /** Who wants to know how it ends. */
  onSettled(settle: Settle): void {
    this.#settle = settle
  }

  settle(said: Outcome | typeof LEFT): void {
    const settle = this.#settle
    this.#settle = undefined
    settle?.(said)
  }

  override again(): DeliveredMessage<Body> {
    return new DeliveredMessage(this.view, this.queue, this.#context, this.reconsumeTimes + 1)
  }
}

type Reader<Body> = (result: IteratorResult<DeliveredMessage<Body>, undefined>) => void

const END = { done: true, value: undefined } as const

/**
 * Between the consumption, which hands messages over as to a listener, and `for await` loops. As many messages are here as
 * listeners may run at a time.
 */
export class Inbox<Body> implements Handler<Body> {
  #waiting: DeliveredMessage<Body>[] = []
  /** Handed to a loop and not settled. */
  readonly #out = new Set<DeliveredMessage<Body>>()
  readonly #readers: Reader<Body>[] = []
  #loops = 0
  #isClosed = false

  handle(messages: readonly ReceivedMessage<Body>[]): Promise<Outcome | typeof LEFT> {
    const [message] = messages
    if (!(message instanceof DeliveredMessage))
      throw new ClientError('UNSUPPORTED', 'one message at a time is delivered')
    const { promise, resolve } = Promise.withResolvers<Outcome | typeof LEFT>()
    message.onSettled(said => {
      this.#out.delete(message)
      resolve(said)
    })
    if (this.#isClosed) message.settle(LEFT)
    else this.#deliver(message)
    return promise
  }

  isWaiting(message: ReceivedMessage<Body>): boolean {
    return this.#waiting.some(each => each === message)
  }

  leave(queue: MessageQueue): void {
    const all = Map.groupBy(this.#waiting, message => queueKey(message.queue) === queueKey(queue))
    this.#waiting = all.get(false) ?? []
    for (const message of all.get(true) ?? []) message.settle(LEFT)
  }

  #deliver(message: DeliveredMessage<Body>): void {
    const reader = this.#readers.shift()
    if (reader === undefined) this.#waiting.push(message)
    else this.#hand(message, reader)
  }

  #hand(message: DeliveredMessage<Body>, reader: Reader<Body>): void {
    this.#out.add(message)
    reader({ done: false, value: message })
  }

  /** A loop over the messages. Several loops share them. */
  loop(): AsyncIterableIterator<DeliveredMessage<Body>, undefined> {
    this.#loops++
    let isOver = false
    const leave = (): void => {
      if (!isOver) this.#loops--
      isOver = true
    }
    const iterator: AsyncIterableIterator<DeliveredMessage<Body>, undefined> = {
      next: async () => {
        if (isOver) return END
        const result = await this.#next()
        if (result.done === true) leave()
        return result
      },
      return: async () => {
        leave()
        if (this.#isClosed) this.#leaveAll()
        return END
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  #next(): Promise<IteratorResult<DeliveredMessage<Body>, undefined>> {
    if (this.#isClosed) return Promise.resolve(END)
    const { promise, resolve } = Promise.withResolvers<IteratorResult<DeliveredMessage<Body>, undefined>>()
    const message = this.#waiting.shift()
    if (message === undefined) this.#readers.push(resolve)
    else this.#hand(message, resolve)
    return promise
  }

  /**
   * Ends all loops. What no loop has taken is left to the next member; so is what was taken, where no loop is left that
   * might still settle it.
   */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const isWorking = this.#loops > 0
    for (const reader of this.#readers.splice(0)) reader(END)
    for (const message of this.#waiting.splice(0)) message.settle(LEFT)
    if (!isWorking) this.#leaveAll()
  }

  #leaveAll(): void {
    for (const message of this.#out) message.settle(LEFT)
  }
}
