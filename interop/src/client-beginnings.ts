import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Admin } from '@gantrymq/client'
import type { ConsumerSettings, Outgoing, Queue, Side } from './client-side.ts'
import type { Site } from './client-sites.ts'
import { eventually, unique } from './contract/stage.ts'
import type { LaunchedServer } from './launcher.ts'
import { ask } from './raw-connection.ts'

const SECOND = 1_000
/** Brokers of 4.9 take the message that is nearest to a time, so it must be far from those before. */
const APART_MS = 4 * SECOND
const SYNCED_MS = 40_000
const CONSUMED_MS = 45_000
const GET_MAX_OFFSET = 30

const queueOf = (site: Site, topic: string): Queue => ({ topic, brokerName: site.brokerName, queueId: 0 })

/** Of a group that is new, and of queues whose oldest message the broker of 4.9 does not count as young. */
export function beginnings(the: () => Site, side: (site: Site) => Side): void {
  test('a new group begins at the first message, at the last, or at a time', { timeout: 120_000 }, async t => {
    const topic = await the().topic('begun', 1)
    await the().java.send(['one', 'two'].map(body => ({ topic, body })))
    const fromTime = (Math.ceil((Date.now() + APART_MS) / SECOND) + 1) * SECOND
    await delay(fromTime + 100 - Date.now())
    await the().java.send([{ topic, body: 'three' }])
    const consume = (from: Partial<ConsumerSettings>) =>
      side(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' }, ...from })
    const first = await consume({ from: 'first' })
    const last = await consume({ from: 'last' })
    const time = await consume({ from: 'time', fromTime })
    await first.got.count(3, CONSUMED_MS)
    await time.got.count(the().is5 ? 3 : 1, CONSUMED_MS)
    // Where `last` begins is known when it holds the queue.
    await eventually(async () => assert.ok((await last.queues()).some(queue => queue.topic === topic)), CONSUMED_MS)
    await the().java.send([{ topic, body: 'four' }], { queue: queueOf(the(), topic) })
    for (const { got } of [first, last, time]) await got.texted(['four'], CONSUMED_MS)
    // Brokers of 5.x let a new group begin with a queue's first message as long as that is in memory, whatever it asks for.
    const all = ['four', 'one', 'three', 'two']
    assert.deepEqual(
      [first, last, time].map(({ got }) => got.texts.toSorted()),
      the().is5 ? [all, all, all] : [all, ['four'], ['four', 'three']],
    )
  })
}

/** Where the queue ends at a broker, whatever it knows of the topic. */
async function maxOffset({ port }: LaunchedServer, topic: string): Promise<number> {
  const { code, extFields } = await ask(port, { code: GET_MAX_OFFSET, extFields: { topic, queueId: '0' } })
  return code === 0 ? Number(extFields?.['offset']) : -1
}

/** Messages that only the slave can hand out, as its master is away. Ends with a master that is back. */
export function reading(the: () => Site, slave: () => LaunchedServer): void {
  test('without a master, its slave is read by both', { timeout: 240_000 }, async t => {
    const topic = await the().topic('kept', 1)
    const messages: Outgoing[] = Array.from({ length: 20 }, (_, i) => ({ topic, body: String(i) }))
    const group = unique('group')
    const early = await the().ours.consume(t, { group, subscriptions: { [topic]: '*' } })
    await the().java.send(messages)
    await early.got.count(20)
    const admin = await Admin.start({ nameServers: the().nameServers })
    t.after(() => admin.close())
    // It gets messages at once, but asks for topics every ten seconds only.
    await eventually(() => admin.topics.config(topic, { broker: slave().address }), SYNCED_MS)
    await eventually(async () => assert.equal(await maxOffset(slave(), topic), 20), SYNCED_MS)
    await the().broker.kill()
    try {
      for (const side of [the().ours, the().java]) {
        const consumer = await side.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
        await consumer.got.count(20, CONSUMED_MS)
        assert.equal(new Set(consumer.got.texts).size, 20, side.name)
      }
    } finally {
      await the().broker.restart()
    }
    const [again] = await the().ours.send([{ topic, body: 'back' }])
    assert.equal(again?.status, 'SEND_OK')
    await early.got.texted(['back'], 90_000)
    assert.equal(early.got.all.length, 21, 'nothing came twice')
  })
}
