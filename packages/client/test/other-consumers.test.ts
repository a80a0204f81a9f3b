import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BrokerRequestName } from '@gantrymq/testkit'
import type { FaultyAnswer } from '@gantrymq/remoting/testing'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import { type Scene, scene, TOPIC } from './survival-scene.ts'

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

interface Kind {
  readonly requests: readonly BrokerRequestName[]
  start(scenery: Scene): Promise<unknown>
}

const KINDS: Readonly<Record<string, Kind>> = {
  'an orderly consumer': {
    requests: ['LOCK_BATCH_MQ', 'PULL_MESSAGE', 'QUERY_CONSUMER_OFFSET', 'UPDATE_CONSUMER_OFFSET', 'UNLOCK_BATCH_MQ'],
    start: scenery => scenery.consumer({ orderly: true }),
  },
  'a lite pull consumer': {
    requests: ['LITE_PULL_MESSAGE', 'QUERY_CONSUMER_OFFSET', 'UPDATE_CONSUMER_OFFSET', 'GET_CONSUMER_LIST_BY_GROUP'],
    async start(scenery) {
      const { onMessage: _, ...options } = scenery.consumerOptions()
      const consumer = scenery.cluster.own(await scenery.cluster.outcome(LitePullConsumer.start(options)))
      void (async () => {
        for await (const message of consumer) scenery.ledger.note(message.bytes.toString())
      })()
    },
  },
  'a simple consumer': {
    requests: ['POP_MESSAGE', 'ACK_MESSAGE', 'HEART_BEAT'],
    async start(scenery) {
      const { onMessage: _, consumeFrom: __, ...options } = scenery.consumerOptions()
      const consumer = scenery.cluster.own(await scenery.cluster.outcome(SimpleConsumer.start(options)))
      const stop = new AbortController()
      const close = consumer.close.bind(consumer)
      scenery.cluster.own({
        close: async () => {
          stop.abort()
          await close()
        },
      })
      const receive = async (): Promise<void> => {
        const messages = await consumer.receive({ max: 8, waitMs: 5000, invisibleMs: 20_000 })
        for (const message of messages) {
          scenery.ledger.note(message.bytes.toString())
          await message.ack().catch(() => {})
        }
      }
      void (async () => {
        // As users do it: again, whatever happened.
        while (!stop.signal.aborted) await receive().catch(() => scenery.cluster.settle())
      })()
    },
  },
}

for (const [what, kind] of Object.entries(KINDS)) {
  for (const name of kind.requests) {
    test(`${what} goes on and loses nothing, whatever becomes of ${name}`, async t => {
      for (const fault of FAULTS) {
        await t.test(JSON.stringify(fault), async t => {
          const scenery = await scene(t, { brokers: 2 })
          const { cluster, ledger } = scenery
          const producer = await scenery.producer()
          // Members ask whichever broker comes first for each other; all else is asked of each.
          cluster.broker.fault(name, { ...fault, times: fault.answer === 'half-open' ? 1 : 2 })
          await kind.start(scenery)
          await cluster.outcome(scenery.send(producer, 10, 20_000))
          await scenery.untilConsumed(180_000)
          cluster.broker.fault(name, { ...fault, times: 1 })
          await cluster.outcome(scenery.send(producer, 10, 20_000))
          await scenery.untilConsumed(180_000)
          assert.equal(ledger.stored.size, 20, String(ledger.failures[0]))
        })
      }
    })
  }
}

for (const hours of [-5, 5]) {
  test(`an orderly consumer keeps its order and its locks when the clock is set by ${hours} hours`, async t => {
    const scenery = await scene(t, { queues: 1 })
    const { cluster } = scenery
    const came: number[] = []
    const consumer = await scenery.consumer({
      orderly: true,
      onMessage: async ({ bytes }) => {
        await cluster.settle(3)
        came.push(Number(bytes.toString()))
      },
    })
    let sent = 0
    const put = (): void => void cluster.broker.put({ topic: TOPIC, body: Buffer.from(String(sent++)) })
    for (let round = 0; round < 20; round++) {
      put()
      put()
      if (round === 10) cluster.clock.jump(hours * 3_600_000)
      await cluster.advance(5000, 250)
      assert.equal(came.length, sent, `round ${round}: all is consumed at once`)
    }
    // A lock that nobody renews runs out, or another member could be at the queue too.
    cluster.broker.fault('LOCK_BATCH_MQ', { answer: 'never', handled: false, times: Number.POSITIVE_INFINITY })
    cluster.clock.jump(hours * 3_600_000)
    await cluster.advance(55_000, 500)
    put()
    await cluster.advance(3000, 250)
    assert.equal(came.length, sent - 1, 'not consumed without a lock')
    cluster.broker.server.clearFaults()
    await scenery.until(() => came.length === sent, 60_000)
    assert.deepEqual(
      came,
      Array.from({ length: sent }, (_, index) => index),
    )
    assert.ok(consumer.queues.some(({ topic }) => topic === TOPIC))
  })
}
