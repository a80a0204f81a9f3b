import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Admin } from '@gantrymq/client'
import type { OutgoingMessage, Queue, ClientUnderTest, ConsumerUnderTest } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import { JavaConsumer } from '../drivers/java-client.ts'
import type { Owner } from '../launch/launched.ts'
import type { LaunchedServer } from '../launch/launcher.ts'
import { ask } from '../wire/raw-connection.ts'

const SECOND = 1_000
/** Brokers of 4.9 take the message that is nearest to a time, so it must be far from those before. */
const APART_MS = 4 * SECOND
const SYNCED_MS = 80_000
const CONSUMED_MS = 45_000
const GET_MAX_OFFSET = 30
const GET_MIN_OFFSET = 31

const queueOf = (cluster: Cluster, topic: string): Queue => ({ topic, brokerName: cluster.brokerName, queueId: 0 })

/** Which messages a new group is to get, by what it asks for. */
type Beginnings = Readonly<Record<'first' | 'last' | 'time', readonly string[]>>

/** Sends `two`, `three` and `four`, the last when the groups have begun; the time is between `two` and `three`. */
async function begins(
  t: Owner,
  cluster: Cluster,
  side: ClientUnderTest,
  topic: string,
  wanted: Beginnings,
): Promise<void> {
  await cluster.java.send([{ topic, body: 'two' }])
  const fromTime = (Math.ceil((Date.now() + APART_MS) / SECOND) + 1) * SECOND
  await delay(fromTime + 100 - Date.now())
  await cluster.java.send([{ topic, body: 'three' }])
  const begin = async (from: keyof Beginnings) => {
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' }, from, fromTime }
    const consumer = await side.consume(t, settings)
    // Where `last` begins is known when it holds the queue.
    await hurried(consumer, async () => assert.ok((await consumer.queues()).some(each => each.topic === topic)))
    return { from, consumer }
  }
  const begun = await Promise.all([begin('first'), begin('last'), begin('time')])
  await cluster.java.send([{ topic, body: 'four' }], { queue: queueOf(cluster, topic) })
  for (const { from, consumer } of begun) {
    await hurried(consumer, async () => {
      assert.deepEqual(consumer.received.texts.toSorted(), wanted[from].toSorted(), from)
    })
  }
}

/** Java shares queues out every 20 s only, also when one of them is to begin at another offset. */
async function hurried(consumer: ConsumerUnderTest, check: () => Promise<void>): Promise<void> {
  await eventually(async () => {
    if (consumer instanceof JavaConsumer) await consumer.rebalance()
    await check()
  }, CONSUMED_MS)
}

/** Of a group that is new. `old` is a topic of `makeOldTopics`. */
export function startOffsets(
  cluster: () => Cluster,
  side: (cluster: Cluster) => ClientUnderTest,
  old: () => string,
): void {
  test('a new group begins at the first message, at the last, or at a time', { timeout: 120_000 }, async t => {
    const first = ['one', 'two', 'three', 'four']
    await begins(t, cluster(), side(cluster()), old(), { first, last: ['four'], time: ['three', 'four'] })
  })

  // Brokers let it, as long as the queue's first message is in memory.
  test('with a young topic it begins at the first, whatever it asks for', { timeout: 120_000 }, async t => {
    const topic = await cluster().topic('young', 1)
    await cluster().java.send([{ topic, body: 'one' }])
    const all = ['one', 'two', 'three', 'four']
    await begins(t, cluster(), side(cluster()), topic, { first: all, last: all, time: all })
  })
}

/** Bytes of a file of messages that these cases want. */
export const FILE_BYTES = 1024 * 1024

/**
 * Topics of one queue whose first message has gone with its file, as after its time, and whose second is `one`. Only to
 * groups that are new to such topics do brokers say that they know of no offset. Kills and restarts the broker.
 */
export async function makeOldTopics(cluster: Cluster, count: number): Promise<string[]> {
  const topics: string[] = []
  for (let i = 0; i < count; i++) topics.push(await cluster.topic('old', 1))
  const sendAll = (body: string) => cluster.java.send(topics.map(topic => ({ topic, body })))
  await sendAll('gone')
  const filler = await cluster.topic('filler', 1)
  // Random, as bodies are compressed.
  await cluster.ours.send([1, 2, 3].map(() => ({ topic: filler, body: randomBytes(FILE_BYTES / 2 - 4096) })))
  await sendAll('one')
  for (const topic of topics) {
    await eventually(async () => assert.equal(await offsetOf(cluster.broker, topic, GET_MAX_OFFSET), 2))
  }
  await cluster.broker.kill()
  await rm(join(cluster.broker.folder, 'store', 'commitlog', '0'.repeat(20)))
  await cluster.broker.restart()
  for (const topic of topics) {
    await eventually(() => cluster.hasRoute(topic, 1), SYNCED_MS)
    assert.equal(await offsetOf(cluster.broker, topic, GET_MIN_OFFSET), 1)
  }
  return topics
}

/** Where the queue begins or ends at a broker, whatever it knows of the topic. */
async function offsetOf({ port }: LaunchedServer, topic: string, code: number): Promise<number> {
  const { code: answer, extFields } = await ask(port, { code, extFields: { topic, queueId: '0' } })
  return answer === 0 ? Number(extFields?.['offset']) : -1
}

/** Messages that only the slave can hand out, as its master is away. Ends with a master that is back. */
export function slaveWithoutMaster(cluster: () => Cluster, slave: () => LaunchedServer): void {
  test('without a master, its slave is read by both', { timeout: 240_000 }, async t => {
    const topic = await cluster().topic('kept', 1)
    const messages: OutgoingMessage[] = Array.from({ length: 20 }, (_, i) => ({ topic, body: String(i) }))
    const group = unique('group')
    const early = await cluster().ours.consume(t, { group, subscriptions: { [topic]: '*' } })
    await cluster().java.send(messages)
    await early.received.atLeast(20)
    const admin = await Admin.start({ nameServers: cluster().nameServers })
    t.after(() => admin.close())
    // It gets messages at once, but asks for topics every ten seconds only, and one of 5.x once a minute.
    await eventually(() => admin.topics.config(topic, { broker: slave().address }), SYNCED_MS)
    await eventually(async () => assert.equal(await offsetOf(slave(), topic, GET_MAX_OFFSET), 20), SYNCED_MS)
    await cluster().broker.kill()
    try {
      for (const side of [cluster().ours, cluster().java]) {
        const consumer = await side.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
        await consumer.received.atLeast(20, CONSUMED_MS)
        assert.equal(new Set(consumer.received.texts).size, 20, side.name)
      }
    } finally {
      await cluster().broker.restart()
    }
    const [again] = await cluster().ours.send([{ topic, body: 'back' }])
    assert.equal(again?.status, 'SEND_OK')
    await early.received.containing(['back'], 90_000)
    assert.equal(early.received.all.length, 21, 'nothing came twice')
  })
}
