import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { queryRequests } from '@gantrymq/protocol'
import { RemotingClient, RemotingError, ResponseError } from '@gantrymq/remoting'
import type { Fault } from '@gantrymq/testing/gateway'
import { testCluster } from './test-cluster.ts'

const { GET_MAX_OFFSET } = queryRequests
const header = { topic: 'Orders', queueId: 0 }

async function connected(t: TestContext) {
  const cluster = await testCluster(t)
  const { clock, dial, broker } = cluster
  await broker.setTopic('Orders')
  broker.put({ topic: 'Orders' })
  await cluster.settle()
  const client = cluster.own(new RemotingClient({ clock, dial }))
  const ask = async (timeoutMs = 3000) => {
    const reply = await client.call(broker.address, GET_MAX_OFFSET, { header }, { timeoutMs })
    return reply.header.offset
  }
  return { cluster, broker, ask }
}

const failure = (code: string) => (error: unknown) => error instanceof RemotingError && error.code === code

for (const [fault, code] of [
  [{ answer: 'never' }, 'TIMEOUT'],
  [{ answer: 'garbage' }, 'CLOSED'],
  [{ answer: 'cut' }, 'CLOSED'],
  [{ answer: 'hang-up' }, 'CLOSED'],
  [{ answer: 'half-open' }, 'TIMEOUT'],
  [{ answer: 'late', ms: 5000 }, 'TIMEOUT'],
  [{ answer: 'slow', bytes: 1, everyMs: 1000 }, 'TIMEOUT'],
] as const satisfies readonly (readonly [Fault, string])[]) {
  test(`an answer that is ${fault.answer} fails one call with ${code}`, async t => {
    const { cluster, broker, ask } = await connected(t)
    const set = broker.fault('GET_MAX_OFFSET', fault)
    await assert.rejects(cluster.outcome(ask()), failure(code))
    assert.equal(set.met, 1)
    assert.equal(await cluster.outcome(ask()), 1, 'the next call is served')
    assert.equal(broker.server.requestsOf('GET_MAX_OFFSET').length, 2)
  })
}

for (const fault of [
  { answer: 'twice' },
  { answer: 'wrong-opaque' },
  { answer: 'late', ms: 2000 },
  { answer: 'slow', bytes: 8, everyMs: 10 },
] as const satisfies readonly Fault[]) {
  test(`an answer that is ${fault.answer} is still an answer`, async t => {
    const { cluster, broker, ask } = await connected(t)
    broker.fault('*', fault)
    assert.equal(await cluster.outcome(ask()), 1)
    assert.equal(await cluster.outcome(ask()), 1)
  })
}

test('another response code replaces the answer, for as many requests as were set and only for those that match', async t => {
  const { cluster, broker, ask } = await connected(t)
  const set = broker.fault('GET_MAX_OFFSET', { answer: 'code', code: 2, remark: 'busy', times: 2, after: 1 })
  assert.equal(await ask(), 1)
  for (let time = 0; time < 2; time++) {
    await assert.rejects(ask(), (error: ResponseError) => error.responseCode === 2 && error.remark === 'busy')
  }
  assert.equal(await ask(), 1)
  assert.equal(set.met, 2)
  broker.fault('*', {
    answer: 'never',
    times: Number.POSITIVE_INFINITY,
    where: ({ header }) => header['topic'] !== 'Orders',
  })
  assert.equal(await cluster.outcome(ask()), 1)
})

test('a server that is down refuses connections, and one that hangs keeps the client waiting until its deadline', async t => {
  const { cluster, broker, ask } = await connected(t)
  assert.equal(await ask(), 1)
  broker.down()
  await cluster.settle()
  await assert.rejects(ask(), failure('CONNECT_FAILED'))
  broker.server.accepting = 'hangs'
  await assert.rejects(cluster.outcome(ask(1000)), failure('TIMEOUT'))
  broker.up()
  await cluster.advance(3000)
  assert.equal(await ask(), 1)
})

test('a frozen server reads no more from its open connections', async t => {
  const { cluster, broker, ask } = await connected(t)
  assert.equal(await ask(), 1)
  broker.server.freeze()
  await assert.rejects(cluster.outcome(ask()), failure('TIMEOUT'))
  assert.equal(broker.requests.length, 1)
  assert.equal(await ask(), 1)
})

test('a connection or a timer that is left after the end fails the test', async t => {
  const cluster = await testCluster(t)
  const { clock, dial, broker } = cluster
  await broker.setTopic('Orders')
  broker.put({ topic: 'Orders' })
  await cluster.settle()
  const client = new RemotingClient({ clock, dial })
  t.after(() => client.close())
  await client.call(broker.address, GET_MAX_OFFSET, { header })
  await assert.rejects(cluster.assertNothingLeft(), /something is left after the clients were closed/)
  await client.close()
  await cluster.assertNothingLeft()
  const timer = clock.every(1000, () => {})
  await assert.rejects(cluster.assertNothingLeft(), /something is left after the clients were closed/)
  timer[Symbol.dispose]()
})

test('the same cluster runs on real ports', async t => {
  const cluster = await testCluster(t, { realPorts: true })
  const { broker } = cluster
  await broker.setTopic('Orders')
  broker.put({ topic: 'Orders' })
  await cluster.settle()
  assert.match(broker.address, /^127\.0\.0\.1:\d+$/)
  const client = cluster.own(new RemotingClient())
  const reply = await client.call(broker.address, GET_MAX_OFFSET, { header })
  assert.equal(reply.header.offset, 1)
})
