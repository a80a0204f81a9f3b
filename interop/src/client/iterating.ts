import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PushConsumer, SimpleConsumer, type SimpleMessage } from '@gantrymq/client'
import { Arrivals } from '../drivers/arrivals.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import type { Owner } from '../launch/launched-program.ts'

/** `for await` over messages that Java sends, with `ack` and `retry`. */
export function iterating(cluster: () => Cluster): void {
  test('an acknowledged message does not arrive again, one for which retry() was called does', {
    timeout: 90_000,
  }, async t => {
    const topic = await cluster().topic()
    const group = unique('group')
    await cluster().createTopic(`%RETRY%${group}`, 1)
    const consumer = await iterated(t, cluster(), group, topic)
    await cluster().java.send(['good', 'bad', 'also good'].map(body => ({ topic, body })))
    const seen: string[] = []
    for await (const message of consumer) {
      const text = message.body.toString()
      seen.push(`${text} ${message.reconsumeTimes}`)
      if (text === 'bad' && message.reconsumeTimes < 2) await message.retry({ delayLevel: 1 })
      else await message.ack()
      if (seen.length === 5) break
    }
    assert.deepEqual(seen.toSorted(), ['also good 0', 'bad 0', 'bad 1', 'bad 2', 'good 0'])
    await consumer.close()
    // A Java consumer of the group continues after these messages.
    const java = await cluster().java.consume(t, { group, subscriptions: { [topic]: '*' } })
    await cluster().java.send([{ topic, body: 'next' }])
    await java.received.containing(['next'])
    assert.deepEqual(java.received.texts, ['next'])
  })

  test('a message that is given up at once is in the dead letter topic, which Java reads', {
    timeout: 90_000,
  }, async t => {
    const topic = await cluster().topic()
    const group = unique('group')
    const consumer = await iterated(t, cluster(), group, topic)
    const [receipt] = await cluster().java.send([{ topic, body: 'hopeless' }])
    for await (const message of consumer) {
      await message.retry({ delayLevel: -1 })
      break
    }
    const dead = `%DLQ%${group}`
    await eventually(() => cluster().hasRoute(dead), 15_000)
    await cluster().createTopic(dead, 1)
    const deadLetters = await cluster().java.consume(t, {
      group: unique('deadLetters'),
      subscriptions: { [dead]: '*' },
    })
    const [received] = await deadLetters.received.atLeast(1)
    assert.deepEqual(
      [received?.text, received?.properties['ORIGIN_MESSAGE_ID']],
      ['hopeless', receipt?.offsetMessageId],
    )
  })
}

async function iterated(t: Owner, cluster: Cluster, group: string, topic: string): Promise<PushConsumer> {
  const options = { nameServers: cluster.nameServers, routeRefreshMs: 1_000, consumeFrom: 'first' } as const
  const consumer = await PushConsumer.start({ ...options, group, subscriptions: { [topic]: '*' } })
  t.after(() => consumer.close())
  return consumer
}

interface Receiving {
  readonly consumer: SimpleConsumer
  readonly received: Arrivals<{ readonly text: string; readonly reconsumeTimes: number; readonly messageId: string }>
}

/** Starts a simple consumer of ours that acknowledges every message unless `isKept` is true for it. */
async function receiving(
  t: Owner,
  cluster: Cluster,
  group: string,
  topic: string,
  isKept: (message: SimpleMessage) => boolean = () => false,
): Promise<Receiving> {
  const options = { nameServers: cluster.nameServers, routeRefreshMs: 1_000, consumeFrom: 'first' } as const
  const times = { maxMessages: 4, waitMs: 2_000, invisibleMs: 10_000 }
  const consumer = await SimpleConsumer.start({ ...options, ...times, group, subscriptions: { [topic]: '*' } })
  t.after(() => consumer.close())
  const received: Receiving['received'] = new Arrivals('our simple consumer')
  const loop = async () => {
    for await (const message of consumer) {
      const { reconsumeTimes, messageId } = message
      const kept = isKept(message)
      received.add({ text: message.body.toString(), reconsumeTimes, messageId })
      if (!kept) await message.ack()
    }
  }
  const over = loop().catch((error: unknown) =>
    received.add({ text: String(error), reconsumeTimes: -1, messageId: '' }),
  )
  t.after(async () => {
    await consumer.close()
    await over
  })
  return { consumer, received }
}

/** Simple consumers (5.x) in one group with Java's push consumer in pop mode. */
export function receivingSimply(cluster: () => Cluster): void {
  test('our simple consumer and a Java consumer in pop mode share messages without loss or duplicates', {
    timeout: 120_000,
  }, async t => {
    const topic = await cluster().topic('simple', 8)
    const group = unique('group')
    await cluster().java.setPop(cluster().broker.address, topic, group)
    const java = await cluster().java.consume(t, { group, subscriptions: { [topic]: '*' }, brokerAssigns: true })
    const ours = await receiving(t, cluster(), group, topic)
    const sent: string[] = []
    const received = () => [...java.received.texts, ...ours.received.texts].toSorted()
    // Chance decides which of them gets a message; sooner or later each has some.
    while (
      sent.length < 800 &&
      (java.received.all.length === 0 || ours.received.all.length === 0 || sent.length < 80)
    ) {
      const bodies = Array.from({ length: 20 }, (_, i) => String(1000 + sent.length + i))
      await cluster().java.send(bodies.map(body => ({ topic, body })))
      sent.push(...bodies)
      await eventually(async () => assert.deepEqual(received(), sent), 45_000)
    }
    assert.ok(java.received.all.length > 0 && ours.received.all.length > 0, 'both received messages')
  })

  test('a message that our consumer releases arrives at another member', { timeout: 120_000 }, async t => {
    const topic = await cluster().topic('simple', 2)
    const group = unique('group')
    await cluster().java.setPop(cluster().broker.address, topic, group)
    const keeper = await receiving(t, cluster(), group, topic, message => {
      // Long enough for the consumer to close: until then it pops.
      message.changeInvisible(5_000).catch(() => {})
      return true
    })
    const [receipt] = await cluster().java.send([{ topic, body: 'released' }])
    await keeper.received.atLeast(1)
    await keeper.consumer.close()
    const java = await cluster().java.consume(t, { group, subscriptions: { [topic]: '*' }, brokerAssigns: true })
    const [received] = await java.received.atLeast(1, 60_000)
    assert.deepEqual(
      [received?.text, received?.messageId, received?.reconsumeTimes],
      ['released', receipt?.messageId, 1],
    )
  })

  test('messages that were acknowledged in a batch do not arrive again', { timeout: 90_000 }, async t => {
    const topic = await cluster().topic('simple', 2)
    const group = unique('group')
    const options = { nameServers: cluster().nameServers, consumeFrom: 'first', invisibleMs: 3_000 } as const
    const consumer = await SimpleConsumer.start({ ...options, group, subscriptions: { [topic]: '*' } })
    t.after(() => consumer.close())
    await cluster().java.send(Array.from({ length: 12 }, (_, i) => ({ topic, body: String(i) })))
    const texts: string[] = []
    const take = async (waitMs: number) => {
      const messages = await consumer.receive({ waitMs, max: 8 })
      texts.push(...messages.map(message => message.body.toString()))
      await consumer.ack(messages)
    }
    for (let i = 0; i < 20 && texts.length < 12; i++) await take(5_000)
    // Longer than their invisible time.
    await take(6_000)
    assert.equal(new Set(texts).size, 12)
    assert.equal(texts.length, 12)
  })
}
