import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PushConsumer, SimpleConsumer, type SimpleMessage } from '@gantrymq/client'
import { Arrivals } from '../drivers/arrivals.ts'
import type { Site } from './cluster.ts'
import { eventually, unique } from '../contract/server-under-test.ts'
import type { Owner } from '../launch/launched.ts'

/** `for await` with `ack` and `retry`, of messages that Java sends. */
export function iterating(the: () => Site): void {
  test('what is acknowledged does not come again, what is to be tried again does', { timeout: 90_000 }, async t => {
    const topic = await the().topic()
    const group = unique('group')
    await the().createTopic(`%RETRY%${group}`, 1)
    const consumer = await iterated(t, the(), group, topic)
    await the().java.send(['good', 'bad', 'also good'].map(body => ({ topic, body })))
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
    const java = await the().java.consume(t, { group, subscriptions: { [topic]: '*' } })
    await the().java.send([{ topic, body: 'next' }])
    await java.got.texted(['next'])
    assert.deepEqual(java.got.texts, ['next'])
  })

  test('what is given up at once is among the dead letters, which Java reads', { timeout: 90_000 }, async t => {
    const topic = await the().topic()
    const group = unique('group')
    const consumer = await iterated(t, the(), group, topic)
    const [receipt] = await the().java.send([{ topic, body: 'hopeless' }])
    for await (const message of consumer) {
      await message.retry({ delayLevel: -1 })
      break
    }
    const dead = `%DLQ%${group}`
    await eventually(() => the().hasRoute(dead), 15_000)
    await the().createTopic(dead, 1)
    const undertaker = await the().java.consume(t, { group: unique('undertaker'), subscriptions: { [dead]: '*' } })
    const [got] = await undertaker.got.count(1)
    assert.deepEqual([got?.text, got?.properties['ORIGIN_MESSAGE_ID']], ['hopeless', receipt?.offsetMessageId])
  })
}

async function iterated(t: Owner, site: Site, group: string, topic: string): Promise<PushConsumer> {
  const options = { nameServers: site.nameServers, routeRefreshMs: 1_000, consumeFrom: 'first' } as const
  const consumer = await PushConsumer.start({ ...options, group, subscriptions: { [topic]: '*' } })
  t.after(() => consumer.close())
  return consumer
}

interface Receiving {
  readonly consumer: SimpleConsumer
  readonly got: Arrivals<{ readonly text: string; readonly reconsumeTimes: number; readonly messageId: string }>
}

/** A simple consumer of ours that acknowledges all that it is not told to keep. */
async function receiving(
  t: Owner,
  site: Site,
  group: string,
  topic: string,
  isKept: (message: SimpleMessage) => boolean = () => false,
): Promise<Receiving> {
  const options = { nameServers: site.nameServers, routeRefreshMs: 1_000, consumeFrom: 'first' } as const
  const times = { maxMessages: 4, waitMs: 2_000, invisibleMs: 10_000 }
  const consumer = await SimpleConsumer.start({ ...options, ...times, group, subscriptions: { [topic]: '*' } })
  t.after(() => consumer.close())
  const got: Receiving['got'] = new Arrivals('our simple consumer')
  const loop = async () => {
    for await (const message of consumer) {
      const { reconsumeTimes, messageId } = message
      const kept = isKept(message)
      got.add({ text: message.body.toString(), reconsumeTimes, messageId })
      if (!kept) await message.ack()
    }
  }
  const over = loop().catch((error: unknown) => got.add({ text: String(error), reconsumeTimes: -1, messageId: '' }))
  t.after(async () => {
    await consumer.close()
    await over
  })
  return { consumer, got }
}

/** Simple consumers (5.x) and Java's push consumer, which pops, in one group. */
export function receivingSimply(the: () => Site): void {
  test('ours and a popping one of Java share without loss or double', { timeout: 120_000 }, async t => {
    const topic = await the().topic('simple', 8)
    const group = unique('group')
    await the().java.setPop(the().broker.address, topic, group)
    const java = await the().java.consume(t, { group, subscriptions: { [topic]: '*' }, brokerAssigns: true })
    const ours = await receiving(t, the(), group, topic)
    const sent: string[] = []
    const came = () => [...java.got.texts, ...ours.got.texts].toSorted()
    // Who gets what is up to chance; sooner or later both have something.
    while (sent.length < 800 && (java.got.all.length === 0 || ours.got.all.length === 0 || sent.length < 80)) {
      const bodies = Array.from({ length: 20 }, (_, i) => String(1000 + sent.length + i))
      await the().java.send(bodies.map(body => ({ topic, body })))
      sent.push(...bodies)
      await eventually(async () => assert.deepEqual(came(), sent), 45_000)
    }
    assert.ok(java.got.all.length > 0 && ours.got.all.length > 0, 'both took part')
  })

  test('what ours lets go, comes to another of the group', { timeout: 120_000 }, async t => {
    const topic = await the().topic('simple', 2)
    const group = unique('group')
    await the().java.setPop(the().broker.address, topic, group)
    const keeper = await receiving(t, the(), group, topic, message => {
      message.changeInvisible(1_000).catch(() => {})
      return true
    })
    const [receipt] = await the().java.send([{ topic, body: 'let go' }])
    await keeper.got.count(1)
    await keeper.consumer.close()
    const java = await the().java.consume(t, { group, subscriptions: { [topic]: '*' }, brokerAssigns: true })
    const [got] = await java.got.count(1, 60_000)
    assert.deepEqual([got?.text, got?.messageId, got?.reconsumeTimes], ['let go', receipt?.messageId, 1])
  })

  test('a receipt that was acknowledged at once or in a batch ends it', { timeout: 90_000 }, async t => {
    const topic = await the().topic('simple', 2)
    const group = unique('group')
    const options = { nameServers: the().nameServers, consumeFrom: 'first', invisibleMs: 3_000 } as const
    const consumer = await SimpleConsumer.start({ ...options, group, subscriptions: { [topic]: '*' } })
    t.after(() => consumer.close())
    await the().java.send(Array.from({ length: 12 }, (_, i) => ({ topic, body: String(i) })))
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
