import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { tracingChannel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { deflateSync } from 'node:zlib'
import { responseCodes } from '@gantrymq/protocol'
import type { Position } from '@gantrymq/testkit/cluster'
import { PushConsumer } from '../src/consumer/push-consumer.ts'
import { ClientError } from '../src/errors.ts'
import { Producer } from '../src/producer/producer.ts'
import { outageCluster, TOPIC } from './outage-cluster.ts'

/** Values that callers without types may pass. */
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

/** The result of a call, or the error that it threw or rejected with. */
async function endOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call()
  } catch (error) {
    return error
  }
}

/** An odd value is accepted or refused with a ClientError, but never causes an error in the client itself. */
function assertRefusedOrAccepted(end: unknown, what: string): void {
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
  const how = traced ? ' with subscribers of the diagnostics channel' : ''
  test(`odd messages are accepted or refused with a ClientError, and the producer goes on${how}`, async t => {
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
  const fixture = await outageCluster(t)
  const { cluster } = fixture
  const producer = await fixture.producer()
  for (const odd of ODD) {
    for (const field of MESSAGE_FIELDS) {
      const message = { topic: TOPIC, body: 'x', [field]: odd } as never
      const what = `${field}: ${inspect(odd)}`
      assertRefusedOrAccepted(await cluster.outcome(endOf(() => producer.send(message, { timeoutMs: 500 }))), what)
      assertRefusedOrAccepted(
        await cluster.outcome(endOf(() => producer.sendOneway(message, { timeoutMs: 500 }))),
        what,
      )
      assertRefusedOrAccepted(
        await cluster.outcome(endOf(() => producer.sendBatch([message], { timeoutMs: 500 }))),
        what,
      )
    }
    const whole = odd as never
    assertRefusedOrAccepted(await cluster.outcome(endOf(() => producer.send(whole))), `send(${typeof odd})`)
    assertRefusedOrAccepted(await cluster.outcome(endOf(() => producer.sendOneway(whole))), `sendOneway(${typeof odd})`)
    assertRefusedOrAccepted(await cluster.outcome(endOf(() => producer.sendBatch(whole))), `sendBatch(${typeof odd})`)
    assertRefusedOrAccepted(
      await cluster.outcome(endOf(() => producer.sendBatch([whole]))),
      `sendBatch([${typeof odd}])`,
    )
  }
  const end = await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: 'good' })))
  assert.equal((end as { status?: string }).status, 'SEND_OK')
}

test('odd options of a send are accepted or refused, and no send hangs', async t => {
  const fixture = await outageCluster(t)
  const { cluster } = fixture
  const producer = await fixture.producer()
  for (const odd of ODD) {
    for (const field of ['queue', 'hashKey', 'selector', 'timeoutMs', 'signal']) {
      const what = `${field}: ${inspect(odd)}`
      const options = { [field]: odd } as never
      assertRefusedOrAccepted(
        await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: 'x' }, options))),
        what,
      )
    }
    assertRefusedOrAccepted(
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

test('odd options of a client are refused at the start, and nothing remains', async t => {
  const fixture = await outageCluster(t)
  const { cluster } = fixture
  for (const odd of ODD) {
    for (const field of OPTIONS) {
      const end = await cluster.outcome(endOf(() => Producer.start({ ...fixture.producerOptions(), [field]: odd })))
      assertRefusedOrAccepted(end, `producer ${field}`)
      if (end instanceof Producer) await cluster.outcome(end.close())
    }
    for (const field of CONSUMER_OPTIONS) {
      const end = await cluster.outcome(endOf(() => PushConsumer.start({ ...fixture.consumerOptions(), [field]: odd })))
      assertRefusedOrAccepted(end, `consumer ${field}: ${typeof odd}`)
      if (end instanceof PushConsumer) await cluster.outcome(end.close())
    }
    const subscriptions = { [TOPIC]: odd as string }
    const end = await cluster.outcome(endOf(() => PushConsumer.start({ ...fixture.consumerOptions(), subscriptions })))
    assertRefusedOrAccepted(end, `subscription ${inspect(odd)}`)
    if (end instanceof PushConsumer) await cluster.outcome(end.close())
    const given = odd as never
    assertRefusedOrAccepted(
      await cluster.outcome(endOf(() => Producer.start(given))),
      `Producer.start(${inspect(odd)})`,
    )
    assertRefusedOrAccepted(
      await cluster.outcome(endOf(() => PushConsumer.start(given))),
      `PushConsumer.start(${inspect(odd)})`,
    )
  }
  await cluster.assertNothingLeft()
})

test('a body that is too large is refused before it is sent, and the error has the limit', async t => {
  const fixture = await outageCluster(t)
  const { cluster } = fixture
  const producer = await fixture.producer({ maxMessageSize: 1000 })
  const end = await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: Buffer.alloc(1001) })))
  assert.ok(end instanceof ClientError && end.code === 'MESSAGE_ILLEGAL' && end.message.includes('1000'))
  const properties = { a: 'x'.repeat(40_000) }
  const large = await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: 'x', properties })))
  assert.ok(large instanceof ClientError && large.code === 'MESSAGE_ILLEGAL')
  assert.equal(cluster.broker.server.requestsOf('SEND_MESSAGE_V2').length, 0)
})

const CODES = [...new Set([...Object.values(responseCodes), 3, 4, 99, 1234, 32_767, -1, -9999, 2 ** 31 - 1])]

test('a send ends with a receipt or an error with the code, whatever code the broker answers', async t => {
  const fixture = await outageCluster(t)
  const { cluster } = fixture
  const producer = await fixture.producer({ retries: 1 })
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
      assert.ok([0, 10, 11, 12].includes(code), `code ${code} counts as success`)
      continue
    }
    assert.ok(end instanceof ClientError, `${code}: ${end.stack}`)
    // After GO_AWAY (1500) the client connects again, which fails with another error.
    if (code === responseCodes.GO_AWAY) continue
    assert.equal(end.responseCode, code)
    assert.ok(end.code === 'BROKER_REFUSED' || end.code === 'SEND_FAILED', end.code)
  }
  const end = await cluster.outcome(endOf(() => producer.send({ topic: TOPIC, body: 'x' })))
  assert.ok(!(end instanceof Error))
})

test('a consumer goes on and commits only finished messages, whatever code the broker answers a pull with', async t => {
  const fixture = await outageCluster(t, { queues: 1 })
  const { cluster, ledger } = fixture
  const producer = await fixture.producer()
  await fixture.consumer()
  for (const code of CODES) {
    cluster.broker.fault('PULL_MESSAGE', { answer: 'code', code, times: 2, handled: code === 0 })
    await cluster.outcome(fixture.send(producer, 2))
    await cluster.advance(500)
  }
  await fixture.untilConsumed(180_000)
  assert.equal(ledger.stored.size, CODES.length * 2)
})

type Corrupt = (record: Buffer) => void

const CORRUPTIONS: Readonly<Record<string, Corrupt>> = {
  'a wrong magic': bytes => void bytes.writeInt32BE(0x12345678, 4),
  'a size of zero': bytes => void bytes.writeInt32BE(0, 0),
  'a negative size': bytes => void bytes.writeInt32BE(-5, 0),
  'a size of two gigabytes': bytes => void bytes.writeInt32BE(0x7fffffff, 0),
  'a size that is too small': bytes => void bytes.writeInt32BE(bytes.length - 10, 0),
  'a body of two gigabytes': bytes => void bytes.writeInt32BE(0x7fffffff, 84),
  'a negative body': bytes => void bytes.writeInt32BE(-1, 84),
  'a topic beyond the end': bytes => void bytes.writeUInt8(0xff, 88 + bytes.readInt32BE(84)),
  'only zeros': bytes => void bytes.fill(0),
  'only ones': bytes => void bytes.fill(0xff),
  'a wrong checksum': bytes => void bytes.writeInt32BE(1, 8),
}

test('corrupt messages are skipped and logged, and later ones are consumed', async t => {
  const fixture = await outageCluster(t, { queues: 1 })
  const { cluster, ledger } = fixture
  await fixture.consumer()
  for (const [what, corrupt] of Object.entries(CORRUPTIONS)) {
    const [before, corrupted, after] = ['before', 'corrupted', 'after'].map(name => `${name} ${what}`)
    const put = (body = ''): Position => cluster.broker.put({ topic: TOPIC, body: Buffer.from(body) })
    // The consumer cannot pull before all three are stored.
    cluster.broker.fault('PULL_MESSAGE', { answer: 'code', code: 1, handled: false })
    put('wake')
    put(before)
    cluster.broker.corrupt(put(corrupted), corrupt)
    const logged = fixture.log.length
    put(after)
    await fixture.until(() => ledger.received.has(after as string), 60_000)
    assert.ok(ledger.received.has(before as string), `${what}: the message before`)
    assert.ok(ledger.received.has(after as string) || what.includes('size'), `${what}: the message after`)
    const isLogged = fixture.log.slice(logged).some(({ level }) => level === 'warn' || level === 'error')
    assert.ok(isLogged || what === 'a wrong checksum', `${what}: it is logged`)
  }
  cluster.broker.put({ topic: TOPIC, body: Buffer.from('the end') })
  await fixture.until(() => ledger.received.has('the end'), 60_000)
  assert.ok(ledger.received.has('the end'))
  await fixture.until(() => fixture.isCommitted(), 30_000)
  assert.ok(fixture.isCommitted())
})

const COMPRESSED_ZLIB = 0x1 | (3 << 8)

test('messages whose bodies cannot be decompressed, or to too much, fail and do not block the queue', async t => {
  const fixture = await outageCluster(t, { queues: 1 })
  const { cluster, ledger } = fixture
  await fixture.consumer({
    maxReconsumeTimes: 1,
    onMessage: message => {
      ledger.record(message.bytes.subarray(0, 20).toString())
    },
  })
  const bomb = deflateSync(Buffer.alloc(256 << 20), { level: 1 })
  for (const body of [Buffer.from('no zlib at all'), bomb, deflateSync(Buffer.from('cut')).subarray(0, 6)]) {
    cluster.broker.put({ topic: TOPIC, body, sysFlag: COMPRESSED_ZLIB })
  }
  cluster.broker.put({ topic: TOPIC, body: Buffer.from('x'), sysFlag: 0x1 | (7 << 8) })
  cluster.broker.put({ topic: TOPIC, body: deflateSync(Buffer.from('good')), sysFlag: COMPRESSED_ZLIB })
  const before = process.memoryUsage().rss
  await fixture.until(() => ledger.received.has('good'), 60_000)
  assert.ok(ledger.received.has('good'))
  // Decompression takes real time, and a retry ten seconds of the clock. Four messages fail, each twice.
  const failures = (): number => fixture.log.filter(({ text }) => text === 'listener failed').length
  while (failures() < 8) await cluster.advance(50)
  await fixture.until(() => fixture.isCommitted(), 60_000)
  assert.ok(fixture.isCommitted(), 'the queue is not blocked')
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 200 << 20, `the bomb took ${grown >> 20} MiB`)
})
