import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Admin } from '@gantrymq/client'
import type { ConsumerUnderTest } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'

/** How long brokers hide what was popped and refused once: the first of their times. */
const HIDDEN_MS = 10_000
/** Until the broker has revived it, the name server has heard of its retry topic, and the client has asked for the route. */
const COMES_AGAIN_MS = 150_000
/** The number of a queue that stands for all of a broker. */
const ALL_TO_POP = -1

/** Consumption by pop, where the broker assigns (5.x). */
export function popping(cluster: () => Cluster): void {
  for (const name of ['Java', 'ours'] as const) {
    test(`${name}: a broker assigns the queues, and each message comes once`, { timeout: 90_000 }, async t => {
      const topic = await cluster().topic('popped')
      const group = unique('group')
      await cluster().java.setPop(cluster().broker.address, topic, group)
      const side = name === 'ours' ? cluster().ours : cluster().java
      const settings = { group, subscriptions: { [topic]: '*' }, brokerAssigns: true }
      const consumer = await side.consume(t, settings)
      const messages = Array.from({ length: 40 }, (_, i) => ({ topic, body: String(i) }))
      await cluster().java.send(messages)
      await consumer.received.atLeast(40, 45_000)
      assert.equal(new Set(consumer.received.texts).size, 40)
    })
  }

  test('one of ours and one of Java share by pop without loss or double', { timeout: 90_000 }, async t => {
    const topic = await cluster().topic('popped', 8)
    const group = unique('group')
    await cluster().java.setPop(cluster().broker.address, topic, group)
    const settings = { group, subscriptions: { [topic]: '*' }, brokerAssigns: true }
    const members = [await cluster().ours.consume(t, settings), await cluster().java.consume(t, settings)]
    await eventually(async () => {
      const held = await Promise.all(members.map(member => member.queues()))
      // The broker may name each queue to one member, or all queues to all as number -1.
      for (const queues of held) assert.ok(queues.some(queue => queue.topic === topic))
    }, 45_000)
    await cluster().java.send(Array.from({ length: 80 }, (_, i) => ({ topic, body: String(i) })))
    await eventually(async () => {
      const texts = members.flatMap(member => member.received.texts)
      const by = members.map(({ received }) => [received.all.length, new Set(received.texts).size])
      assert.deepEqual(
        [texts.length, new Set(texts).size],
        [80, 80],
        `ours and Java, all and different: ${by.join('; ')}`,
      )
    }, 45_000)
  })

  test('what was refused while the group popped comes again when it pulls', {
    timeout: 240_000,
  }, async t => {
    const topic = await cluster().topic('switched', 2)
    const group = unique('group')
    await cluster().java.setPop(cluster().broker.address, topic, group)
    const settings = { group, subscriptions: { [topic]: '*' }, brokerAssigns: true }
    const consumer = await cluster().ours.consume(t, { ...settings, failTimes: 1, rebalanceMs: 1_000 })
    const [receipt] = await cluster().java.send([{ topic, body: 'refused' }])
    await consumer.received.atLeast(1, 45_000)
    // From now on it is hidden for 10 s.
    assert.deepEqual(await held(consumer, topic), [ALL_TO_POP])
    const admin = await Admin.start({ nameServers: cluster().nameServers })
    t.after(() => admin.close())
    await admin.groups.setConsumeMode(group, topic, 'PULL', { broker: cluster().broker.address })
    await eventually(async () => assert.deepEqual(await held(consumer, topic), [0, 1]), HIDDEN_MS)
    assert.equal(consumer.received.all.length, 1, 'it came before its time')
    await cluster().java.send([{ topic, body: 'next' }])
    await eventually(async () => {
      assert.deepEqual(consumer.received.texts.toSorted(), ['next', 'next', 'refused', 'refused'])
    }, COMES_AGAIN_MS)
    const again = consumer.received.all.findLast(({ text }) => text === 'refused')
    assert.deepEqual([again?.messageId, again?.topic, again?.reconsumeTimes], [receipt?.messageId, topic, 1])
  })
}

/** Which queues of a topic a member has. */
async function held(consumer: ConsumerUnderTest, topic: string): Promise<number[]> {
  const queues = (await consumer.queues()).filter(queue => queue.topic === topic)
  return queues.map(({ queueId }) => queueId).toSorted((a, b) => a - b)
}
