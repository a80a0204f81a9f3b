import { isRetryTopic } from '@gantrymq/protocol'
import { Deadline } from '../deadline.ts'
import { toClientError } from '../errors.ts'
import { type OutgoingMessage, queueKey, type SendReceipt } from '../message/message.ts'
import { BatchError, type BatchItem } from './batches.ts'
import type { Extra, Outbound, SendOptions } from './send-pipeline.ts'
import { isDelayed } from './prepared-message.ts'
import { sendItems } from './send-batch.ts'

interface Waiting<Body> {
  readonly item: BatchItem<Body>
  readonly resolve: (receipt: SendReceipt) => void
  readonly reject: (error: unknown) => void
}

/** Messages that will go in one request. */
interface Heap<Body> {
  readonly waiting: Waiting<Body>[]
  readonly options: SendOptions<Body>
  readonly timer: Disposable
  bytes: number
}

export interface AutoBatchLimits {
  /** How long a message may wait for others, milliseconds. */
  readonly delayMs: number
  /** Bytes that are enough for a batch. */
  readonly bytes: number
  /** Bytes that may wait in all; beyond them messages go by themselves. */
  readonly heldBytes: number
}

/**
 * Gathers messages of single sends for a moment and sends them as batches: fewer requests for a little delay.
 * Apache's ProduceAccumulator (5.x), without its polling guards: each heap has a timer of its own.
 */
export class AutoBatch<Body> {
  readonly #outbound: Outbound<Body>
  readonly #limits: AutoBatchLimits
  readonly #heaps = new Map<string, Heap<Body>>()
  readonly #deliveries = new Set<Promise<void>>()
  #held = 0
  #isClosed = false

  constructor(outbound: Outbound<Body>, limits: AutoBatchLimits) {
    this.#outbound = outbound
    this.#limits = limits
  }

  /** Whether a send may wait for others: Java's rules, and no end of its own. */
  takes(message: OutgoingMessage<Body>, options: SendOptions<Body>): boolean {
    // What callers without types get wrong is refused where all messages are.
    if (typeof message?.topic !== 'string' || typeof options !== 'object' || options === null) return false
    const { timeoutMs, signal, selector, hashKey, queue } = options
    if (queue !== undefined && typeof queue?.topic !== 'string') return false
    if (timeoutMs !== undefined || signal !== undefined || selector !== undefined || hashKey !== undefined) return false
    return !this.#isClosed && this.#held < this.#limits.heldBytes && !isDelayed(message) && !isRetryTopic(message.topic)
  }

  /** @throws ClientError as a send of the message alone */
  async send(message: OutgoingMessage<Body>, options: SendOptions<Body>, extra: Extra): Promise<SendReceipt> {
    this.#outbound.deadline(options)
    // Checked by itself, so that a bad message does not spoil the others of its batch.
    const prepared = this.#outbound.prepare(message, extra)
    const bytes = prepared.body.length
    const { promise, resolve, reject } = Promise.withResolvers<SendReceipt>()
    const heap = this.#heapFor(message, options)
    heap.waiting.push({ item: { index: heap.waiting.length, message, prepared }, resolve, reject })
    heap.bytes += bytes
    this.#held += bytes
    if (heap.bytes >= this.#limits.bytes) this.#send(keyOf(message, options))
    return await promise
  }

  #heapFor(message: OutgoingMessage<Body>, options: SendOptions<Body>): Heap<Body> {
    const key = keyOf(message, options)
    let heap = this.#heaps.get(key)
    if (heap === undefined) {
      const timer = this.#outbound.sender.settings.clock.every(this.#limits.delayMs, () => this.#send(key))
      heap = { waiting: [], options, timer, bytes: 0 }
      this.#heaps.set(key, heap)
    }
    return heap
  }

  #send(key: string): void {
    const heap = this.#heaps.get(key)
    if (heap === undefined) return
    this.#heaps.delete(key)
    heap.timer[Symbol.dispose]()
    const delivery = this.#deliver(heap).finally(() => this.#deliveries.delete(delivery))
    this.#deliveries.add(delivery)
  }

  async #deliver({ waiting, options, bytes }: Heap<Body>): Promise<void> {
    const { sender } = this.#outbound
    const items = waiting.map(({ item }) => item)
    try {
      const deadline = new Deadline(sender.settings.clock, sender.settings.timeoutMs)
      settle(waiting, await sendItems(this.#outbound, items, options, deadline), undefined)
    } catch (error) {
      settle(waiting, error instanceof BatchError ? error.receipts : [], error)
    } finally {
      this.#held -= bytes
    }
  }

  /** Sends all that waits and gathers no more. Resolves when it was sent, or could not be; never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const key of this.#heaps.keys()) this.#send(key)
    await Promise.all(this.#deliveries)
  }
}

function keyOf(message: OutgoingMessage<unknown>, { queue }: Pick<SendOptions<unknown>, 'queue'>): string {
  const { topic, waitStored = true, tags = '', shardingKey } = message
  const key = `${topic} ${waitStored} ${tags} ${queue === undefined ? '' : queueKey(queue)}`
  return shardingKey === undefined ? key : `${key} =${shardingKey}`
}

function settle(
  waiting: readonly Pick<Waiting<unknown>, 'resolve' | 'reject'>[],
  receipts: readonly (SendReceipt | undefined)[],
  error: unknown,
): void {
  const cause = error instanceof BatchError ? error.cause : error
  for (const [index, { resolve, reject }] of waiting.entries()) {
    const receipt = receipts[index]
    if (receipt === undefined) reject(toClientError(cause))
    else resolve(receipt)
  }
}
