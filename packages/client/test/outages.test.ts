import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicRoute } from '@gantrymq/protocol'
import { ClientError } from '../src/errors.ts'
import { type OutageCluster, outageCluster, TOPIC } from './outage-cluster.ts'

/** How long a group takes at most to consume all stored messages after an outage, by the intervals of heartbeats and pulls. */
const RECOVERY_MS = 35_000

async function goesOn({ cluster, ledger }: OutageCluster, send: () => Promise<void>): Promise<void> {
  const before = ledger.stored.size
  await cluster.outcome(send())
  assert.ok(ledger.stored.size > before, String(ledger.failures.at(-1)))
}

test('after a broker was killed and came back, clients go on by themselves without a storm of connections', async t => {
  const fixture = await outageCluster(t)
  const { cluster, ledger, dials } = fixture
  const [producer] = [await fixture.producer(), await fixture.consumer()]
  await cluster.outcome(fixture.send(producer, 20))
  await fixture.untilConsumed()
  cluster.broker.down()
  const before = dials.length
  for (let second = 0; second < 60; second++) {
    void fixture.send(producer, 20, 1000)
    await cluster.advance(1000)
  }
  const attempts = dials.slice(before).filter(({ address }) => address === cluster.broker.address).length
  assert.ok(
    attempts >= 30 && attempts < 150,
    `${attempts} attempts to connect in a minute, with 1,200 sends and two pulls`,
  )
  assert.ok(ledger.failures.every(error => error instanceof ClientError && error.retriable))
  cluster.broker.up()
  await fixture.until(() => cluster.broker.clientIds.length > 0, RECOVERY_MS)
  await goesOn(fixture, () => fixture.send(producer, 20))
  await fixture.untilConsumed(RECOVERY_MS)
  await fixture.until(() => fixture.isCommitted(), RECOVERY_MS)
  assert.ok(fixture.isCommitted())
})

test('while one broker is down another takes the messages, and no send fails', async t => {
  const fixture = await outageCluster(t, { brokers: 2 })
  const { cluster, ledger } = fixture
  const [producer] = [await fixture.producer(), await fixture.consumer()]
  await cluster.outcome(fixture.send(producer, 8))
  cluster.broker.down()
  await cluster.outcome(fixture.send(producer, 100))
  assert.deepEqual(ledger.failures, [])
  assert.equal(ledger.stored.size, 108)
  await fixture.untilConsumed(RECOVERY_MS)
})

for (const faultLatency of [true, false]) {
  test(`no message is sent twice to a broker that refuses while another works, faultLatency: ${faultLatency}`, async t => {
    const fixture = await outageCluster(t, { brokers: 2 })
    const { cluster, ledger } = fixture
    const producer = await fixture.producer({ faultLatency })
    for (const answer of [
      { answer: 'code', code: 14 },
      { answer: 'hang-up', handled: false },
    ] as const) {
      const fault = cluster.broker.fault('SEND_MESSAGE_V2', { ...answer, times: Number.POSITIVE_INFINITY })
      for (let count = 0; count < 30; count++) await cluster.outcome(fixture.send(producer, 1), { stepMs: 1 })
      // A broker that is avoided gets no second message at all.
      assert.ok(fault.met > 0 || faultLatency)
      fault.lift()
    }
    assert.equal(ledger.stored.size, 60, String(ledger.failures[0]))
    const tried = cluster.broker.server.requestsOf('SEND_MESSAGE_V2').map(({ body }) => String(body))
    assert.equal(new Set(tried).size, tried.length, 'no message was sent to it twice')
  })
}

test('a broker at which connecting hangs does not keep sends from the other', async t => {
  const fixture = await outageCluster(t, { brokers: 2 })
  const { cluster, ledger } = fixture
  const producer = await fixture.producer({ attemptTimeoutMs: 1000 })
  cluster.broker.server.accepting = 'hangs'
  await cluster.outcome(fixture.send(producer, 20, 8000))
  assert.equal(ledger.stored.size, 20, String(ledger.failures[0]))
})

test('a consumer with half-open connections goes on within 35 seconds', async t => {
  const fixture = await outageCluster(t, { brokers: 2 })
  const { cluster } = fixture
  const [producer] = [await fixture.producer(), await fixture.consumer()]
  await cluster.outcome(fixture.send(producer, 20))
  await fixture.untilConsumed()
  for (const broker of cluster.brokers) broker.server.freeze()
  await cluster.outcome(fixture.send(producer, 20, 20_000))
  await goesOn(fixture, () => fixture.send(producer, 20))
  await fixture.untilConsumed(RECOVERY_MS)
})

test('a thousand disconnects in a row lose no message and leave no connection', async t => {
  const fixture = await outageCluster(t)
  const { cluster, ledger } = fixture
  const [producer] = [await fixture.producer(), await fixture.consumer()]
  for (let round = 0; round < 1000; round++) {
    const sends = fixture.send(producer, 1)
    if (round % 3 === 0) await cluster.settle(round % 7)
    cluster.broker.server.dropAll()
    await cluster.outcome(sends, { stepMs: 20 })
  }
  await fixture.untilConsumed(RECOVERY_MS)
  assert.equal(ledger.stored.size, 1000, String(ledger.failures[0]))
  assert.ok(cluster.broker.server.connections <= 2)
})

test('clients that do not wait for a name server start without one, and work when it comes up', async t => {
  const fixture = await outageCluster(t)
  const { cluster, ledger } = fixture
  cluster.nameServer.server.down()
  const [producer] = [await fixture.producer(), await fixture.consumer({ waitForNameServer: false })]
  await cluster.outcome(fixture.send(producer, 1))
  assert.match(String(ledger.failures[0]), /10\.0\.0\.1:9876/, 'the error names the server')
  cluster.nameServer.server.up()
  // After a failed attempt to connect a client waits for a second at most.
  await cluster.advance(1000)
  await goesOn(fixture, () => fixture.send(producer, 10))
  await fixture.untilConsumed(RECOVERY_MS)
})

test('name servers that are down or have forgotten everything stop neither sends nor consumers', async t => {
  const fixture = await outageCluster(t, { nameServers: 2 })
  const { cluster } = fixture
  const [producer] = [await fixture.producer(), await fixture.consumer()]
  await goesOn(fixture, () => fixture.send(producer, 10))
  for (const { server } of cluster.nameServers) server.down()
  await cluster.advance(70_000, 500)
  await goesOn(fixture, () => fixture.send(producer, 10))
  await fixture.untilConsumed(RECOVERY_MS)
  for (const { routes, server } of cluster.nameServers) {
    for (const topic of [TOPIC, '%RETRY%readers', 'TBW102']) routes.set(topic, null)
    server.up()
  }
  await cluster.advance(70_000, 500)
  await goesOn(fixture, () => fixture.send(producer, 10))
  await fixture.untilConsumed(RECOVERY_MS)
})

test('a client that its broker lists twice, because of a half-open connection, keeps all its queues', async t => {
  const fixture = await outageCluster(t, { queues: 4 })
  const { cluster } = fixture
  const consumer = await fixture.consumer()
  const held = (): number => consumer.queues.filter(({ topic }) => topic === TOPIC).length
  await fixture.until(() => held() === 4, RECOVERY_MS)
  cluster.broker.server.freeze()
  await cluster.advance(70_000, 500)
  assert.ok(cluster.broker.clientIds.length === 1 && cluster.broker.server.connections >= 1)
  for (let second = 0; second < 50; second++) {
    await cluster.advance(1000, 500)
    assert.equal(held(), 4)
  }
})

const NOTHING: TopicRoute = { brokerDatas: [], queueDatas: [], filterServerTable: new Map() }

test('clients follow a route that becomes empty, loses its master or moves to other brokers', async t => {
  const fixture = await outageCluster(t, { brokers: 2 })
  const { cluster, ledger } = fixture
  const [a, b] = cluster.brokers
  assert.ok(a !== undefined && b !== undefined)
  b.leave()
  const [producer, consumer] = [await fixture.producer(), await fixture.consumer()]
  await goesOn(fixture, () => fixture.send(producer, 10))
  await fixture.untilConsumed()
  cluster.nameServer.routes.set(TOPIC, NOTHING)
  await cluster.advance(61_000, 500)
  const failed = ledger.failures.length
  await cluster.outcome(fixture.send(producer, 1))
  assert.equal(ledger.failures.length, failed + 1)
  // As in Apache's client: consumers go on when a name server no longer knows the topic.
  assert.equal(consumer.queues.filter(({ topic }) => topic === TOPIC).length, 2)
  // Only a slave remains, with an address where no server is.
  const slaveOnly = { ...a.brokerData, brokerAddrs: new Map([[1, '10.0.1.9:10911']]) }
  const queueDatas = [{ brokerName: a.name, readQueueNums: 2, writeQueueNums: 2, perm: 6, topicSysFlag: 0 }]
  cluster.nameServer.routes.set(TOPIC, { ...NOTHING, brokerDatas: [slaveOnly], queueDatas })
  await cluster.advance(61_000, 500)
  await cluster.outcome(fixture.send(producer, 1))
  assert.equal(ledger.failures.length, failed + 2)
  cluster.nameServer.routes.delete(TOPIC)
  a.leave()
  b.join()
  await cluster.advance(91_000, 500)
  await goesOn(fixture, () => fixture.send(producer, 10))
  await fixture.untilConsumed(RECOVERY_MS)
  assert.ok(b.messages(TOPIC).length >= 10)
})

test('the queues of a member that closes go to the other member', async t => {
  const fixture = await outageCluster(t, { queues: 4 })
  const { cluster } = fixture
  const first = await fixture.consumer()
  const second = await fixture.consumer()
  const producer = await fixture.producer()
  const held = (): number => second.queues.filter(({ topic }) => topic === TOPIC).length
  await fixture.until(() => held() === 2, RECOVERY_MS)
  assert.equal(held(), 2)
  await cluster.outcome(first.close())
  await fixture.until(() => held() === 4, RECOVERY_MS)
  assert.equal(held(), 4)
  await goesOn(fixture, () => fixture.send(producer, 20))
  await fixture.untilConsumed(RECOVERY_MS)
})

test('heartbeats are sent every 30 seconds, whatever happens to one of them', async t => {
  const fixture = await outageCluster(t, { brokers: 2 })
  const { cluster } = fixture
  await fixture.consumer()
  const [a, b] = cluster.brokers
  a?.fault('HEART_BEAT', { answer: 'never', times: Number.POSITIVE_INFINITY })
  const count = (broker = b): number => broker?.server.requestsOf('HEART_BEAT').length ?? 0
  const [beforeA, beforeB] = [count(a), count(b)]
  await cluster.advance(300_000, 500)
  assert.ok(count(a) - beforeA >= 10, `the broker that answers none got ${count(a) - beforeA}`)
  assert.ok(count(b) - beforeB >= 10, `the other got ${count(b) - beforeB}`)
})

for (const hours of [-5, 5]) {
  test(`when the clock jumps by ${hours} hours nothing is lost, duplicated or late`, async t => {
    const fixture = await outageCluster(t, { brokers: 2 })
    const { cluster, ledger } = fixture
    const [producer, consumer] = [await fixture.producer(), await fixture.consumer()]
    await goesOn(fixture, () => fixture.send(producer, 10))
    await fixture.untilConsumed()
    // With those of the retry topic, which brokers create.
    await cluster.until(() => consumer.queues.length === 6, { stepMs: 500 })
    const queues = consumer.queues.length
    cluster.broker.down()
    await cluster.outcome(fixture.send(producer, 10, 1000))
    // Long enough for a failed attempt to connect.
    await cluster.advance(1500)
    cluster.brokers[1]?.server.freeze()
    const sends = fixture.send(producer, 10, 3000)
    await cluster.settle()
    cluster.clock.jump(hours * 3_600_000)
    const since = cluster.clock.elapsed()
    await cluster.outcome(sends)
    const took = cluster.clock.elapsed() - since
    assert.ok(took >= 2900 && took <= 4000, `sends of 3 seconds took ${took} ms`)
    cluster.broker.up()
    await cluster.advance(5000)
    assert.ok(cluster.broker.server.connections > 0, 'the client connects again soon')
    await goesOn(fixture, () => fixture.send(producer, 10))
    await fixture.untilConsumed(RECOVERY_MS)
    assert.equal(consumer.queues.length, queues, 'no queue was lost')
    assert.equal(ledger.duplicates, 0)
  })
}

test('many jumps of the clock back and forth change nothing', async t => {
  const fixture = await outageCluster(t)
  const { cluster, ledger } = fixture
  const [producer] = [await fixture.producer(), await fixture.consumer()]
  for (let step = 0; step < 100; step++) {
    cluster.clock.jump(step % 2 === 0 ? -90_000 : 130_000)
    await cluster.outcome(fixture.send(producer, 1))
    await cluster.advance(700, 100)
  }
  await fixture.untilConsumed()
  assert.deepEqual(ledger.failures, [])
  assert.equal(ledger.duplicates, 0)
})
