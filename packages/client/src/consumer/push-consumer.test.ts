import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stage } from '@gantrymq/testkit'
import { startConsumer } from './push-scene.ts'

test('messages of all queues reach the listener, and the offsets are kept when it closes', async t => {
  const play = await stage(t, { brokers: 2 })
  for (const broker of play.brokers) broker.setTopic('Orders', { readQueues: 2 })
  const seen: string[] = []
  const consumer = await startConsumer(play, { onMessage: message => void seen.push(message.body.toString()) })
  await play.until(() => consumer.queues.length === 5 + 1, { stepMs: 50 })
  for (const broker of play.brokers) {
    for (let n = 0; n < 10; n++)
      broker.put({ topic: 'Orders', queueId: n % 2, body: Buffer.from(`${broker.name} ${n}`) })
  }
  await play.until(() => seen.length === 20)
  await play.outcome(consumer.close())
  assert.equal(new Set(seen).size, 20)
  for (const broker of play.brokers) {
    assert.equal(broker.committed('Orders', 'readers', 0), 5)
    assert.equal(broker.committed('Orders', 'readers', 1), 5)
  }
  await play.assertNothingLeft()
})
