import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Logger } from '@gantrymq/remoting'
import { type TestCluster, testCluster, type TestClusterOptions } from '@gantrymq/testkit'
import { PushConsumer, type PushConsumerOptions } from '../src/consumer/push-consumer.ts'
import { Producer, type ProducerOptions } from '../src/producer/producer.ts'

export const TOPIC = 'Orders'

/** Who sent what, who said it was stored, and how often it came. Bodies tell messages apart. */
class Ledger {
  readonly sent = new Set<string>()
  /** Sends that ended well. */
  readonly stored = new Set<string>()
  readonly came = new Map<string, number>()
  readonly failures: unknown[] = []

  note(body: string): void {
    this.came.set(body, (this.came.get(body) ?? 0) + 1)
  }

  /** Stored, but not consumed. */
  get missing(): string[] {
    return [...this.stored].filter(body => !this.came.has(body))
  }

  /** How many came more than once. */
  get doubles(): number {
    return [...this.came.values()].filter(count => count > 1).length
  }

  get isDone(): boolean {
    return this.missing.length === 0
  }

  /** Nothing that was stored is lost, and nothing came that nobody sent. */
  check(): void {
    assert.deepEqual(this.missing, [], 'stored, and never consumed')
    for (const body of this.came.keys()) assert.ok(this.sent.has(body), `nobody sent ${body}`)
  }
}

/** A cluster with one topic, clients that share a ledger, and every attempt to connect counted. */
export class Scene {
  readonly cluster: TestCluster
  readonly ledger = new Ledger()
  readonly log: { readonly level: string; readonly fields: object; readonly text: string }[] = []
  /** When which address was dialled, by the clock. */
  readonly dials: { readonly address: string; readonly at: number }[] = []
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
    const note =
      (level: string) =>
      (fields: object, text: string): void =>
        void this.log.push({ level, fields, text })
    return { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') }
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
      onMessage: message => this.ledger.note(message.bytes.toString()),
      ...more,
    }
  }

  async producer(more: Partial<ProducerOptions> = {}): Promise<Producer> {
    return this.cluster.own(await this.cluster.outcome(Producer.start(this.producerOptions(more))))
  }

  async consumer(more: Partial<PushConsumerOptions> = {}): Promise<PushConsumer> {
    return this.cluster.own(await this.cluster.outcome(PushConsumer.start(this.consumerOptions(more))))
  }

  /** Sends so many, and keeps the books. Resolves when each has ended, well or not; never rejects. */
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

  /** Waits until all that was stored was consumed, at most so long by the clock. */
  async untilConsumed(withinMs = 60_000): Promise<void> {
    await this.until(() => this.ledger.isDone, withinMs)
    this.ledger.check()
  }

  /** Whether the brokers know that the group is at the end of every queue. */
  isCommitted(group = 'readers'): boolean {
    return this.cluster.brokers.every(broker =>
      [TOPIC, `%RETRY%${group}`].every(topic => {
        const queues = broker.topicOf(topic)?.readQueues ?? 0
        return Array.from({ length: queues }, (_, queueId) => queueId).every(
          queueId => (broker.committed(topic, group, queueId) ?? 0) === broker.log.maxOffset(topic, queueId),
        )
      }),
    )
  }

  /** Waits for something, at most so long by the clock. */
  async until(condition: () => boolean, withinMs: number): Promise<void> {
    const end = this.cluster.clock.elapsed() + withinMs
    await this.cluster.until(() => condition() || this.cluster.clock.elapsed() >= end, {
      stepMs: Math.max(50, withinMs / 1500),
    })
    await this.cluster.settle()
  }
}

export interface SceneOptions extends TestClusterOptions {
  readonly queues?: number
}

/** At the end all clients are closed, and the test fails if a connection or a timer is left. */
export async function scene(t: TestContext, { queues = 2, ...options }: SceneOptions = {}): Promise<Scene> {
  const cluster = await testCluster(t, options)
  for (const broker of cluster.brokers) broker.setTopic(TOPIC, { readQueues: queues })
  return new Scene(cluster)
}
