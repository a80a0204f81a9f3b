import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Admin } from '@gantrymq/client'
import type { Outgoing, Side } from '../drivers/client-under-test.ts'
import type { Site } from './cluster.ts'
import { eventually, unique } from '../contract/server-under-test.ts'

/** Which client sends and which receives. */
export interface Way {
  readonly name: string
  readonly sender: (site: Site) => Side
  readonly receiver: (site: Site) => Side
}

const ours = (site: Site): Side => site.ours
const java = (site: Site): Side => site.java

/** Java with itself comes first: what fails there is not our client's fault. */
export const ways: readonly Way[] = [
  { name: 'Java to Java', sender: java, receiver: java },
  { name: 'ours to Java', sender: ours, receiver: java },
  { name: 'Java to ours', sender: java, receiver: ours },
  { name: 'ours to ours', sender: ours, receiver: ours },
]

const bodies = (messages: readonly Outgoing[]) => messages.map(message => String(message.body))

/** Messages of every manner arrive as they were sent. */
export function sending(the: () => Site, { sender, receiver }: Way): void {
  test('body, tag, keys, properties, flag and id arrive as they were sent', async t => {
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const body = 'grüße, 世界 \u{1f600}'
    const properties = { colour: 'grün', empty_like: '0', 'with blank': 'a b' }
    const message = { topic, body, tags: 'paid', keys: ['k1', 'k2'], properties, flag: 7 }
    const [receipt] = await sender(the()).send([message])
    await consumer.got.count(1)
    const got = consumer.got.find(body) ?? assert.fail('another body')
    assert.equal(receipt?.status, 'SEND_OK')
    assert.deepEqual([got.topic, got.tags, got.keys, got.flag], [topic, 'paid', 'k1 k2', 7])
    for (const [name, value] of Object.entries(properties)) assert.equal(got.properties[name], value)
    assert.deepEqual([got.messageId, got.offsetMessageId], [receipt.messageId, receipt.offsetMessageId])
    assert.deepEqual([got.queueId, got.queueOffset], [receipt.queue.queueId, receipt.queueOffset])
    assert.ok(got.bornTimestamp > 0 && Math.abs(got.storeTimestamp - got.bornTimestamp) < 10_000)
  })

  test('bytes that are no text arrive unchanged', async t => {
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const body = randomBytes(3_000)
    await sender(the()).send([{ topic, body }])
    const [got] = await consumer.got.count(1)
    assert.deepEqual(got?.body, body)
  })

  test('many at once, oneway and as a batch: each arrives once', async t => {
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const all = (['async', 'oneway', 'batch'] as const).map(mode => {
      const messages = Array.from({ length: 20 }, (_, i) => ({ topic, body: `${mode} ${i}`, tags: mode }))
      return { mode, messages }
    })
    for (const { mode, messages } of all) await sender(the()).send(messages, { mode })
    await consumer.got.count(60)
    assert.deepEqual(consumer.got.texts.toSorted(), all.flatMap(({ messages }) => bodies(messages)).toSorted())
  })

  test('single sends that are batched on their own arrive once each, with their ids', async t => {
    const side = sender(the())
    if (side.name === 'Java' && !the().is5) return t.skip('the Java client has it since 5.x')
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const messages = Array.from({ length: 20 }, (_, i) => ({ topic, body: String(i), keys: [`key-${i}`] }))
    const producer = { group: unique('producer'), autoBatch: true }
    const receipts = await side.send(messages, { producer, mode: 'async' })
    await consumer.got.count(20)
    assert.deepEqual(consumer.got.texts.toSorted(), bodies(messages).toSorted())
    // Java tells each sender the ids of the whole batch.
    const told = new Set(receipts.flatMap(({ messageId }) => messageId.split(',')))
    for (const { messageId } of consumer.got.all) assert.ok(told.has(messageId), `${messageId} was not told`)
  })

  test('the second port of the broker takes messages too', async t => {
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await sender(the()).send([{ topic, body: 'fast' }], { producer: { group: unique('producer'), vip: true } })
    await consumer.got.texted(['fast'])
  })

  test('a message to a named queue is in that queue', async t => {
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const queue = { topic, brokerName: the().brokerName, queueId: 3 }
    const [receipt] = await sender(the()).send([{ topic, body: 'third' }], { queue })
    const [got] = await consumer.got.count(1)
    assert.deepEqual([receipt?.queue.queueId, got?.queueId], [3, 3])
  })

  test('equal keys go to one queue, in order, and to the queue that Java takes', async t => {
    const topic = await the().topic('keyed', 8)
    const consumer = await receiver(the()).consume(t, {
      group: unique('group'),
      subscriptions: { [topic]: '*' },
      orderly: true,
    })
    const keys = ['order-1', 'order-2', '世界', 'polygenelubricants']
    for (const key of keys) {
      const messages = [1, 2, 3].map(number => ({ topic, body: `${key} ${number}` }))
      const receipts = await sender(the()).send(messages, { shardingKey: key })
      const [byJava] = await the().java.send([{ topic, body: `${key} 4` }], { shardingKey: key })
      const queues = [...receipts, byJava].map(receipt => receipt?.queue.queueId)
      assert.equal(new Set(queues).size, 1, `${key} is in queues ${queues.join()}`)
    }
    await consumer.got.count(keys.length * 4)
    for (const key of keys) {
      const order = consumer.got.texts.filter(text => text.startsWith(`${key} `))
      assert.deepEqual(
        order,
        [1, 2, 3, 4].map(number => `${key} ${number}`),
      )
    }
  })

  test('a delayed message comes after its time', async t => {
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await sender(the()).send([{ topic, body: 'later', delayLevel: 2 }])
    const [got] = await consumer.got.count(1)
    assert.ok(got && got.at - got.bornTimestamp >= 1_900, `after ${got && got.at - got.bornTimestamp} ms`)
  })

  test('a namespace is put before names on the way and taken off again', async t => {
    const namespace = unique('MQ_INST_space')
    const topic = unique('inside')
    await the().createTopic(`${namespace}%${topic}`)
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' } }
    const inside = await receiver(the()).consume(t, { ...settings, namespace })
    const raw = await receiver(the()).consume(t, {
      group: unique('group'),
      subscriptions: { [`${namespace}%${topic}`]: '*' },
    })
    const producer = { namespace, group: unique('producer') }
    const [receipt] = await sender(the()).send([{ topic, body: 'spaced' }], { producer })
    await Promise.all([inside.got.count(1), raw.got.count(1)])
    assert.deepEqual(
      [receipt?.queue.topic, inside.got.all[0]?.topic, raw.got.all[0]?.topic],
      [topic, topic, `${namespace}%${topic}`],
    )
  })

  test('a topic that is not there is made by sending to it', async t => {
    const topic = unique('made')
    await sender(the()).send([{ topic, body: 'first' }])
    await eventually(() => the().hasRoute(topic))
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await consumer.got.texted(['first'])
  })

  test('a message is found by its ids and its key', async t => {
    const topic = await the().topic()
    const key = unique('key')
    const [receipt] = await sender(the()).send([{ topic, body: 'sought', keys: [key] }])
    const { messageId = '', offsetMessageId = '' } = receipt ?? {}
    // The broker writes its index a little later.
    await eventually(async () => {
      assert.equal((await the().java.viewMessage(topic, messageId)).text, 'sought')
      assert.equal((await the().java.viewMessage(topic, offsetMessageId)).text, 'sought')
      const found = await the().java.queryMessage(topic, key)
      assert.deepEqual(
        found.map(message => message.messageId),
        [messageId],
      )
    })
    const admin = await Admin.start({ nameServers: the().nameServers })
    t.after(() => admin.close())
    for (const id of [messageId, offsetMessageId]) {
      const found = await admin.messages.byId(topic, id)
      assert.deepEqual(
        [found?.body.toString(), found?.messageId, found?.offsetMessageId],
        ['sought', messageId, offsetMessageId],
      )
    }
    assert.deepEqual(
      (await admin.messages.byKey(topic, key)).map(found => found.messageId),
      [messageId],
    )
  })
}

const TYPE_BITS = 0x700
const bitsOf = { LZ4: 0x100, ZSTD: 0x200, ZLIB: 0x300 } as const

/** Each kind of compression is understood across. */
export function compression(the: () => Site, { sender, receiver }: Way): void {
  for (const compressType of ['ZLIB', 'LZ4', 'ZSTD'] as const) {
    test(`${compressType} is read by the other`, async t => {
      const topic = await the().topic()
      const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
      const producer = { group: unique('producer'), compressType, compressOver: 100 }
      const body = 'all work and no play '.repeat(500)
      await sender(the()).send([{ topic, body }], { producer })
      const [got] = await consumer.got.count(1)
      assert.equal(got?.text, body)
      // It was compressed indeed, and says how.
      const { sysFlag, storeSize } = await the().java.viewMessage(topic, got.offsetMessageId ?? '')
      assert.equal(sysFlag & TYPE_BITS, bitsOf[compressType])
      assert.ok(storeSize < body.length / 2, `it takes ${storeSize} bytes`)
    })
  }
}

/** Transactions end as their producer says, at once or when it is asked. */
export function transactions(the: () => Site, { sender, receiver }: Way): void {
  test('a committed message comes, one rolled back does not, one unknown is asked about', async t => {
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const group = unique('transactions')
    const send = (body: string, local: 'commit' | 'rollback' | 'unknown', check: 'commit' | 'rollback' | 'unknown') =>
      sender(the()).transaction({ topic, body, properties: { check } }, local, group)
    await send('never', 'rollback', 'commit')
    await send('asked: no', 'unknown', 'rollback')
    await send('asked: yes', 'unknown', 'commit')
    await send('at once', 'commit', 'rollback')
    await consumer.got.texted(['at once', 'asked: yes'])
    // Each check-back is over before the next message of this producer is stored and seen.
    await send('last', 'commit', 'rollback')
    await consumer.got.texted(['last'])
    assert.deepEqual(consumer.got.texts.toSorted(), ['asked: yes', 'at once', 'last'])
  })

  test('the receipt of a transaction has the id of the message that comes', async t => {
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const receipt = await sender(the()).transaction({ topic, body: 'x' }, 'commit', unique('transactions'))
    const [got] = await consumer.got.count(1)
    assert.equal(got?.messageId, receipt.messageId)
  })
}

/** Requests and replies. */
export function requests(the: () => Site, { sender, receiver }: Way): void {
  test('a request is answered by who consumes it', async t => {
    const topic = await the().topic()
    await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' }, reply: true })
    const group = unique('asking')
    assert.equal(await sender(the()).request({ topic, body: 'ping' }, group), 'reply to ping')
    assert.equal(await sender(the()).request({ topic, body: 'pong' }, group), 'reply to pong')
  })
}

/** What only brokers of 5.x have. */
export function timers(the: () => Site, { sender, receiver }: Way): void {
  test('a timer message comes at its time', async t => {
    const topic = await the().topic()
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const before = Date.now()
    await sender(the()).send([{ topic, body: 'tick', delayMs: 1_500 }])
    const [got] = await consumer.got.count(1)
    assert.ok(got && got.at - before >= 1_400, `after ${got && got.at - before} ms`)
  })

  test('a timer message that is recalled does not come', async t => {
    const topic = await the().topic('recalled', 1)
    const consumer = await receiver(the()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const [receipt] = await sender(the()).send([{ topic, body: 'recalled', delayMs: 4_000 }])
    await sender(the()).send([{ topic, body: 'kept', delayMs: 5_000 }])
    await sender(the()).recall(topic, receipt?.recallHandle ?? assert.fail('no recall handle'))
    await consumer.got.texted(['kept'])
    assert.deepEqual(consumer.got.texts, ['kept'])
  })
}
