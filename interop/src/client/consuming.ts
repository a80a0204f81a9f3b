import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Way } from './sending.ts'
import type { Outgoing } from '../drivers/client-under-test.ts'
import type { Site } from './cluster.ts'
import { eventually, unique } from '../contract/server-under-test.ts'

const numbers = (count: number, topic: string): Outgoing[] =>
  Array.from({ length: count }, (_, i) => ({ topic, body: String(i) }))

/** What push consumers choose. */
export function filters(the: () => Site, { sender, receiver }: Way): void {
  test('by tags', async t => {
    const topic = await the().topic()
    const settings = { group: unique('group'), subscriptions: { [topic]: 'new || paid' } }
    const consumer = await receiver(the()).consume(t, settings)
    const tags = ['new', 'old', 'paid', 'new', 'other']
    await sender(the()).send(tags.map((tag, i) => ({ topic, body: `${tag} ${i}`, tags: tag })))
    await sender(the()).send([
      { topic, body: 'untagged' },
      { topic, body: 'last', tags: 'new' },
    ])
    await consumer.got.texted(['last', 'new 0', 'paid 2', 'new 3'])
    assert.deepEqual(consumer.got.texts.toSorted(), ['last', 'new 0', 'new 3', 'paid 2'])
  })

  test('by SQL92', async t => {
    const topic = await the().topic()
    const sql = "amount BETWEEN 10 AND 20 AND country IN ('de', 'at') AND note IS NULL"
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: { sql } } })
    const of = (body: string, properties: Record<string, string>) => ({ topic, body, properties })
    await sender(the()).send([
      of('yes', { amount: '15', country: 'de' }),
      of('too much', { amount: '21', country: 'de' }),
      of('elsewhere', { amount: '15', country: 'fr' }),
      of('noted', { amount: '15', country: 'de', note: 'x' }),
      of('nothing', {}),
      of('also', { amount: '10', country: 'at' }),
    ])
    await consumer.got.texted(['yes', 'also'])
    assert.deepEqual(consumer.got.texts.toSorted(), ['also', 'yes'])
  })
}

/**
 * A group whose retry topic is there: else its queue is found only when queues are next shared out, which a Java consumer
 * does every 20 s.
 */
async function groupWithRetries(site: Site): Promise<string> {
  const group = unique('group')
  await site.createTopic(`%RETRY%${group}`, 1)
  return group
}

/** What happens to messages that a listener refuses. */
export function retries(the: () => Site, { sender, receiver }: Way): void {
  for (const throws of [false, true]) {
    test(`a message comes again until it is taken${throws ? ', if the listener throws' : ''}`, async t => {
      const topic = await the().topic()
      const group = await groupWithRetries(the())
      const settings = { group, subscriptions: { [topic]: '*' }, failTimes: 2, throws }
      const consumer = await receiver(the()).consume(t, settings)
      const [receipt] = await sender(the()).send([{ topic, body: 'thrice', keys: ['k'], properties: { a: '1' } }])
      await consumer.got.count(3)
      const shown = consumer.got.all.map(({ reconsumeTimes, messageId, keys, properties, ...got }) => {
        return { reconsumeTimes, messageId, keys, a: properties['a'], topic: got.topic }
      })
      assert.deepEqual(
        shown,
        [0, 1, 2].map(reconsumeTimes => ({ reconsumeTimes, messageId: receipt?.messageId, keys: 'k', a: '1', topic })),
      )
    })
  }

  test('after the maximum it is among the dead letters', async t => {
    const topic = await the().topic()
    const group = await groupWithRetries(the())
    const settings = { group, subscriptions: { [topic]: '*' }, failTimes: 99, maxReconsumeTimes: 1 }
    const consumer = await receiver(the()).consume(t, settings)
    await sender(the()).send([{ topic, body: 'dead' }])
    await consumer.got.count(2)
    const dead = `%DLQ%${group}`
    await eventually(() => the().hasRoute(dead), 15_000)
    // Apache makes it without read permission, so that nobody consumes it unasked.
    await the().createTopic(dead, 1)
    const undertaker = await sender(the()).consume(t, { group: unique('undertaker'), subscriptions: { [dead]: '*' } })
    const [got] = await undertaker.got.count(1)
    assert.deepEqual([got?.text, consumer.got.all.length], ['dead', 2])
  })
}

/** Order within a queue. */
export function order(the: () => Site, { sender, receiver }: Way): void {
  test('an orderly consumer keeps the order of each queue although it refuses each once', async t => {
    const topic = await the().topic('ordered', 2)
    const settings = {
      group: unique('group'),
      subscriptions: { [topic]: '*' },
      orderly: true,
      failTimes: 1,
      suspendMs: 20,
    }
    const consumer = await receiver(the()).consume(t, settings)
    for (const key of ['a', 'b']) {
      const messages = [1, 2, 3, 4, 5].map(number => ({ topic, body: `${key}${number}` }))
      const queue = { topic, brokerName: the().brokerName, queueId: key === 'a' ? 0 : 1 }
      await sender(the()).send(messages, { queue })
    }
    await consumer.got.count(20)
    for (const key of ['a', 'b']) {
      const twice = [1, 2, 3, 4, 5].flatMap(number => [`${key}${number}`, `${key}${number}`])
      assert.deepEqual(
        consumer.got.texts.filter(text => text.startsWith(key)),
        twice,
      )
    }
  })
}

/** Broadcasting, and where a group goes on. */
export function groups(the: () => Site, { sender, receiver }: Way): void {
  test('by broadcasting, each member gets all', async t => {
    const topic = await the().topic()
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' }, broadcast: true }
    const one = await receiver(the()).consume(t, { ...settings, instanceName: unique('one') })
    const two = await sender(the()).consume(t, { ...settings, instanceName: unique('two') })
    const messages = numbers(8, topic)
    await sender(the()).send(messages)
    const all = messages.map(message => String(message.body)).toSorted()
    for (const { got } of [one, two]) {
      await got.count(8)
      assert.deepEqual(got.texts.toSorted(), all)
    }
  })

  test('a group goes on where its last member stood', async t => {
    const topic = await the().topic()
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' } }
    const first = await receiver(the()).consume(t, settings)
    const messages = numbers(10, topic)
    await sender(the()).send(messages)
    await first.got.texted(messages.map(({ body }) => String(body)))
    assert.equal(first.got.all.length, 10, `some came twice: ${first.got.texts.join()}`)
    await first.stop()
    await sender(the()).send([{ topic, body: 'next' }])
    const second = await sender(the()).consume(t, settings)
    await second.got.count(1)
    const third = await receiver(the()).consume(t, { ...settings, group: unique('group') })
    await third.got.count(11)
    assert.deepEqual(second.got.texts, ['next'])
  })

  test('a suspended consumer takes nothing until it is resumed', async t => {
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const other = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await sender(the()).send([{ topic, body: 'before' }])
    await consumer.got.texted(['before'])
    await consumer.suspend()
    // A pull that waits at the broker may still bring a message; it is not handed on, or all later ones are not.
    await sender(the()).send(numbers(12, topic))
    await other.got.count(13)
    const meanwhile = consumer.got.all.length
    assert.ok(meanwhile < 13, `${meanwhile} came meanwhile`)
    await consumer.resume()
    await consumer.got.count(13)
    assert.equal(new Set(consumer.got.texts).size, 13)
  })
}

/** Queues pulled by hand. */
export function litePull(the: () => Site, { sender, receiver }: Way): void {
  test('subscribed: what is polled and committed is not polled again, by the other either', async t => {
    const topic = await the().topic('lite', 1)
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' } }
    await sender(the()).send(numbers(5, topic))
    const consumer = await receiver(the()).litePull(t, settings)
    const taken = await consumer.take(5)
    assert.deepEqual(
      taken.map(message => message.text),
      ['0', '1', '2', '3', '4'],
    )
    await consumer.commit()
    const [queue = assert.fail('no queue is assigned')] = await consumer.assignment()
    assert.equal(await consumer.committed(queue), 5)
    // Java commits without waiting for the broker.
    await eventually(async () => {
      const offsets = await the().java.consumeOffsets(settings.group, topic)
      assert.deepEqual(
        offsets.map(offset => offset.consumerOffset),
        [5],
      )
    })
    await consumer.stop()
    await sender(the()).send([{ topic, body: 'next' }])
    const other = await sender(the()).litePull(t, settings)
    const [next] = await other.take(1)
    assert.equal(next?.text, 'next')
  })

  test('assigned: seeking gives the message of the offset', async t => {
    const topic = await the().topic('lite', 1)
    await sender(the()).send(numbers(5, topic))
    const consumer = await receiver(the()).litePull(t, { group: unique('group'), assign: topic })
    const queue = { topic, brokerName: the().brokerName, queueId: 0 }
    await consumer.seek(queue, 3)
    const [fourth] = await consumer.take(1)
    assert.equal(fourth?.text, '3')
    await consumer.seek(queue, 0)
    const [first] = await consumer.take(1)
    assert.equal(first?.text, '0')
  })
}
