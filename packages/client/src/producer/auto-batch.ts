import { isRetryTopic } from '@gantrymq/protocol'
import { Deadline } from '../deadline.ts'
import { toClientError } from '../errors.ts'
import { type OutgoingMessage, queueKey, type SendReceipt } from '../message/message.ts'
import { BatchError, type BatchItem } from './batches.ts'
import type { SendPipeline, SendOptions } from './send-pipeline.ts'
import { type Extras, isDelayed } from './prepared-message.ts'
import { sendItems } from './send-batch.ts'

interface PendingSend<Body> {
  readonly item: BatchItem<Body>
  readonly resolve: (receipt: SendReceipt) => void
  readonly reject: (error: unknown) => void
}

/** A batch that still takes messages. */
interface OpenBatch<Body> {
  readonly sends: PendingSend<Body>[]
  readonly options: SendOptions<Body>
  readonly timer: Disposable
  bytes: number
}

export interface AutoBatchLimits {
  /** How long a message waits for others, milliseconds. */
  readonly delayMs: number
  /** The size at which a batch is sent at once. */
  readonly bytes: number
  /** Bytes in all open batches and batches in flight; beyond it messages are sent alone. */
  readonly heldBytes: number
}

/**
 * Collects the messages of single sends for a short time and sends them as batches: fewer requests for a small delay. Apache's
 * ProduceAccumulator (5.x), whose two guard threads poll; here each open batch has a timer.
 */
export class AutoBatch<Body> {
  readonly #pipeline: SendPipeline<Body>
  readonly #limits: AutoBatchLimits
  readonly #open = new Map<string, OpenBatch<Body>>()
  readonly #deliveries = new Set<Promise<void>>()
  #held = 0
  #isClosed = false

  constructor(pipeline: SendPipeline<Body>, limits: AutoBatchLimits) {
    this.#pipeline = pipeline
    this.#limits = limits
  }

  /** True if a message may be batched by Java's rules and the send has no timeout or signal of its own. */
  takes(message: OutgoingMessage<Body>, options: SendOptions<Body>): boolean {
    // Wrong types are refused later, where those of all messages are.
    if (typeof message?.topic !== 'string' || typeof options !== 'object' || options === null) return false
    const { timeoutMs, signal, selector, hashKey, queue } = options
    if (queue !== undefined && typeof queue?.topic !== 'string') return false
    if (timeoutMs !== undefined || signal !== undefined || selector !== undefined || hashKey !== undefined) return false
    return !this.#isClosed && this.#held < this.#limits.heldBytes && !isDelayed(message) && !isRetryTopic(message.topic)
  }

  /** @throws ClientError as a send without batching */
  async send(message: OutgoingMessage<Body>, options: SendOptions<Body>, extras: Extras): Promise<SendReceipt> {
    this.#pipeline.deadline(options)
    // Checked before it joins a batch, so that a bad message fails alone.
    const prepared = this.#pipeline.prepareForBatch(message, extras)
    const bytes = prepared.body.length
    const { promise, resolve, reject } = Promise.withResolvers<SendReceipt>()
    const batch = this.#batchFor(message, options)
    batch.sends.push({ item: { index: batch.sends.length, message, prepared }, resolve, reject })
    batch.bytes += bytes
    this.#held += bytes
    if (batch.bytes >= this.#limits.bytes) this.#send(keyOf(message, options))
    return await promise
  }

  #batchFor(message: OutgoingMessage<Body>, options: SendOptions<Body>): OpenBatch<Body> {
    const key = keyOf(message, options)
    let batch = this.#open.get(key)
    if (batch === undefined) {
      const timer = this.#pipeline.sender.settings.clock.every(this.#limits.delayMs, () => this.#send(key))
      batch = { sends: [], options, timer, bytes: 0 }
      this.#open.set(key, batch)
    }
    return batch
  }

  #send(key: string): void {
    const batch = this.#open.get(key)
    if (batch === undefined) return
    this.#open.delete(key)
    batch.timer[Symbol.dispose]()
    const delivery = this.#deliver(batch).finally(() => this.#deliveries.delete(delivery))
    this.#deliveries.add(delivery)
  }

  async #deliver({ sends, options, bytes }: OpenBatch<Body>): Promise<void> {
    const { sender } = this.#pipeline
    const items = sends.map(({ item }) => item)
    try {
      const deadline = new Deadline(sender.settings.clock, sender.settings.timeoutMs)
      settle(sends, await sendItems(this.#pipeline, items, options, deadline), undefined)
    } catch (error) {
      settle(sends, error instanceof BatchError ? error.receipts : [], error)
    } finally {
      this.#held -= bytes
    }
  }

  /** Sends all open batches and collects no more. Resolves when they were sent or have failed; never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const key of this.#open.keys()) this.#send(key)
    await Promise.all(this.#deliveries)
  }
}

function keyOf(message: OutgoingMessage<unknown>, { queue }: Pick<SendOptions<unknown>, 'queue'>): string {
  const { topic, waitStored = true, tags = '', shardingKey } = message
  const key = `${topic} ${waitStored} ${tags} ${queue === undefined ? '' : queueKey(queue)}`
  return shardingKey === undefined ? key : `${key} =${shardingKey}`
}

function settle(
  sends: readonly Pick<PendingSend<unknown>, 'resolve' | 'reject'>[],
  receipts: readonly (SendReceipt | undefined)[],
  error: unknown,
): void {
  const cause = error instanceof BatchError ? error.cause : error
  for (const [index, { resolve, reject }] of sends.entries()) {
    const receipt = receipts[index]
    if (receipt === undefined) reject(toClientError(cause))
    else resolve(receipt)
  }
}
