import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Admin } from '@gantrymq/client'
import type { MessageToSend, ClientUnderTest } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'

/** Which client sends and which receives. */
export interface Direction {
  readonly name: string
  readonly sender: (cluster: Cluster) => ClientUnderTest
  readonly receiver: (cluster: Cluster) => ClientUnderTest
}

const ours = (cluster: Cluster): ClientUnderTest => cluster.ours
const java = (cluster: Cluster): ClientUnderTest => cluster.java

/** Java with itself comes first: what fails there is not a fault of our client. */
export const directions: readonly Direction[] = [
  { name: 'Java to Java', sender: java, receiver: java },
  { name: 'ours to Java', sender: ours, receiver: java },
  { name: 'Java to ours', sender: java, receiver: ours },
  { name: 'ours to ours', sender: ours, receiver: ours },
]

const bodies = (messages: readonly MessageToSend[]) => messages.map(message => String(message.body))

/** Messages arrive as they were sent, however they were sent. */
export function sending(cluster: () => Cluster, { sender, receiver }: Direction): void {
  test('body, tag, keys, properties, flag and id arrive as they were sent', async t => {
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const body = 'grüße, 世界 \u{1f600}'
    const properties = { colour: 'grün', empty_like: '0', 'with blank': 'a b' }
    const message = { topic, body, tags: 'paid', keys: ['k1', 'k2'], properties, flag: 7 }
    const [receipt] = await sender(cluster()).send([message])
    await consumer.received.atLeast(1)
    const received = consumer.received.find(body) ?? assert.fail('another body')
    assert.equal(receipt?.status, 'SEND_OK')
    assert.deepEqual([received.topic, received.tags, received.keys, received.flag], [topic, 'paid', 'k1 k2', 7])
    for (const [name, value] of Object.entries(properties)) assert.equal(received.properties[name], value)
    assert.deepEqual([received.messageId, received.offsetMessageId], [receipt.messageId, receipt.offsetMessageId])
    assert.deepEqual([received.queueId, received.queueOffset], [receipt.queue.queueId, receipt.queueOffset])
    assert.ok(received.bornTimestamp > 0 && Math.abs(received.storeTimestamp - received.bornTimestamp) < 10_000)
  })

  test('a binary body arrives unchanged', async t => {
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const body = randomBytes(3_000)
    await sender(cluster()).send([{ topic, body }])
    const [received] = await consumer.received.atLeast(1)
    assert.deepEqual(received?.body, body)
  })

  test('messages sent concurrently, one-way or as a batch arrive once each', async t => {
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const all = (['async', 'oneway', 'batch'] as const).map(mode => {
      const messages = Array.from({ length: 20 }, (_, i) => ({ topic, body: `${mode} ${i}`, tags: mode }))
      return { mode, messages }
    })
    for (const { mode, messages } of all) await sender(cluster()).send(messages, { mode })
    await consumer.received.atLeast(60)
    assert.deepEqual(consumer.received.texts.toSorted(), all.flatMap(({ messages }) => bodies(messages)).toSorted())
  })

  test('single sends that the client combines into batches arrive once each, with their ids', async t => {
    const client = sender(cluster())
    if (client.name === 'Java' && !cluster().isJava5) return t.skip('the Java client has automatic batches since 5.x')
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const messages = Array.from({ length: 20 }, (_, i) => ({ topic, body: String(i), keys: [`key-${i}`] }))
    const producer = { group: unique('producer'), autoBatch: true }
    const receipts = await client.send(messages, { producer, mode: 'async' })
    await consumer.received.atLeast(20)
    assert.deepEqual(consumer.received.texts.toSorted(), bodies(messages).toSorted())
    // Java gives each sender the ids of the whole batch.
    const reported = new Set(receipts.flatMap(({ messageId }) => messageId.split(',')))
    for (const { messageId } of consumer.received.all) assert.ok(reported.has(messageId), `no receipt has ${messageId}`)
  })

  test('the second port of the broker accepts messages too', async t => {
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await sender(cluster()).send([{ topic, body: 'fast' }], { producer: { group: unique('producer'), vip: true } })
    await consumer.received.containing(['fast'])
  })

  test('a message for a named queue is stored in that queue', async t => {
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const queue = { topic, brokerName: cluster().brokerName, queueId: 3 }
    const [receipt] = await sender(cluster()).send([{ topic, body: 'third' }], { queue })
    const [received] = await consumer.received.atLeast(1)
    assert.deepEqual([receipt?.queue.queueId, received?.queueId], [3, 3])
  })

  test('equal sharding keys go to one queue, in order, and to the queue that Java chooses', async t => {
    const topic = await cluster().topic('keyed', 8)
    const consumer = await receiver(cluster()).consume(t, {
      group: unique('group'),
      subscriptions: { [topic]: '*' },
      orderly: true,
    })
    const keys = ['order-1', 'order-2', '世界', 'polygenelubricants']
    for (const key of keys) {
      const messages = [1, 2, 3].map(number => ({ topic, body: `${key} ${number}` }))
      const receipts = await sender(cluster()).send(messages, { shardingKey: key })
      const [byJava] = await cluster().java.send([{ topic, body: `${key} 4` }], { shardingKey: key })
      const queues = [...receipts, byJava].map(receipt => receipt?.queue.queueId)
      assert.equal(new Set(queues).size, 1, `${key} is in queues ${queues.join()}`)
    }
    await consumer.received.atLeast(keys.length * 4)
    for (const key of keys) {
      const order = consumer.received.texts.filter(text => text.startsWith(`${key} `))
      assert.deepEqual(
        order,
        [1, 2, 3, 4].map(number => `${key} ${number}`),
      )
    }
  })

  test('a delayed message arrives after its delay', async t => {
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await sender(cluster()).send([{ topic, body: 'later', delayLevel: 2 }])
    const [received] = await consumer.received.atLeast(1)
    assert.ok(
      received && received.at - received.bornTimestamp >= 1_900,
      `after ${received && received.at - received.bornTimestamp} ms`,
    )
  })

  test('the client adds the namespace to names when it sends and removes it when it receives', async t => {
    const namespace = unique('MQ_INST_space')
    const topic = unique('inside')
    await cluster().createTopic(`${namespace}%${topic}`)
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' } }
    const inside = await receiver(cluster()).consume(t, { ...settings, namespace })
    const raw = await receiver(cluster()).consume(t, {
      group: unique('group'),
      subscriptions: { [`${namespace}%${topic}`]: '*' },
    })
    const producer = { namespace, group: unique('producer') }
    const [receipt] = await sender(cluster()).send([{ topic, body: 'spaced' }], { producer })
    await Promise.all([inside.received.atLeast(1), raw.received.atLeast(1)])
    assert.deepEqual(
      [receipt?.queue.topic, inside.received.all[0]?.topic, raw.received.all[0]?.topic],
      [topic, topic, `${namespace}%${topic}`],
    )
  })

  test('a send to a missing topic creates it', async t => {
    const topic = unique('made')
    await sender(cluster()).send([{ topic, body: 'first' }])
    await eventually(() => cluster().hasRoute(topic))
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await consumer.received.containing(['first'])
  })

  test('an operator finds a message by its ids and its key', async t => {
    const topic = await cluster().topic()
    const key = unique('key')
    const [receipt] = await sender(cluster()).send([{ topic, body: 'sought', keys: [key] }])
    const { messageId = '', offsetMessageId = '' } = receipt ?? {}
    // The broker writes its index a little later.
    await eventually(async () => {
      assert.equal((await cluster().java.viewMessage(topic, messageId)).text, 'sought')
      assert.equal((await cluster().java.viewMessage(topic, offsetMessageId)).text, 'sought')
      const found = await cluster().java.queryMessage(topic, key)
      assert.deepEqual(
        found.map(message => message.messageId),
        [messageId],
      )
    })
    const admin = await Admin.start({ nameServers: cluster().nameServers })
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

/** Each client reads what the other has compressed. */
export function compression(cluster: () => Cluster, { sender, receiver }: Direction): void {
  for (const compressType of ['ZLIB', 'LZ4', 'ZSTD'] as const) {
    test(`the receiver reads ${compressType}`, async t => {
      const topic = await cluster().topic()
      const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
      const producer = { group: unique('producer'), compressType, compressOver: 100 }
      const body = 'all work and no play '.repeat(500)
      await sender(cluster()).send([{ topic, body }], { producer })
      const [received] = await consumer.received.atLeast(1)
      assert.equal(received?.text, body)
      // The stored message is compressed, and its flags say how.
      const { sysFlag, storeSize } = await cluster().java.viewMessage(topic, received.offsetMessageId ?? '')
      assert.equal(sysFlag & TYPE_BITS, bitsOf[compressType])
      assert.ok(storeSize < body.length / 2, `it takes ${storeSize} bytes`)
    })
  }
}

/** Transactions end as their producer decides, at once or when the broker checks. */
export function transactions(cluster: () => Cluster, { sender, receiver }: Direction): void {
  test('a committed message arrives, a rolled back one does not, and the broker checks an unknown one', async t => {
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const group = unique('transactions')
    const send = (body: string, local: 'commit' | 'rollback' | 'unknown', check: 'commit' | 'rollback' | 'unknown') =>
      sender(cluster()).transaction({ topic, body, properties: { check } }, local, group)
    await send('never', 'rollback', 'commit')
    await send('asked: no', 'unknown', 'rollback')
    await send('asked: yes', 'unknown', 'commit')
    await send('at once', 'commit', 'rollback')
    await consumer.received.containing(['at once', 'asked: yes'])
    // All checks are over before the broker stores the next message of this producer.
    await send('last', 'commit', 'rollback')
    await consumer.received.containing(['last'])
    assert.deepEqual(consumer.received.texts.toSorted(), ['asked: yes', 'at once', 'last'])
  })

  test('the receipt of a transaction has the id of the message that arrives', async t => {
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const receipt = await sender(cluster()).transaction({ topic, body: 'x' }, 'commit', unique('transactions'))
    const [received] = await consumer.received.atLeast(1)
    assert.equal(received?.messageId, receipt.messageId)
  })
}

/** Requests and replies. */
export function requests(cluster: () => Cluster, { sender, receiver }: Direction): void {
  test('a request gets a reply from its consumer', async t => {
    const topic = await cluster().topic()
    await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' }, reply: true })
    const group = unique('asking')
    assert.equal(await sender(cluster()).request({ topic, body: 'ping' }, group), 'reply to ping')
    assert.equal(await sender(cluster()).request({ topic, body: 'pong' }, group), 'reply to pong')
  })
}

/** Timer messages, which only brokers of 5.x have. */
export function timers(cluster: () => Cluster, { sender, receiver }: Direction): void {
  test('a timer message arrives at its time', async t => {
    const topic = await cluster().topic()
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const before = Date.now()
    await sender(cluster()).send([{ topic, body: 'tick', delayMs: 1_500 }])
    const [received] = await consumer.received.atLeast(1)
    assert.ok(received && received.at - before >= 1_400, `after ${received && received.at - before} ms`)
  })

  test('a recalled timer message does not arrive', async t => {
    const topic = await cluster().topic('recalled', 1)
    const consumer = await receiver(cluster()).consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const [receipt] = await sender(cluster()).send([{ topic, body: 'recalled', delayMs: 4_000 }])
    await sender(cluster()).recall(topic, receipt?.recallHandle ?? assert.fail('no recall handle'))
    await sender(cluster()).send([{ topic, body: 'kept', delayMs: 4_500 }])
    await consumer.received.containing(['kept'])
    assert.deepEqual(consumer.received.texts, ['kept'])
  })
}
