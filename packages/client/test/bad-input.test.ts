import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { tracingChannel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { deflateSync } from 'node:zlib'
import { responseCodes } from '@gantrymq/protocol'
import type { LogEntry } from '@gantrymq/testkit'
import { PushConsumer } from '../src/consumer/push-consumer.ts'
import { ClientError } from '../src/errors.ts'
import { Producer } from '../src/producer/producer.ts'
import { scene, TOPIC } from './survival-scene.ts'

/** What callers without types may hand over. */
const ODD: readonly unknown[] = [
  null,
  0,
  -1,
  1.5,
  Number.NaN,
  true,
  '',
  ' ',
  'a b',
  'a\u0001b',
  'x'.repeat(300),
  '../../etc',
  'ü',
  Symbol('s'),
  10n,
  () => 1,
  [],
  [1],
  {},
  new Date(Number.NaN),
  Object.create(null),
]

/** What a call ended with, whether it threw or rejected. */
async function endOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call()
  } catch (error) {
    return error
  }
}

/** An odd value is refused with a sentence, or taken: anything but a mistake of our own code. */
function assertRefusedOrTaken(end: unknown, what: string): void {
  if (end instanceof Error) assert.ok(end instanceof ClientError, `${what}: ${end.stack}`)
}

const MESSAGE_FIELDS = [
  'topic',
  'body',
  'tags',
  'keys',
  'properties',
  'flag',
  'delayLevel',
  'delayMs',
  'deliverAt',
  'shardingKey',
  'waitStored',
  'checkImmunitySeconds',
]

for (const traced of [false, true]) {
  const how = traced ? ' while somebody listens to the diagnostics channel' : ''
  test(`odd messages are refused, never with a TypeError, and the producer lives on${how}`, async t => {
    if (traced) {
      const channel = tracingChannel('gantrymq:client:send')
      const subscribers = { start() {}, end() {}, asyncStart() {}, asyncEnd() {}, error() {} }
      channel.subscribe(subscribers)
      t.after(() => channel.unsubscribe(subscribers))
    }
    await oddMessages(t)
  })
}

async function oddMessages(t: TestContext): Promise<void> {
  const scenery = await scene(t)
  const { cluster } = scenery
  const producer = await scenery.producer()
  for (const odd of ODD) {
    for (const field of MESSAGE_FIELDS) {
      const message = { topic: TOPIC, body: 'x', [field]: odd } as never
      const what = `${field}: ${inspect(odd)}`
      assertRefusedOrTaken(await cluster.outcome(endOf(() => producer.send(message, { timeoutMs: 500 }))), what)
      assertRefusedOrTaken(await cluster.outcome(endOf(() => producer.sendOneway(message, { timeoutMs: 500 }))), what)
      assertRefusedOrTaken(await cluster.outcome(endOf(() => producer.sendBatch([message], { timeoutMs: 500 }))), what)
    }
    const whole = odd as never
    assertRefusedOrTaken(await cluster.outcome(endOf(() => producer.send(whole))), `send(${typeof odd})`)
    assertRefusedOrTaken(await cluster.outcome(endOf(() => producer.sendOneway(whole))), `sendOneway(${typeof odd})`)
    assertRefusedOrTaken(await cluster.outcome(endOf(() => producer.sendBatch(whole))), `sendBatch(${typeof odd})`)
    assertRefusedOrTaken(await cluster.outcome(endOf(() => producer.sendBatch([whole]))), `sendBatch([${typeof odd}])`)
  }
  const end = await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: 'good' })))
  assert.equal((end as { status?: string }).status, 'SEND_OK')
}

test('odd options of a send are refused or taken, and no send hangs for them', async t => {
  const scenery = await scene(t)
  const { cluster } = scenery
  const producer = await scenery.producer()
  for (const odd of ODD) {
    for (const field of ['queue', 'hashKey', 'selector', 'timeoutMs', 'signal']) {
      const what = `${field}: ${inspect(odd)}`
      const options = { [field]: odd } as never
      assertRefusedOrTaken(
        await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: 'x' }, options))),
        what,
      )
    }
    assertRefusedOrTaken(
      await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: 'x' }, odd as never))),
      `options ${typeof odd}`,
    )
  }
})

const OPTIONS = [
  'group',
  'nameServers',
  'codec',
  'timeoutMs',
  'log',
  'clock',
  'tls',
  'credentials',
  'namespace',
  'retries',
]
const CONSUMER_OPTIONS = [
  ...OPTIONS,
  'subscriptions',
  'onMessage',
  'onMessages',
  'onQueues',
  'consumeFrom',
  'allocate',
  'concurrency',
  'batchSize',
]

test('odd options are refused by name when a client starts, and nothing of it stays behind', async t => {
  const scenery = await scene(t)
  const { cluster } = scenery
  for (const odd of ODD) {
    for (const field of OPTIONS) {
      const end = await cluster.outcome(endOf(() => Producer.start({ ...scenery.producerOptions(), [field]: odd })))
      assertRefusedOrTaken(end, `producer ${field}`)
      if (end instanceof Producer) await cluster.outcome(end.close())
    }
    for (const field of CONSUMER_OPTIONS) {
      const end = await cluster.outcome(endOf(() => PushConsumer.start({ ...scenery.consumerOptions(), [field]: odd })))
      assertRefusedOrTaken(end, `consumer ${field}: ${typeof odd}`)
      if (end instanceof PushConsumer) await cluster.outcome(end.close())
    }
    const subscriptions = { [TOPIC]: odd as string }
    const end = await cluster.outcome(endOf(() => PushConsumer.start({ ...scenery.consumerOptions(), subscriptions })))
    assertRefusedOrTaken(end, `subscription ${inspect(odd)}`)
    if (end instanceof PushConsumer) await cluster.outcome(end.close())
    const given = odd as never
    assertRefusedOrTaken(await cluster.outcome(endOf(() => Producer.start(given))), `Producer.start(${inspect(odd)})`)
    assertRefusedOrTaken(
      await cluster.outcome(endOf(() => PushConsumer.start(given))),
      `PushConsumer.start(${inspect(odd)})`,
    )
  }
  await cluster.assertNothingLeft()
})

test('a body that is too large is refused before it is sent, and the text says how large it may be', async t => {
  const scenery = await scene(t)
  const { cluster } = scenery
  const producer = await scenery.producer({ maxMessageSize: 1000 })
  const end = await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: Buffer.alloc(1001) })))
  assert.ok(end instanceof ClientError && end.code === 'MESSAGE_ILLEGAL' && end.message.includes('1000'))
  const properties = { a: 'x'.repeat(40_000) }
  const large = await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: 'x', properties })))
  assert.ok(large instanceof ClientError && large.code === 'MESSAGE_ILLEGAL')
  assert.equal(cluster.broker.server.requestsOf('SEND_MESSAGE_V2').length, 0)
})

const CODES = [...new Set([...Object.values(responseCodes), 3, 4, 99, 1234, 32_767, -1, -9999, 2 ** 31 - 1])]

test('whatever code a broker answers a send with, it ends with a receipt or an error that has the code', async t => {
  const scenery = await scene(t)
  const { cluster } = scenery
  const producer = await scenery.producer({ retries: 1 })
  for (const code of CODES) {
    const fault = cluster.broker.fault('SEND_MESSAGE_V2', {
      answer: 'code',
      code,
      times: Number.POSITIVE_INFINITY,
      handled: [0, 10, 11, 12].includes(code),
    })
    const end = await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: 'x' })))
    assert.ok(fault.met > 0)
    fault.lift()
    if (!(end instanceof Error)) {
      assert.ok([0, 10, 11, 12].includes(code), `code ${code} was taken for a success`)
      continue
    }
    assert.ok(end instanceof ClientError, `${code}: ${end.stack}`)
    // A broker that goes away (1500) is dialled anew, and that fails in its own words.
    if (code === responseCodes.GO_AWAY) continue
    assert.equal(end.responseCode, code)
    assert.ok(end.code === 'BROKER_REFUSED' || end.code === 'SEND_FAILED', end.code)
  }
  const end = await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: 'x' })))
  assert.ok(!(end instanceof Error))
})

test('whatever code a broker answers a pull with, the consumer goes on and commits nothing that it has not done', async t => {
  const scenery = await scene(t, { queues: 1 })
  const { cluster, ledger } = scenery
  const producer = await scenery.producer()
  await scenery.consumer()
  for (const code of CODES) {
    cluster.broker.fault('PULL_MESSAGE', { answer: 'code', code, times: 2, handled: code === 0 })
    await cluster.outcome(scenery.send(producer, 2))
    await cluster.advance(500)
  }
  await scenery.untilConsumed(180_000)
  assert.equal(ledger.stored.size, CODES.length * 2)
})

type Spoil = (entry: LogEntry) => void

const SPOILT: Readonly<Record<string, Spoil>> = {
  'a wrong magic': ({ bytes }) => void bytes.writeInt32BE(0x12345678, 4),
  'a size of nothing': ({ bytes }) => void bytes.writeInt32BE(0, 0),
  'a negative size': ({ bytes }) => void bytes.writeInt32BE(-5, 0),
  'a size of two gigabytes': ({ bytes }) => void bytes.writeInt32BE(0x7fffffff, 0),
  'a size that cuts it': ({ bytes }) => void bytes.writeInt32BE(bytes.length - 10, 0),
  'a body of two gigabytes': ({ bytes }) => void bytes.writeInt32BE(0x7fffffff, 84),
  'a negative body': ({ bytes }) => void bytes.writeInt32BE(-1, 84),
  'a topic beyond the end': ({ bytes, message }) => void bytes.writeUInt8(0xff, 88 + message.body.length),
  'only zeros': ({ bytes }) => void bytes.fill(0),
  'only ones': ({ bytes }) => void bytes.fill(0xff),
  'a wrong checksum': ({ bytes }) => void bytes.writeInt32BE(1, 8),
}

test('messages that are spoilt are skipped and told of, and those behind them are consumed', async t => {
  const scenery = await scene(t, { queues: 1 })
  const { cluster, ledger } = scenery
  await scenery.consumer()
  for (const [what, spoil] of Object.entries(SPOILT)) {
    const [before, spoilt, behind] = ['before', 'spoilt', 'behind'].map(name => `${name} ${what}`)
    const put = (body = ''): LogEntry => cluster.broker.put({ topic: TOPIC, body: Buffer.from(body) })
    // The consumer is kept from pulling until all three are there.
    cluster.broker.fault('PULL_MESSAGE', { answer: 'code', code: 1, handled: false })
    put('wake')
    put(before)
    spoil(put(spoilt))
    const logged = scenery.log.length
    put(behind)
    await scenery.until(() => ledger.came.has(behind as string), 60_000)
    assert.ok(ledger.came.has(before as string), `${what}: the one before`)
    assert.ok(ledger.came.has(behind as string) || what.includes('size'), `${what}: the one behind`)
    const told = scenery.log.slice(logged).some(({ level }) => level === 'warn' || level === 'error')
    assert.ok(told || what === 'a wrong checksum', `${what}: somebody is told`)
  }
  cluster.broker.put({ topic: TOPIC, body: Buffer.from('the end') })
  await scenery.until(() => ledger.came.has('the end'), 60_000)
  assert.ok(ledger.came.has('the end'))
  await scenery.until(() => scenery.isCommitted(), 30_000)
  assert.ok(scenery.isCommitted())
})

const COMPRESSED_ZLIB = 0x1 | (3 << 8)

test('bodies that do not decompress, or to far too much, go the way of failed messages and hold nobody up', async t => {
  const scenery = await scene(t, { queues: 1 })
  const { cluster, ledger } = scenery
  await scenery.consumer({
    maxReconsumeTimes: 1,
    onMessage: message => {
      ledger.note(message.bytes.subarray(0, 20).toString())
    },
  })
  const bomb = deflateSync(Buffer.alloc(256 << 20), { level: 1 })
  for (const body of [Buffer.from('no zlib at all'), bomb, deflateSync(Buffer.from('cut')).subarray(0, 6)]) {
    cluster.broker.put({ topic: TOPIC, body, sysFlag: COMPRESSED_ZLIB })
  }
  cluster.broker.put({ topic: TOPIC, body: Buffer.from('x'), sysFlag: 0x1 | (7 << 8) })
  cluster.broker.put({ topic: TOPIC, body: deflateSync(Buffer.from('good')), sysFlag: COMPRESSED_ZLIB })
  const before = process.memoryUsage().rss
  await scenery.until(() => ledger.came.has('good'), 60_000)
  assert.ok(ledger.came.has('good'))
  // Inflating takes its time, which no clock of ours moves: four fail, each twice.
  const failures = (): number => scenery.log.filter(({ text }) => text === 'listener failed').length
  while (failures() < 8) await cluster.settle()
  await scenery.until(() => scenery.isCommitted(), 60_000)
  assert.ok(scenery.isCommitted(), 'nothing blocks the queue')
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 200 << 20, `the bomb took ${grown >> 20} MiB`)
})
