import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Admin } from '@gantrymq/client'
import type { SideConsumer } from '../drivers/client-under-test.ts'
import type { Site } from './cluster.ts'
import { eventually, unique } from '../contract/server-under-test.ts'

/** How long brokers hide what was popped and refused once: the first of their times. */
const HIDDEN_MS = 10_000
/** Until the broker has revived it, the name server has heard of its retry topic, and the client has asked for the route. */
const COMES_AGAIN_MS = 150_000
/** The number of a queue that stands for all of a broker. */
const ALL_TO_POP = -1

/** Consumption by pop, where the broker assigns (5.x). */
export function popping(the: () => Site): void {
  for (const name of ['Java', 'ours'] as const) {
    test(`${name}: a broker assigns the queues, and each message comes once`, { timeout: 90_000 }, async t => {
      const topic = await the().topic('popped')
      const group = unique('group')
      await the().java.setPop(the().broker.address, topic, group)
      const side = name === 'ours' ? the().ours : the().java
      const settings = { group, subscriptions: { [topic]: '*' }, brokerAssigns: true }
      const consumer = await side.consume(t, settings)
      const messages = Array.from({ length: 40 }, (_, i) => ({ topic, body: String(i) }))
      await the().java.send(messages)
      await consumer.got.count(40, 45_000)
      assert.equal(new Set(consumer.got.texts).size, 40)
    })
  }

  test('one of ours and one of Java share by pop without loss or double', { timeout: 90_000 }, async t => {
    const topic = await the().topic('popped', 8)
    const group = unique('group')
    await the().java.setPop(the().broker.address, topic, group)
    const settings = { group, subscriptions: { [topic]: '*' }, brokerAssigns: true }
    const members = [await the().ours.consume(t, settings), await the().java.consume(t, settings)]
    await eventually(async () => {
      const held = await Promise.all(members.map(member => member.queues()))
      // The broker may name each queue to one member, or all queues to all as number -1.
      for (const queues of held) assert.ok(queues.some(queue => queue.topic === topic))
    }, 45_000)
    await the().java.send(Array.from({ length: 80 }, (_, i) => ({ topic, body: String(i) })))
    await eventually(async () => {
      const texts = members.flatMap(member => member.got.texts)
      const by = members.map(({ got }) => [got.all.length, new Set(got.texts).size])
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
    const topic = await the().topic('switched', 2)
    const group = unique('group')
    await the().java.setPop(the().broker.address, topic, group)
    const settings = { group, subscriptions: { [topic]: '*' }, brokerAssigns: true }
    const consumer = await the().ours.consume(t, { ...settings, failTimes: 1, rebalanceMs: 1_000 })
    const [receipt] = await the().java.send([{ topic, body: 'refused' }])
    await consumer.got.count(1, 45_000)
    // From now on it is hidden for 10 s.
    assert.deepEqual(await held(consumer, topic), [ALL_TO_POP])
    const admin = await Admin.start({ nameServers: the().nameServers })
    t.after(() => admin.close())
    await admin.groups.setConsumeMode(group, topic, 'PULL', { broker: the().broker.address })
    await eventually(async () => assert.deepEqual(await held(consumer, topic), [0, 1]), HIDDEN_MS)
    assert.equal(consumer.got.all.length, 1, 'it came before its time')
    await the().java.send([{ topic, body: 'next' }])
    await eventually(async () => {
      assert.deepEqual(consumer.got.texts.toSorted(), ['next', 'next', 'refused', 'refused'])
    }, COMES_AGAIN_MS)
    const again = consumer.got.all.findLast(({ text }) => text === 'refused')
    assert.deepEqual([again?.messageId, again?.topic, again?.reconsumeTimes], [receipt?.messageId, topic, 1])
  })
}

/** Which queues of a topic a member has. */
async function held(consumer: SideConsumer, topic: string): Promise<number[]> {
  const queues = (await consumer.queues()).filter(queue => queue.topic === topic)
  return queues.map(({ queueId }) => queueId).toSorted((a, b) => a - b)
}
