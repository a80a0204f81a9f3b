import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Producer } from '@gantrymq/client'
import { skipReason } from '../launch/apache.ts'
import type { ConsumerUnderTest } from '../drivers/client-under-test.ts'
import { receipts } from './receipts.ts'
import { type Cluster, type ClusterPlan, suiteName, startCluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import type { Owner } from '../launch/launched-program.ts'
import type { LaunchedServer } from '../launch/launcher.ts'

const BACK_MS = 60_000
const PACE_MS = 10

/** A cluster with a second master, which has a slave if it is Apache's. */
interface TwoMasters {
  readonly cluster: Cluster
  readonly second: LaunchedServer
}

/** How the client behaves when servers are killed. */
export async function faultScenarios(plan: ClusterPlan): Promise<void> {
  describe(suiteName({ ...plan, title: 'faults' }), { skip: await skipReason() }, () => {
    const closes: (() => Promise<void>)[] = []
    let masters: TwoMasters | undefined
    before(async () => {
      const owner: Owner = { after: close => void closes.push(close) }
      const cluster = await startCluster(owner, plan)
      const starting = [cluster.startBroker(owner, { name: 'b' })]
      if (!cluster.isOurs) starting.push(cluster.startBroker(owner, { name: 'b', id: 1 }))
      const [second = cluster.broker] = await Promise.all(starting)
      masters = { cluster, second }
    })
    after(async () => {
      for (const close of closes.toReversed()) await close()
    })
    const started = () => masters ?? assert.fail('the servers did not start')
    describe('kill -9', () => killed(started))
    if (plan.release.startsWith('5.') && plan.broker !== 'ours')
      describe('kill -9, popped', () => receipts(() => started().cluster))
  })
}

/** Creates a topic on both masters. */
async function topicOnBoth({ cluster, second }: TwoMasters): Promise<string> {
  const topic = await cluster.topic('both', 4)
  await cluster.java.createTopic(second.address, topic, 4)
  await eventually(() => cluster.hasRoute(topic, 8), 15_000)
  return topic
}

/** Sends numbered messages. `sent` has those that were acknowledged. */
class Sending {
  readonly sent: string[] = []
  readonly failed: unknown[] = []
  readonly brokers: string[] = []
  readonly #over: Promise<void>

  constructor(producer: Producer, topic: string, count: number) {
    this.#over = this.#run(producer, topic, count)
  }

  async #run(producer: Producer, topic: string, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const body = String(i)
      try {
        const { queue } = await producer.send({ topic, body })
        this.sent.push(body)
        this.brokers.push(queue.brokerName)
      } catch (error) {
        this.failed.push(error)
      }
      await delay(PACE_MS)
    }
  }

  async reaches(count: number): Promise<void> {
    await eventually(async () => assert.ok(this.sent.length >= count, `${this.sent.length} sent`), BACK_MS)
  }

  over(): Promise<void> {
    return this.#over
  }
}

async function startProducer(t: Owner, cluster: Cluster): Promise<Producer> {
  const options = {
    nameServers: cluster.nameServers,
    group: unique('producer'),
    routeRefreshMs: 1_000,
    timeoutMs: 10_000,
  }
  const producer = await Producer.start(options)
  t.after(() => producer.close())
  return producer
}

// A route may be one refresh interval old, so the first sends may not know yet that the broker is back.
async function sendsTo(brokerName: string, producer: Producer, topic: string): Promise<void> {
  await eventually(async () => {
    const { queue } = await producer.send({ topic, body: 'again' })
    assert.equal(queue.brokerName, brokerName)
  }, BACK_MS)
}

async function gotAll(consumer: ConsumerUnderTest, sent: readonly string[]): Promise<void> {
  await eventually(async () => {
    const texts = new Set(consumer.received.texts)
    assert.deepEqual(
      sent.filter(text => !texts.has(text)),
      [],
      'messages that did not arrive',
    )
  }, BACK_MS)
}

function killed(masters: () => TwoMasters): void {
  test('after kill -9 of the name server sending and consuming continue, and clients use it again after its restart', {
    timeout: 150_000,
  }, async t => {
    const { cluster } = masters()
    const topic = await topicOnBoth(masters())
    const consumer = await cluster.ours.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const sending = new Sending(await startProducer(t, cluster), topic, 150)
    await sending.reaches(20)
    await cluster.nameServer.kill()
    await sending.reaches(100)
    await cluster.nameServer.restart()
    await sending.over()
    assert.deepEqual(sending.failed, [])
    await gotAll(consumer, sending.sent)
    assert.equal(consumer.received.all.length, 150)
    await eventually(() => cluster.hasRoute(topic, 8), BACK_MS)
    const later = await cluster.topic('later')
    await cluster.ours.send([{ topic: later, body: 'x' }])
  })

  test('after kill -9 of a master sends go to the other master, nothing is lost, and after its restart it gets messages again', {
    timeout: 240_000,
  }, async t => {
    const { cluster, second } = masters()
    const topic = await topicOnBoth(masters())
    const consumer = await cluster.ours.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const sending = new Sending(await startProducer(t, cluster), topic, 300)
    await sending.reaches(40)
    assert.deepEqual([...new Set(sending.brokers)].toSorted(), ['a', 'b'])
    await second.kill()
    const before = sending.sent.length
    await sending.reaches(before + 40)
    assert.deepEqual(sending.failed, [], 'the producer retries a failed send at the other broker')
    await second.restart()
    await eventually(() => cluster.hasRoute(topic, 8), BACK_MS)
    await sending.over()
    await gotAll(consumer, sending.sent)
    await sendsTo('b', await startProducer(t, cluster), topic)
  })
}
