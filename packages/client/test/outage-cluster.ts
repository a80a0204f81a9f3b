import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Logger } from '@gantrymq/remoting'
import { type TestCluster, testCluster, type TestClusterOptions } from '@gantrymq/testkit/cluster'
import { PushConsumer, type PushConsumerOptions } from '../src/consumer/push-consumer.ts'
import { Producer, type ProducerOptions } from '../src/producer/producer.ts'

export const TOPIC = 'Orders'

/** The messages that were sent, stored and received, by their bodies. */
class Ledger {
  readonly sent = new Set<string>()
  /** Messages whose send succeeded. */
  readonly stored = new Set<string>()
  /** How often each was received. */
  readonly received = new Map<string, number>()
  readonly failures: unknown[] = []

  /** Records that a message was received. */
  record(body: string): void {
    this.received.set(body, (this.received.get(body) ?? 0) + 1)
  }

  /** Messages that were stored, but not received. */
  get missing(): string[] {
    return [...this.stored].filter(body => !this.received.has(body))
  }

  /** The number of messages that were received more than once. */
  get duplicates(): number {
    return [...this.received.values()].filter(count => count > 1).length
  }

  get isDone(): boolean {
    return this.missing.length === 0
  }

  /** Every stored message was received, and every received message was sent. */
  check(): void {
    assert.deepEqual(this.missing, [], 'stored, but never received')
    for (const body of this.received.keys()) assert.ok(this.sent.has(body), `${body} was never sent`)
  }
}

/** A cluster for outages: with one topic, clients that share a ledger and a log, and a record of all attempts to connect. */
export class OutageCluster {
  readonly cluster: TestCluster
  readonly ledger = new Ledger()
  readonly log: { readonly level: string; readonly fields: object; readonly text: string }[] = []
  /** The attempts to connect, with their times by the clock. */
  readonly dials: { readonly address: string; readonly at: number }[] = []
  readonly #spareTopics: string[] = []
  #topics = 0
  #count = 0

  constructor(cluster: TestCluster) {
    this.cluster = cluster
  }

  get #shared() {
    const { clock, nameServerList: nameServers } = this.cluster
    return { clock, nameServers, log: this.#logger, dial: this.dial }
  }

  readonly dial: TestCluster['dial'] = (address, signal) => {
    this.dials.push({ address, at: this.cluster.clock.elapsed() })
    return this.cluster.dial(address, signal)
  }

  get #logger(): Logger {
    const write =
      (level: string) =>
      (fields: object, text: string): void =>
        void this.log.push({ level, fields, text })
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  }

  producerOptions(more: Partial<ProducerOptions> = {}): ProducerOptions {
    return { ...this.#shared, group: 'senders', ...more }
  }

  consumerOptions(more: Partial<PushConsumerOptions> = {}): PushConsumerOptions {
    return {
      ...this.#shared,
      group: 'readers',
      consumeFrom: 'first',
      subscriptions: { [TOPIC]: '*' },
      onMessage: message => this.ledger.record(message.bytes.toString()),
      ...more,
    }
  }

  async producer(more: Partial<ProducerOptions> = {}): Promise<Producer> {
    return this.cluster.own(await this.cluster.outcome(Producer.start(this.producerOptions(more))))
  }

  async consumer(more: Partial<PushConsumerOptions> = {}): Promise<PushConsumer> {
    return this.cluster.own(await this.cluster.outcome(PushConsumer.start(this.consumerOptions(more))))
  }

  /** Sends so many messages and records them. Resolves when all sends have succeeded or failed; never rejects. */
  async send(producer: Producer, count: number, timeoutMs = 3000): Promise<void> {
    const sends = Array.from({ length: count }, async () => {
      const body = `m${this.#count++}`
      this.ledger.sent.add(body)
      try {
        await producer.send({ topic: TOPIC, body }, { timeoutMs })
        this.ledger.stored.add(body)
      } catch (error) {
        this.ledger.failures.push(error)
      }
    })
    await Promise.all(sends)
  }

  /** A topic whose route the clients have not fetched yet; another one is created in its place. */
  newTopic(): string {
    const topic = this.#spareTopics.shift()
    assert.ok(topic !== undefined, 'no spare topic is left')
    void this.addSpareTopic()
    return topic
  }

  async addSpareTopic(): Promise<void> {
    const topic = `New${this.#topics++}`
    await Promise.all(this.cluster.brokers.map(broker => broker.setTopic(topic, { readQueues: 2 })))
    this.#spareTopics.push(topic)
  }

  /** Waits until all stored messages were received, at most `withinMs` by the clock. */
  async untilConsumed(withinMs = 60_000): Promise<void> {
    await this.until(() => this.ledger.isDone, withinMs)
    this.ledger.check()
  }

  /** True if the group's committed offsets are at the end of all queues. */
  isCommitted(group = 'readers'): boolean {
    return this.cluster.brokers.every(broker =>
      [TOPIC, `%RETRY%${group}`].every(topic => {
        const queues = broker.topic(topic)?.readQueueNums ?? 0
        return Array.from({ length: queues }, (_, queueId) => queueId).every(
          queueId => (broker.committed(topic, group, queueId) ?? 0) === broker.maxOffset(topic, queueId),
        )
      }),
    )
  }

  /** Waits for a condition, at most `withinMs` by the clock. */
  async until(condition: () => boolean, withinMs: number): Promise<void> {
    const end = this.cluster.clock.elapsed() + withinMs
    await this.cluster.until(() => condition() || this.cluster.clock.elapsed() >= end, {
      stepMs: Math.max(50, withinMs / 1500),
    })
    await this.cluster.settle()
  }
}

export interface OutageClusterOptions extends TestClusterOptions {
  readonly queues?: number
  /** How many topics `newTopic` can return at once. Default 0. */
  readonly spareTopics?: number
}

/** Creates the cluster. At the end of the test all clients are closed, and the test fails if a connection or a timer remains. */
export async function outageCluster(
  t: TestContext,
  { queues = 2, spareTopics = 0, ...options }: OutageClusterOptions = {},
): Promise<OutageCluster> {
  const cluster = await testCluster(t, options)
  for (const broker of cluster.brokers) await broker.setTopic(TOPIC, { readQueues: queues })
  const fixture = new OutageCluster(cluster)
  for (let spare = 0; spare < spareTopics; spare++) await fixture.addSpareTopic()
  return fixture
}
