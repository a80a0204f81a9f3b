import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Site } from './client-sites.ts'
import { unique } from './contract/stage.ts'
import { JavaError } from './java-clients.ts'

/** Java with itself: a case below that fails is then not the harness's fault. */
export function javaWithItself(the: () => Site): void {
  test('what Java sends in each manner, Java receives', async t => {
    const { java } = the()
    const topic = await the().topic()
    const consumer = await java.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const [receipt] = await java.send([{ topic: topic, body: 'sync', tags: 'a', keys: ['k1', 'k2'] }])
    await java.send([{ topic: topic, body: 'async' }], { mode: 'async' })
    await java.send([{ topic: topic, body: 'oneway' }], { mode: 'oneway' })
    await java.send(
      ['one', 'two'].map(body => ({ topic: topic, body })),
      { mode: 'batch' },
    )
    await consumer.count(5)
    assert.deepEqual(consumer.texts.toSorted(), ['async', 'one', 'oneway', 'sync', 'two'])
    const sync = consumer.received.find(message => message.text === 'sync')
    assert.deepEqual([sync?.tags, sync?.keys, sync?.messageId], ['a', 'k1 k2', receipt?.messageId])
  })

  test('an error of Java has its code', async () => {
    const queue = { topic: await the().topic(), brokerName: 'nobody', queueId: 0 }
    const sending = the().java.sendOne({ topic: queue.topic, body: 'x' }, { queue })
    await assert.rejects(sending, error => error instanceof JavaError && /nobody/.test(error.message))
  })

  test('a wait for a message that nobody sends ends', async t => {
    const topic = await the().topic()
    const consumer = await the().java.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await assert.rejects(consumer.count(1, 200), /Java got only 0/)
  })

  test('a refused message comes again', async t => {
    const topic = await the().topic()
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' }, failTimes: 1 }
    const consumer = await the().java.consume(t, settings)
    await the().java.sendOne({ topic, body: 'twice' })
    await consumer.count(2)
    assert.deepEqual(
      consumer.received.map(message => message.reconsumeTimes),
      [0, 1],
    )
  })

  test('a transaction without an outcome is asked about', async t => {
    const topic = await the().topic()
    const consumer = await the().java.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await the().java.transaction({ topic, body: 'asked', properties: { check: 'commit' } }, 'unknown', 'java-tx')
    await the().java.untilChecked('asked')
    await consumer.count(1)
  })

  test('a request is answered', async t => {
    const topic = await the().topic()
    await the().java.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' }, reply: true })
    const reply = await the().java.request({ topic, body: 'ping' }, 10_000, { group: unique('asking') })
    assert.equal(reply.text, 'reply to ping')
  })

  test('lite pull takes and commits', async t => {
    const topic = await the().topic('lite', 1)
    await the().java.send(['1', '2', '3'].map(body => ({ topic, body })))
    const group = unique('group')
    const consumer = await the().java.litePull(t, { group, subscriptions: { [topic]: '*' } })
    const taken = await consumer.take(3)
    assert.deepEqual(
      taken.map(message => message.text),
      ['1', '2', '3'],
    )
    await consumer.commit()
    const [queue] = await consumer.assignment()
    assert.equal(queue && (await consumer.committed(queue)), 3)
    assert.deepEqual(
      (await the().java.consumeOffsets(group, topic)).map(offset => offset.consumerOffset),
      [3],
    )
  })
}
