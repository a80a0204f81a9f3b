import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { offsetRequests, PROPERTY } from '@gantrymq/protocol'
import { MemoryDisk } from '@gantrymq/store'
import { brokerInMemory } from './broker-in-memory.ts'
import { messagesIn, sendMessage, settle } from './requests.ts'

const level = (value: number): string => `UNIQ_KEY\u0001u\u0002DELAY\u0001${value}\u0002`

test('a delayed message is delivered at its time, not before, with its level and queue as properties', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq, { topic: 'Orders', queueId: 2, properties: level(2) }, 'late')
  mq.clock.advance(4900)
  await settle()
  assert.deepEqual(await messagesIn(mq, 'Orders', 2), [])
  mq.clock.advance(200)
  await settle()
  const [message] = await messagesIn(mq, 'Orders', 2)
  assert.equal(message?.body.toString(), 'late')
  assert.equal(message.reconsumeTimes, 0)
  const { DELAY, REAL_TOPIC, REAL_QID } = Object.fromEntries(message.properties)
  assert.deepEqual({ DELAY, REAL_TOPIC, REAL_QID }, { DELAY: '2', REAL_TOPIC: 'Orders', REAL_QID: '2' })
})

test('a delay level above the highest counts as the highest', async t => {
  const mq = await brokerInMemory(t, { messageDelayLevel: '1s 3s' })
  await sendMessage(mq, { properties: level(18) })
  const [waiting] = await messagesIn(mq, 'SCHEDULE_TOPIC_XXXX', 1)
  assert.equal(waiting?.properties.get(PROPERTY.DELAY), '2')
  mq.clock.advance(3100)
  await settle()
  assert.equal((await messagesIn(mq, 'Orders', 1)).length, 1)
})

test('a long backlog is delivered completely, and in order', async t => {
  const mq = await brokerInMemory(t)
  const bodies = Array.from({ length: 300 }, (_, index) => String(index))
  for (const body of bodies) await sendMessage(mq, { properties: level(1) }, body)
  mq.clock.advance(1100)
  for (let round = 0; round < 10; round++) await settle()
  assert.deepEqual((await messagesIn(mq, 'Orders', 1)).map(({ body }) => body.toString()), bodies) // biome-ignore format: one thought
  const progress = await mq.client.call(mq.brokerAddress, offsetRequests.GET_ALL_DELAY_OFFSET, {})
  assert.equal(progress.body?.get(1), 300)
})

test('messages of a level that fall due one after another are delivered one after another', async t => {
  const mq = await brokerInMemory(t)
  for (const body of ['a', 'b', 'c']) {
    await sendMessage(mq, { properties: level(2) }, body)
    mq.clock.advance(1000)
  }
  const delivered: string[] = []
  for (const body of ['', 'a', 'ab', 'abc']) {
    await settle()
    const messages = await messagesIn(mq, 'Orders', 1)
    delivered.push(messages.map(each => each.body.toString()).join(''))
    assert.equal(delivered.at(-1), body)
    mq.clock.advance(body === '' ? 2100 : 1000)
  }
})

test('a message that was stored before the clock was set back is delivered at once', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq, { properties: level(2) })
  mq.clock.jump(-3_600_000)
  mq.clock.advance(200)
  await settle()
  assert.equal((await messagesIn(mq, 'Orders', 1)).length, 1)
})

test('a broker that was closed goes on where it was, and delivers nothing twice', async t => {
  const disk = new MemoryDisk()
  const storePathRootDir = await mkdtemp(join(tmpdir(), 'broker-'))
  const first = await brokerInMemory(t, { disk, storePathRootDir })
  await sendMessage(first, { properties: level(1) }, 'early')
  await sendMessage(first, { properties: level(3) }, 'late')
  first.clock.advance(1100)
  await settle()
  await first.broker.close()

  const second = await brokerInMemory(t, { disk, storePathRootDir })
  // The last one, so that the brokers are closed before.
  t.after(() => rm(storePathRootDir, { recursive: true, force: true }))
  second.clock.advance(5000)
  await settle()
  assert.deepEqual((await messagesIn(second, 'Orders', 1)).map(({ body }) => body.toString()), ['early']) // biome-ignore format: one thought
  second.clock.advance(10_000)
  await settle()
  assert.deepEqual((await messagesIn(second, 'Orders', 1)).map(({ body }) => body.toString()), ['early', 'late']) // biome-ignore format: one thought
})
