import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PushConsumer, SimpleConsumer, type SimpleMessage } from '@gantrymq/client'
import { Arrivals } from '../drivers/arrivals.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import type { Owner } from '../launch/launched.ts'

/** `for await` with `ack` and `retry`, of messages that Java sends. */
export function iterating(cluster: () => Cluster): void {
  test('what is acknowledged does not come again, what is to be tried again does', { timeout: 90_000 }, async t => {
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
    // Java goes on behind it.
    const java = await cluster().java.consume(t, { group, subscriptions: { [topic]: '*' } })
    await cluster().java.send([{ topic, body: 'next' }])
    await java.received.containing(['next'])
    assert.deepEqual(java.received.texts, ['next'])
  })

  test('what is given up at once is among the dead letters, which Java reads', { timeout: 90_000 }, async t => {
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
    const undertaker = await cluster().java.consume(t, { group: unique('undertaker'), subscriptions: { [dead]: '*' } })
    const [received] = await undertaker.received.atLeast(1)
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

/** A simple consumer of ours that acknowledges all that it is not told to keep. */
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

/** Simple consumers (5.x) and Java's push consumer, which pops, in one group. */
export function receivingSimply(cluster: () => Cluster): void {
  test('ours and a popping one of Java share without loss or double', { timeout: 120_000 }, async t => {
    const topic = await cluster().topic('simple', 8)
    const group = unique('group')
    await cluster().java.setPop(cluster().broker.address, topic, group)
    const java = await cluster().java.consume(t, { group, subscriptions: { [topic]: '*' }, brokerAssigns: true })
    const ours = await receiving(t, cluster(), group, topic)
    const sent: string[] = []
    const came = () => [...java.received.texts, ...ours.received.texts].toSorted()
    // Who gets what is up to chance; sooner or later both have something.
    while (
      sent.length < 800 &&
      (java.received.all.length === 0 || ours.received.all.length === 0 || sent.length < 80)
    ) {
      const bodies = Array.from({ length: 20 }, (_, i) => String(1000 + sent.length + i))
      await cluster().java.send(bodies.map(body => ({ topic, body })))
      sent.push(...bodies)
      await eventually(async () => assert.deepEqual(came(), sent), 45_000)
    }
    assert.ok(java.received.all.length > 0 && ours.received.all.length > 0, 'both took part')
  })

  test('what ours lets go, comes to another of the group', { timeout: 120_000 }, async t => {
    const topic = await cluster().topic('simple', 2)
    const group = unique('group')
    await cluster().java.setPop(cluster().broker.address, topic, group)
    const keeper = await receiving(t, cluster(), group, topic, message => {
      message.changeInvisible(1_000).catch(() => {})
      return true
    })
    const [receipt] = await cluster().java.send([{ topic, body: 'let go' }])
    await keeper.received.atLeast(1)
    await keeper.consumer.close()
    const java = await cluster().java.consume(t, { group, subscriptions: { [topic]: '*' }, brokerAssigns: true })
    const [received] = await java.received.atLeast(1, 60_000)
    assert.deepEqual([received?.text, received?.messageId, received?.reconsumeTimes], ['let go', receipt?.messageId, 1])
  })

  test('a receipt that was acknowledged at once or in a batch ends it', { timeout: 90_000 }, async t => {
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
    // Longer than they would have been hidden.
    await take(6_000)
    assert.equal(new Set(texts).size, 12)
    assert.equal(texts.length, 12)
  })
}
