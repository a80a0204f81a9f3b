import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Admin } from '@gantrymq/client'
import type { MessageToSend, Queue, ClientUnderTest } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import type { Owner } from '../launch/launched-program.ts'
import type { LaunchedServer } from '../launch/launcher.ts'
import { ask } from '../wire/raw-connection.ts'

const SECOND = 1_000
/** Brokers of 4.9 choose the message nearest to a time, so that time must be far from the messages before it. */
const APART_MS = 4 * SECOND
const SYNCED_MS = 80_000
const CONSUMED_MS = 45_000
const GET_MAX_OFFSET = 30
const GET_MIN_OFFSET = 31

const queueOf = (cluster: Cluster, topic: string): Queue => ({ topic, brokerName: cluster.brokerName, queueId: 0 })

/** Which messages a new group must get, by its `consumeFrom`. */
type ExpectedMessages = Readonly<Record<'first' | 'last' | 'time', readonly string[]>>

/** Sends `two`, `three` and, after the groups have started, `four`. The time to start from is between `two` and `three`. */
async function checkStart(
  t: Owner,
  cluster: Cluster,
  client: ClientUnderTest,
  topic: string,
  wanted: ExpectedMessages,
): Promise<void> {
  await cluster.java.send([{ topic, body: 'two' }])
  const fromTime = (Math.ceil((Date.now() + APART_MS) / SECOND) + 1) * SECOND
  await delay(fromTime + 100 - Date.now())
  await cluster.java.send([{ topic, body: 'three' }])
  const start = async (from: keyof ExpectedMessages) => {
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' }, from, fromTime }
    const consumer = await client.consume(t, settings)
    // A group that starts at the last message has its offset when it holds the queue.
    await eventually(async () => assert.ok((await consumer.queues()).some(each => each.topic === topic)), CONSUMED_MS)
    return { from, consumer }
  }
  const started = await Promise.all([start('first'), start('last'), start('time')])
  await cluster.java.send([{ topic, body: 'four' }], { queue: queueOf(cluster, topic) })
  for (const { from, consumer } of started) {
    await eventually(async () => {
      assert.deepEqual(consumer.received.texts.toSorted(), wanted[from].toSorted(), from)
    }, CONSUMED_MS)
  }
}

/** Where a new group starts. `old` is a topic of `makeOldTopics`. */
export function startOffsets(
  cluster: () => Cluster,
  client: (cluster: Cluster) => ClientUnderTest,
  old: () => string,
): void {
  test('a new group starts at the first message, at the last, or at a time', { timeout: 120_000 }, async t => {
    const first = ['one', 'two', 'three', 'four']
    await checkStart(t, cluster(), client(cluster()), old(), { first, last: ['four'], time: ['three', 'four'] })
  })

  // Brokers decide so as long as the first message of the queue is in memory.
  test('in a young topic a new group starts at the first message, whatever it asks for', {
    timeout: 120_000,
  }, async t => {
    const topic = await cluster().topic('young', 1)
    await cluster().java.send([{ topic, body: 'one' }])
    const all = ['one', 'two', 'three', 'four']
    await checkStart(t, cluster(), client(cluster()), topic, { first: all, last: all, time: all })
  })
}

/** The size of commit log files that these cases need, bytes. */
export const FILE_BYTES = 1024 * 1024

/**
 * Creates topics of one queue whose first message is gone with its file, as after its retention, and whose second is `one`.
 * Only for such topics do brokers answer a new group that it has no offset. Kills and restarts the broker.
 */
export async function makeOldTopics(cluster: Cluster, count: number): Promise<string[]> {
  const topics: string[] = []
  for (let i = 0; i < count; i++) topics.push(await cluster.topic('old', 1))
  const sendAll = (body: string) => cluster.java.send(topics.map(topic => ({ topic, body })))
  await sendAll('gone')
  const filler = await cluster.topic('filler', 1)
  // Random bytes, because clients compress bodies.
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

/** The first or last offset of the queue at a broker; -1 if the broker refuses. */
async function offsetOf({ port }: LaunchedServer, topic: string, code: number): Promise<number> {
  const { code: answer, extFields } = await ask(port, { code, extFields: { topic, queueId: '0' } })
  return answer === 0 ? Number(extFields?.['offset']) : -1
}

/** Consumption from a slave whose master is down. The master is up again at the end. */
export function slaveWithoutMaster(cluster: () => Cluster, slave: () => LaunchedServer): void {
  test('both clients read from a slave whose master is down', { timeout: 240_000 }, async t => {
    const topic = await cluster().topic('kept', 1)
    const messages: MessageToSend[] = Array.from({ length: 20 }, (_, i) => ({ topic, body: String(i) }))
    const group = unique('group')
    const early = await cluster().ours.consume(t, { group, subscriptions: { [topic]: '*' } })
    await cluster().java.send(messages)
    await early.received.atLeast(20)
    const admin = await Admin.start({ nameServers: cluster().nameServers })
    t.after(() => admin.close())
    // A slave copies messages at once, but topics every ten seconds only, and a slave of 5.x once a minute.
    await eventually(() => admin.topics.config(topic, { broker: slave().address }), SYNCED_MS)
    await eventually(async () => assert.equal(await offsetOf(slave(), topic, GET_MAX_OFFSET), 20), SYNCED_MS)
    await cluster().broker.kill()
    try {
      for (const client of [cluster().ours, cluster().java]) {
        const consumer = await client.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
        await consumer.received.atLeast(20, CONSUMED_MS)
        assert.equal(new Set(consumer.received.texts).size, 20, client.name)
      }
    } finally {
      await cluster().broker.restart()
    }
    const [again] = await cluster().ours.send([{ topic, body: 'back' }])
    assert.equal(again?.status, 'SEND_OK')
    await early.received.containing(['back'], 90_000)
    assert.equal(early.received.all.length, 21, 'no message arrived twice')
  })
}
