import { Producer, type ProducerOptions, type SendReceipt } from '@gantrymq/client'
import {
  type ConsumerSpec,
  type LitePullSpec,
  type SendSpec,
  type MessageToSend,
  type ProducerSpec,
  REQUEST_MS,
  type SendResult,
  type LocalTransactionState,
  type ClientUnderTest,
  type ConsumerUnderTest,
  type LitePullUnderTest,
} from './client-under-test.ts'
import type { Owner } from '../launch/launched-program.ts'
import { startOurConsumer, startOurLitePull } from './our-consumers.ts'
import { clientOptions } from './our-options.ts'

const TIMEOUT_MS = 10_000

const compressions = { ZLIB: 'zlib', LZ4: 'lz4', ZSTD: 'zstd' } as const

function producerOptions(nameServers: string, settings: ProducerSpec): ProducerOptions {
  const { compressType, compressOver, group = 'our-producers', timeoutMs = TIMEOUT_MS, autoBatch = false } = settings
  return {
    ...clientOptions(nameServers, settings),
    group,
    timeoutMs,
    autoBatch,
    ...(compressType === undefined ? {} : { compression: compressions[compressType] }),
    ...(compressOver === undefined ? {} : { compressOver }),
    checkTransaction: message => outcomeOf(message.property('check')),
  }
}

function outcomeOf(text: string | undefined): LocalTransactionState {
  return text === 'commit' || text === 'rollback' ? text : 'unknown'
}

/** Drives our client. Starts a producer when its settings are first used, and keeps it. */
export class OurClient implements ClientUnderTest {
  readonly name = 'ours'
  readonly nameServers: string
  readonly #owner: Owner
  readonly #producers = new Map<string, Promise<Producer>>()

  constructor(owner: Owner, nameServers: string) {
    this.#owner = owner
    this.nameServers = nameServers
  }

  /** The producer with these settings. */
  producer(settings: ProducerSpec = {}): Promise<Producer> {
    const name = JSON.stringify(settings)
    let producer = this.#producers.get(name)
    if (!producer) this.#producers.set(name, (producer = this.#start(settings)))
    return producer
  }

  /** The producer that sends replies to requests. */
  replies(): Promise<Producer> {
    return this.producer({ group: 'our-replies' })
  }

  async #start(settings: ProducerSpec): Promise<Producer> {
    const producer = await Producer.start(producerOptions(this.nameServers, settings))
    this.#owner.after(() => producer.close())
    return producer
  }

  async send(messages: readonly MessageToSend[], settings: SendSpec = {}): Promise<SendResult[]> {
    const { mode = 'sync', queue, shardingKey } = settings
    const producer = await this.producer(settings.producer)
    if (mode === 'batch') return producer.sendBatch(messages)
    if (mode === 'async') return Promise.all(messages.map(message => producer.send(message)))
    const options = { ...(queue ? { queue } : {}), ...(shardingKey === undefined ? {} : { hashKey: shardingKey }) }
    const receipts: SendReceipt[] = []
    for (const message of messages) {
      if (mode === 'oneway') await producer.sendOneway(message, options)
      else receipts.push(await producer.send(message, options))
    }
    return receipts
  }

  async transaction(message: MessageToSend, local: LocalTransactionState, group: string): Promise<SendResult> {
    const producer = await this.producer({ group })
    return producer.sendInTransaction(message, async () => local)
  }

  async request(message: MessageToSend, group: string): Promise<string> {
    const producer = await this.producer({ group })
    const reply = await producer.request(message, { timeoutMs: REQUEST_MS })
    return String(reply.body)
  }

  async recall(topic: string, recallHandle: string): Promise<void> {
    const producer = await this.producer()
    await producer.recall(topic, recallHandle)
  }

  consume(owner: Owner, settings: ConsumerSpec): Promise<ConsumerUnderTest> {
    return startOurConsumer(owner, this, settings)
  }

  litePull(owner: Owner, settings: LitePullSpec): Promise<LitePullUnderTest> {
    return startOurLitePull(owner, this, settings)
  }
}
