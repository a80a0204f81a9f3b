import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Direction } from './sending.ts'
import type { MessageToSend } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { notServed } from './not-served.ts'
import { unique } from '../unique.ts'

const numbers = (count: number, topic: string): MessageToSend[] =>
  Array.from({ length: count }, (_, i) => ({ topic, body: String(i) }))

/** Filters of push consumers. */
export function filters(cluster: () => Cluster, { sender, receiver }: Direction): void {
  test('a subscription by tags gets the messages with these tags only', async t => {
    const topic = await cluster().topic()
    const settings = { group: unique('group'), subscriptions: { [topic]: 'new || paid' } }
    const consumer = await receiver(cluster()).consume(t, settings)
    const tags = ['new', 'old', 'paid', 'new', 'other']
    await sender(cluster()).send(tags.map((tag, i) => ({ topic, body: `${tag} ${i}`, tags: tag })))
    await sender(cluster()).send([
      { topic, body: 'untagged' },
      { topic, body: 'last', tags: 'new' },
    ])
    await consumer.received.containing(['last', 'new 0', 'paid 2', 'new 3'])
    assert.deepEqual(consumer.received.texts.toSorted(), ['last', 'new 0', 'new 3', 'paid 2'])
  })

  test('a subscription by SQL92 gets the messages that satisfy it only', async t => {
    if (cluster().isOurs) return t.skip(notServed.sql)
    const topic = await cluster().topic()
    const sql = "amount BETWEEN 10 AND 20 AND country IN ('de', 'at') AND note IS NULL"
    const consumer = await receiver(cluster()).consume(t, {
      group: unique('group'),
      subscriptions: { [topic]: { sql } },
    })
    const of = (body: string, properties: Record<string, string>) => ({ topic, body, properties })
    await sender(cluster()).send([
      of('yes', { amount: '15', country: 'de' }),
      of('too much', { amount: '21', country: 'de' }),
      of('elsewhere', { amount: '15', country: 'fr' }),
      of('noted', { amount: '15', country: 'de', note: 'x' }),
      of('nothing', {}),
      of('also', { amount: '10', country: 'at' }),
    ])
    await consumer.received.containing(['yes', 'also'])
    assert.deepEqual(consumer.received.texts.toSorted(), ['also', 'yes'])
  })
}

/** Creates the retry topic of a new group. Otherwise the consumer would find its queue at a later rebalance. */
async function groupWithRetries(cluster: Cluster): Promise<string> {
  const group = unique('group')
  await cluster.createTopic(`%RETRY%${group}`, 1)
  return group
}

/** Retries and dead letters. */
export function retries(cluster: () => Cluster, { sender, receiver }: Direction): void {
  for (const throws of [false, true]) {
    test(`a message arrives again until the listener ${throws ? 'no longer throws' : 'accepts it'}`, async t => {
      const topic = await cluster().topic()
      const group = await groupWithRetries(cluster())
      const settings = { group, subscriptions: { [topic]: '*' }, failTimes: 2, throws }
      const consumer = await receiver(cluster()).consume(t, settings)
      const [receipt] = await sender(cluster()).send([{ topic, body: 'thrice', keys: ['k'], properties: { a: '1' } }])
      await consumer.received.atLeast(3)
      const shown = consumer.received.all.map(({ reconsumeTimes, messageId, keys, properties, ...received }) => {
        return { reconsumeTimes, messageId, keys, a: properties['a'], topic: received.topic }
      })
      assert.deepEqual(
        shown,
        [0, 1, 2].map(reconsumeTimes => ({ reconsumeTimes, messageId: receipt?.messageId, keys: 'k', a: '1', topic })),
      )
    })
  }

  test('after the last retry a message is in the dead letter topic', async t => {
    const topic = await cluster().topic()
    const group = await groupWithRetries(cluster())
    const settings = { group, subscriptions: { [topic]: '*' }, failTimes: 99, maxReconsumeTimes: 1 }
    const consumer = await receiver(cluster()).consume(t, settings)
    await sender(cluster()).send([{ topic, body: 'dead' }])
    await consumer.received.atLeast(2)
    const dead = `%DLQ%${group}`
    await eventually(() => cluster().hasRoute(dead), 15_000)
    // Apache creates it without read permission, so that no one consumes it by accident.
    await cluster().createTopic(dead, 1)
    const deadLetters = await sender(cluster()).consume(t, {
      group: unique('deadLetters'),
      subscriptions: { [dead]: '*' },
    })
    const [received] = await deadLetters.received.atLeast(1)
    assert.deepEqual([received?.text, consumer.received.all.length], ['dead', 2])
  })
}

/** Orderly consumption. */
export function order(cluster: () => Cluster, { sender, receiver }: Direction): void {
  test('an orderly consumer keeps the order of each queue although its listener refuses each message once', async t => {
    const topic = await cluster().topic('ordered', 2)
    const settings = {
      group: unique('group'),
      subscriptions: { [topic]: '*' },
      orderly: true,
      failTimes: 1,
      suspendMs: 20,
    }
    const consumer = await receiver(cluster()).consume(t, settings)
    for (const key of ['a', 'b']) {
      const messages = [1, 2, 3, 4, 5].map(number => ({ topic, body: `${key}${number}` }))
      const queue = { topic, brokerName: cluster().brokerName, queueId: key === 'a' ? 0 : 1 }
      await sender(cluster()).send(messages, { queue })
    }
    await consumer.received.atLeast(20)
    for (const key of ['a', 'b']) {
      const twice = [1, 2, 3, 4, 5].flatMap(number => [`${key}${number}`, `${key}${number}`])
      assert.deepEqual(
        consumer.received.texts.filter(text => text.startsWith(key)),
        twice,
      )
    }
  })
}

/** Broadcasting, offsets of groups, and suspending. */
export function groups(cluster: () => Cluster, { sender, receiver }: Direction): void {
  test('each member of a broadcasting group gets all messages', async t => {
    const topic = await cluster().topic()
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' }, broadcast: true }
    const one = await receiver(cluster()).consume(t, { ...settings, instanceName: unique('one') })
    const two = await sender(cluster()).consume(t, { ...settings, instanceName: unique('two') })
    const messages = numbers(8, topic)
    await sender(cluster()).send(messages)
    const all = messages.map(message => String(message.body)).toSorted()
    for (const { received } of [one, two]) {
      await received.atLeast(8)
      assert.deepEqual(received.texts.toSorted(), all)
    }
  })

  test('a group continues where its last member stopped', async t => {
    const topic = await cluster().topic()
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' } }
    const first = await receiver(cluster()).consume(t, settings)
    const messages = numbers(10, topic)
    await sender(cluster()).send(messages)
    await first.received.containing(messages.map(({ body }) => String(body)))
    assert.equal(first.received.all.length, 10, `some messages arrived twice: ${first.received.texts.join()}`)
    await first.stop()
    await sender(cluster()).send([{ topic, body: 'next' }])
    const second = await sender(cluster()).consume(t, settings)
    await second.received.atLeast(1)
    const third = await receiver(cluster()).consume(t, { ...settings, group: unique('group') })
    await third.received.atLeast(11)
    assert.deepEqual(second.received.texts, ['next'])
  })

  test('a suspended consumer receives nothing until it is resumed', async t => {
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const other = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await sender(cluster()).send([{ topic, body: 'before' }])
    await consumer.received.containing(['before'])
    await consumer.suspend()
    // A pull that waits at the broker may still return a message, so a few of these may arrive, but not all of them.
    await sender(cluster()).send(numbers(12, topic))
    await other.received.atLeast(13)
    const meanwhile = consumer.received.all.length
    assert.ok(meanwhile < 13, `${meanwhile} messages arrived while the consumer was suspended`)
    await consumer.resume()
    await consumer.received.atLeast(13)
    assert.equal(new Set(consumer.received.texts).size, 13)
  })
}

/** Lite pull consumers. */
export function litePull(cluster: () => Cluster, { sender, receiver }: Direction): void {
  test('after a commit neither client polls the same messages again', async t => {
    const topic = await cluster().topic('lite', 1)
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' } }
    await sender(cluster()).send(numbers(5, topic))
    const consumer = await receiver(cluster()).litePull(t, settings)
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
      const offsets = await cluster().java.consumeOffsets(settings.group, topic)
      assert.deepEqual(
        offsets.map(offset => offset.consumerOffset),
        [5],
      )
    })
    await consumer.stop()
    await sender(cluster()).send([{ topic, body: 'next' }])
    const other = await sender(cluster()).litePull(t, settings)
    const [next] = await other.take(1)
    assert.equal(next?.text, 'next')
  })

  test('a poll after a seek returns the message at that offset', async t => {
    const topic = await cluster().topic('lite', 1)
    await sender(cluster()).send(numbers(5, topic))
    const consumer = await receiver(cluster()).litePull(t, { group: unique('group'), assign: topic })
    const queue = { topic, brokerName: cluster().brokerName, queueId: 0 }
    // Java's consumer pulls from its assignment on, and hands out what a pull that was on its way brings, even after a
    // seek (DefaultLitePullConsumerImpl.PullTaskImpl). With all messages taken, its next pull waits at the broker.
    await consumer.take(5)
    await consumer.seek(queue, 3)
    const [fourth] = await consumer.take(1)
    assert.equal(fourth?.text, '3')
    await consumer.seek(queue, 0)
    const [first] = await consumer.take(1)
    assert.equal(first?.text, '0')
  })
}
