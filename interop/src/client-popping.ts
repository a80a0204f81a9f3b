import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Site } from './client-sites.ts'
import { eventually, unique } from './contract/stage.ts'

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
}
