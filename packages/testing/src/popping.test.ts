import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import { Admin, Producer, PushConsumer, SimpleConsumer } from '@gantrymq/client'
import { type RocketMQ, type RocketMQOptions, startRocketMQ } from './rocketmq.ts'

async function started(t: TestContext, options: RocketMQOptions = {}): Promise<RocketMQ> {
  const mq = await startRocketMQ(options)
  t.after(() => mq.close())
  return mq
}

async function producerOf(t: TestContext, mq: RocketMQ): Promise<Producer> {
  const producer = await Producer.start({ ...mq.connection, group: 'shop' })
  t.after(() => producer.close())
  return producer
}

async function simpleConsumerOf(t: TestContext, mq: RocketMQ): Promise<SimpleConsumer> {
  const consumer = await SimpleConsumer.start({ ...mq.connection, group: 'billing', subscriptions: { Orders: '*' } })
  t.after(() => consumer.close())
  return consumer
}

suite('consumption by pop in a test', () => {
  test('a simple consumer receives a message again if it does not acknowledge it', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'one' })
    const consumer = await simpleConsumerOf(t, mq)
    const [first] = await consumer.receive({ invisibleMs: 20_000 })
    assert.equal(String(first?.body), 'one')
    assert.equal(mq.group('billing').lag, 1)
    await mq.advance({ seconds: 19 })
    assert.deepEqual(await consumer.receive({ waitMs: 0 }), [])
    await mq.advance({ seconds: 2 })
    const [again] = await consumer.receive()
    assert.deepEqual([String(again?.body), again?.topic, again?.reconsumeTimes], ['one', 'Orders', 1])
    await again?.ack()
    assert.equal(mq.group('billing').lag, 0)
    await mq.idle('billing')
  })

  test('a simple consumer waits for a message, and may keep it for longer', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'first' })
    const consumer = await simpleConsumerOf(t, mq)
    await consumer.ack(await consumer.receive())
    const waiting = consumer.receive({ invisibleMs: 10_000 })
    await producer.send({ topic: 'Orders', body: 'second' })
    const [message] = await waiting
    await message?.changeInvisible(60_000)
    await mq.advance({ seconds: 50 })
    assert.deepEqual(await consumer.receive({ waitMs: 0 }), [])
    await message?.ack()
    await mq.advance({ minutes: 2 })
    assert.deepEqual(await consumer.receive({ waitMs: 0 }), [])
    assert.equal(mq.group('billing').lag, 0)
  })

  test('a push consumer pops the queues that the broker assigns, and gives a poison message up', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'good' })
    const admin = await Admin.start({ nameServers: mq.connection.nameServers, clock: mq.connection.clock })
    t.after(() => admin.close())
    await admin.groups.setConsumeMode('billing', 'Orders', 'POP', { cluster: 'DefaultCluster' })
    const received: string[] = []
    const consumer = await PushConsumer.start({
      ...mq.connection,
      group: 'billing',
      subscriptions: { Orders: '*' },
      consumeFrom: 'first',
      serverAssignment: true,
      maxReconsumeTimes: 1,
      onMessage(message) {
        received.push(`${String(message.body)} ${message.reconsumeTimes}`)
        if (String(message.body) === 'poison') throw new Error('not now')
      },
    })
    t.after(() => consumer.close())
    await producer.send({ topic: 'Orders', body: 'poison' })
    await mq.idle('billing')
    assert.deepEqual(received.toSorted(), ['good 0', 'poison 0', 'poison 1'])
    assert.deepEqual(
      (await mq.deadLetters('billing')).map(({ text }) => text),
      ['poison'],
    )
    assert.deepEqual(consumer.queues.filter(({ topic }) => topic === 'Orders'), [{ topic: 'Orders', brokerName: 'broker-a', queueId: -1 }]) // biome-ignore format: one thought
  })
})

suite('times of delivery in a test', () => {
  test('a message comes at its time when the time has been moved, unless it was recalled', async t => {
    const mq = await started(t, { broker: { recallMessageEnable: true } })
    const producer = await producerOf(t, mq)
    const deliverAt = mq.now.getTime() + 7_200_000
    await producer.send({ topic: 'Orders', body: 'late', deliverAt })
    const { recallHandle } = await producer.send({ topic: 'Orders', body: 'recalled', deliverAt })
    await producer.recall('Orders', recallHandle ?? assert.fail('no handle'))
    await mq.advance({ hours: 1, minutes: 59 })
    assert.deepEqual(await mq.messages('Orders'), [])
    await mq.advance({ minutes: 2 })
    assert.deepEqual(
      (await mq.messages('Orders')).map(({ text }) => text),
      ['late'],
    )
  })
})
