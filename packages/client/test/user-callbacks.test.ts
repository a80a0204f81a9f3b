import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PushConsumer } from '../src/consumer/push-consumer.ts'
import { ClientError } from '../src/errors.ts'
import { Producer } from '../src/producer/producer.ts'
import { outageCluster, TOPIC } from './outage-cluster.ts'

const ODD_RESULTS: readonly unknown[] = [
  null,
  0,
  'retry',
  { retry: null },
  { retry: 7 },
  { retry: { delayLevel: 'x' } },
  { retry: { delayLevel: 99, from: -5 } },
  { retry: { delayLevel: Number.NaN, from: Number.NaN } },
  Symbol('x'),
  () => 1,
  {
    get retry() {
      throw new Error('a getter that throws')
    },
  },
]

test('a listener may return or throw any value: all messages are done in the end', async t => {
  const fixture = await outageCluster(t)
  const { cluster, ledger } = fixture
  const producer = await fixture.producer()
  let calls = 0
  await fixture.consumer({
    onMessage: ({ bytes, reconsumeTimes }) => {
      ledger.record(bytes.toString())
      if (reconsumeTimes > 0) return undefined
      const what = ODD_RESULTS[calls++ >> 1]
      // oxlint-disable-next-line typescript/only-throw-error -- the test throws any value
      if (calls % 2 === 0) throw what
      return what as undefined
    },
  })
  await cluster.outcome(fixture.send(producer, ODD_RESULTS.length * 2 + 6))
  await fixture.untilConsumed()
  await fixture.until(() => fixture.isCommitted(), 60_000)
  assert.ok(fixture.isCommitted(), 'all messages are done')
})

test('a callback, selector or logger that throws fails only its own call', async t => {
  const fixture = await outageCluster(t)
  const { cluster, ledger } = fixture
  const fail = (): never => {
    throw new Error('a bug in user code')
  }
  const log = { debug: fail, info: fail, warn: fail, error: fail }
  const producer = await fixture.producer({ log })
  let assigned = 0
  await fixture.consumer({
    log,
    onQueues: fail,
    allocate: {
      name: 'AVG',
      assign: ({ queues }) => (assigned++ === 0 ? fail() : queues),
    },
  })
  const selected = await cluster.outcome(
    producer.send({ topic: TOPIC, body: 'x' }, { selector: fail }).catch((error: unknown) => error),
  )
  assert.ok(selected instanceof ClientError && selected.code === 'BAD_OPTION')
  await cluster.outcome(fixture.send(producer, 10))
  cluster.broker.server.write(Buffer.alloc(32, 0xff))
  await cluster.advance(3000)
  await cluster.outcome(fixture.send(producer, 10))
  await fixture.untilConsumed()
  assert.equal(ledger.stored.size, 20)
})

test('a codec that throws fails the send, and the listener that reads the body', async t => {
  const fixture = await outageCluster(t)
  const { cluster } = fixture
  const codec = {
    encode(): Buffer {
      throw new Error('cannot write')
    },
    decode(): never {
      throw new Error('cannot read')
    },
  }
  const bad = cluster.own(await cluster.outcome(Producer.start({ ...fixture.producerOptions(), codec })))
  const error = await cluster.outcome(bad.send({ topic: TOPIC, body: 1 as never }).catch((e: unknown) => e))
  assert.ok(error instanceof ClientError && error.code === 'MESSAGE_ILLEGAL', String(error))
  const good = await fixture.producer()
  const seen: unknown[] = []
  const consumer = await cluster.outcome(
    PushConsumer.start({
      ...fixture.consumerOptions(),
      codec,
      onMessage: message => {
        try {
          assert.ok(message.body)
        } catch (cause) {
          seen.push(cause)
          if (message.reconsumeTimes === 0) throw cause
        }
      },
    }),
  )
  cluster.own(consumer)
  await cluster.outcome(fixture.send(good, 2))
  await fixture.until(() => seen.length >= 4, 60_000)
  assert.equal(seen.length, 4)
  assert.ok(seen.every(each => each instanceof ClientError && each.code === 'BAD_BODY'))
})
