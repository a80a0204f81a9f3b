import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Admin } from '@gantrymq/client'
import type { ConsumerUnderTest } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'

/** How long brokers hide a message that was popped and refused once: the first of their delays. */
const HIDDEN_MS = 10_000
/** How long the broker may take to revive a message, register the retry topic, and the client to ask for its route. */
const COMES_AGAIN_MS = 150_000
/** The queue id that means all queues of a broker. */
const ALL_TO_POP = -1

/** Pop mode, in which the broker assigns queues (5.x). */
export function popping(cluster: () => Cluster): void {
  for (const name of ['Java', 'ours'] as const) {
    test(`${name}: the broker assigns the queues, and each message arrives once`, { timeout: 90_000 }, async t => {
      const topic = await cluster().topic('popped')
      const group = unique('group')
      await cluster().java.setPop(cluster().broker.address, topic, group)
      const client = name === 'ours' ? cluster().ours : cluster().java
      const settings = { group, subscriptions: { [topic]: '*' }, brokerAssigns: true }
      const consumer = await client.consume(t, settings)
      const messages = Array.from({ length: 40 }, (_, i) => ({ topic, body: String(i) }))
      await cluster().java.send(messages)
      await consumer.received.atLeast(40, 45_000)
      assert.equal(new Set(consumer.received.texts).size, 40)
    })
  }

  test('a consumer of ours and one of Java share messages in pop mode without loss or duplicates', {
    timeout: 90_000,
  }, async t => {
    const topic = await cluster().topic('popped', 8)
    const group = unique('group')
    await cluster().java.setPop(cluster().broker.address, topic, group)
    const settings = { group, subscriptions: { [topic]: '*' }, brokerAssigns: true }
    const members = [await cluster().ours.consume(t, settings), await cluster().java.consume(t, settings)]
    await eventually(async () => {
      const held = await Promise.all(members.map(member => member.queues()))
      // The broker may assign each queue to one member, or all queues to all members as queue id -1.
      for (const queues of held) assert.ok(queues.some(queue => queue.topic === topic))
    }, 45_000)
    await cluster().java.send(Array.from({ length: 80 }, (_, i) => ({ topic, body: String(i) })))
    await eventually(async () => {
      const texts = members.flatMap(member => member.received.texts)
      const by = members.map(({ received }) => [received.all.length, new Set(received.texts).size])
      assert.deepEqual(
        [texts.length, new Set(texts).size],
        [80, 80],
        `received and distinct, for ours and Java: ${by.join('; ')}`,
      )
    }, 45_000)
  })

  test('a message that was refused in pop mode arrives again after a switch to pull mode', {
    timeout: 240_000,
  }, async t => {
    const topic = await cluster().topic('switched', 2)
    const group = unique('group')
    await cluster().java.setPop(cluster().broker.address, topic, group)
    const settings = { group, subscriptions: { [topic]: '*' }, brokerAssigns: true }
    const consumer = await cluster().ours.consume(t, { ...settings, failTimes: 1, rebalanceMs: 1_000 })
    const [receipt] = await cluster().java.send([{ topic, body: 'refused' }])
    await consumer.received.atLeast(1, 45_000)
    assert.deepEqual(await held(consumer, topic), [ALL_TO_POP])
    const admin = await Admin.start({ nameServers: cluster().nameServers })
    t.after(() => admin.close())
    await admin.groups.setConsumeMode(group, topic, 'PULL', { broker: cluster().broker.address })
    await eventually(async () => assert.deepEqual(await held(consumer, topic), [0, 1]), 45_000)
    await cluster().java.send([{ topic, body: 'next' }])
    await eventually(async () => {
      assert.deepEqual(consumer.received.texts.toSorted(), ['next', 'next', 'refused', 'refused'])
    }, COMES_AGAIN_MS)
    const first = consumer.received.find('refused') ?? assert.fail('no message')
    const again = consumer.received.all.findLast(({ text }) => text === 'refused') ?? first
    assert.ok(again.at - first.at >= HIDDEN_MS, `the message arrived again after ${again.at - first.at} ms`)
    assert.deepEqual([again.messageId, again.topic, again.reconsumeTimes], [receipt?.messageId, topic, 1])
  })
}

/** The ids of the queues of a topic that a member holds. */
async function held(consumer: ConsumerUnderTest, topic: string): Promise<number[]> {
  const queues = (await consumer.queues()).filter(queue => queue.topic === topic)
  return queues.map(({ queueId }) => queueId).toSorted((a, b) => a - b)
}
