import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FaultyAnswer } from '@gantrymq/testkit/cluster'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import { type OutageCluster, outageCluster, TOPIC } from './outage-cluster.ts'

const FAULTS: readonly FaultyAnswer[] = [
  { answer: 'late', ms: 40_000 },
  { answer: 'never' },
  { answer: 'twice' },
  { answer: 'code', code: 1, remark: 'system error' },
  { answer: 'code', code: 9999 },
  { answer: 'garbage' },
  { answer: 'cut' },
  { answer: 'hang-up' },
  { answer: 'half-open' },
]

interface ConsumerKind {
  readonly requests: readonly string[]
  start(fixture: OutageCluster): Promise<unknown>
}

const KINDS: Readonly<Record<string, ConsumerKind>> = {
  'an orderly consumer': {
    requests: ['LOCK_BATCH_MQ', 'PULL_MESSAGE', 'QUERY_CONSUMER_OFFSET', 'UPDATE_CONSUMER_OFFSET', 'UNLOCK_BATCH_MQ'],
    start: fixture => fixture.consumer({ orderly: true }),
  },
  'a lite pull consumer': {
    requests: ['LITE_PULL_MESSAGE', 'QUERY_CONSUMER_OFFSET', 'UPDATE_CONSUMER_OFFSET', 'GET_CONSUMER_LIST_BY_GROUP'],
    async start(fixture) {
      const { onMessage: _, ...options } = fixture.consumerOptions()
      const consumer = fixture.cluster.own(await fixture.cluster.outcome(LitePullConsumer.start(options)))
      void (async () => {
        for await (const message of consumer) fixture.ledger.record(message.bytes.toString())
      })()
    },
  },
  'a simple consumer': {
    requests: ['POP_MESSAGE', 'ACK_MESSAGE', 'HEART_BEAT'],
    async start(fixture) {
      const { onMessage: _, consumeFrom: __, ...options } = fixture.consumerOptions()
      const consumer = fixture.cluster.own(await fixture.cluster.outcome(SimpleConsumer.start(options)))
      const stop = new AbortController()
      const close = consumer.close.bind(consumer)
      fixture.cluster.own({
        close: async () => {
          stop.abort()
          await close()
        },
      })
      const receive = async (): Promise<void> => {
        const messages = await consumer.receive({ max: 8, waitMs: 5000, invisibleMs: 20_000 })
        for (const message of messages) {
          fixture.ledger.record(message.bytes.toString())
          await message.ack().catch(() => {})
        }
      }
      void (async () => {
        // Users call again after any failure.
        while (!stop.signal.aborted) await receive().catch(() => fixture.cluster.settle())
      })()
    },
  },
}

for (const [what, kind] of Object.entries(KINDS)) {
  for (const name of kind.requests) {
    test(`${what} goes on and loses nothing, whatever happens to ${name}`, async t => {
      for (const fault of FAULTS) {
        await t.test(JSON.stringify(fault), async t => {
          const fixture = await outageCluster(t, { brokers: 2 })
          const { cluster, ledger } = fixture
          const producer = await fixture.producer()
          // Only the first broker is asked for the members of the group, so the fault is at that one.
          cluster.broker.fault(name, { ...fault, times: fault.answer === 'half-open' ? 1 : 2 })
          await kind.start(fixture)
          await cluster.outcome(fixture.send(producer, 10, 20_000))
          await fixture.untilConsumed(180_000)
          cluster.broker.fault(name, { ...fault, times: 1 })
          await cluster.outcome(fixture.send(producer, 10, 20_000))
          await fixture.untilConsumed(180_000)
          assert.equal(ledger.stored.size, 20, String(ledger.failures[0]))
        })
      }
    })
  }
}

for (const hours of [-5, 5]) {
  test(`an orderly consumer keeps its order and its locks when the clock jumps by ${hours} hours`, async t => {
    const fixture = await outageCluster(t, { queues: 1 })
    const { cluster } = fixture
    const received: number[] = []
    const consumer = await fixture.consumer({
      orderly: true,
      onMessage: async ({ bytes }) => {
        await cluster.settle(3)
        received.push(Number(bytes.toString()))
      },
    })
    let sent = 0
    const put = (): void => void cluster.broker.put({ topic: TOPIC, body: Buffer.from(String(sent++)) })
    for (let round = 0; round < 20; round++) {
      put()
      put()
      if (round === 10) cluster.clock.jump(hours * 3_600_000)
      await cluster.advance(5000, 250)
      assert.equal(received.length, sent, `round ${round}: all messages are consumed at once`)
    }
    // A lock that is not renewed expires, because another member may consume the queue then.
    cluster.broker.fault('LOCK_BATCH_MQ', { answer: 'never', handled: false, times: Number.POSITIVE_INFINITY })
    cluster.clock.jump(hours * 3_600_000)
    await cluster.advance(55_000, 500)
    put()
    await cluster.advance(3000, 250)
    assert.equal(received.length, sent - 1, 'not consumed without a lock')
    cluster.broker.server.clearFaults()
    await fixture.until(() => received.length === sent, 60_000)
    assert.deepEqual(
      received,
      Array.from({ length: sent }, (_, index) => index),
    )
    assert.ok(consumer.queues.some(({ topic }) => topic === TOPIC))
  })
}
