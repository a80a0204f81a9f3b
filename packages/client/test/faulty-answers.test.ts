import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FaultyAnswer } from '@gantrymq/testkit/cluster'
import { outageCluster } from './outage-cluster.ts'

const FAULTS: readonly FaultyAnswer[] = [
  { answer: 'late', ms: 2000 },
  { answer: 'late', ms: 40_000 },
  { answer: 'never' },
  { answer: 'twice' },
  { answer: 'wrong-opaque' },
  { answer: 'code', code: 1, remark: 'system error' },
  { answer: 'code', code: 9999 },
  { answer: 'garbage' },
  { answer: 'garbage', bytes: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') },
  { answer: 'cut' },
  { answer: 'cut', bytes: 3 },
  { answer: 'hang-up' },
  { answer: 'half-open' },
  { answer: 'slow', bytes: 16, everyMs: 100 },
]

const REQUESTS: readonly string[] = [
  'SEND_MESSAGE_V2',
  'PULL_MESSAGE',
  'UPDATE_CONSUMER_OFFSET',
  'QUERY_CONSUMER_OFFSET',
  'HEART_BEAT',
  'GET_CONSUMER_LIST_BY_GROUP',
  'CONSUMER_SEND_MSG_BACK',
  'UNREGISTER_CLIENT',
  '*',
]

for (const name of REQUESTS) {
  test(`no stored message is lost and the consumer goes on, whatever happens to ${name}`, async t => {
    for (const fault of FAULTS) {
      await t.test(JSON.stringify(fault), async t => {
        const fixture = await outageCluster(t, { brokers: 2 })
        const { cluster, ledger } = fixture
        // Any broker may be asked for the members of the group.
        const met = cluster.brokers
          .filter((_, index) => index === 0 || name === 'GET_CONSUMER_LIST_BY_GROUP')
          .map(broker => broker.fault(name, { ...fault, times: fault.answer === 'half-open' ? 1 : 2 }))
        const failed = new Set<string>()
        const producer = await fixture.producer()
        await fixture.consumer({
          onMessage: ({ bytes }) => {
            const body = bytes.toString()
            // Every fifth message fails on its first delivery.
            if (Number(body.slice(1)) % 5 === 0 && !failed.has(body)) {
              failed.add(body)
              throw new Error('not now')
            }
            ledger.record(body)
          },
        })
        await cluster.outcome(fixture.send(producer, 10))
        // A half-open connection costs a pull 30 seconds.
        cluster.broker.fault(name, { ...fault, times: fault.answer === 'half-open' ? 1 : 3 })
        await cluster.outcome(fixture.send(producer, 10))
        await fixture.untilConsumed(90_000)
        await cluster.advance(6000)
        cluster.broker.server.clearFaults()
        await cluster.outcome(fixture.send(producer, 10))
        assert.ok(ledger.stored.size >= 20, `only ${ledger.stored.size} of 30 were stored`)
        await fixture.untilConsumed(60_000)
        await fixture.until(() => fixture.isCommitted(), 30_000)
        assert.ok(fixture.isCommitted(), 'what was consumed is committed')
        assert.ok(met.some(fault => fault.met > 0) || name === 'UNREGISTER_CLIENT', 'the fault was met')
      })
    }
  })
}
