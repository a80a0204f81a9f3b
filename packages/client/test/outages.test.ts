import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicRoute } from '@gantrymq/protocol'
import { ClientError } from '../src/errors.ts'
import { type Scene, scene, TOPIC } from './survival-scene.ts'

/** All that was stored has come, and the group goes on by itself in so long after a trouble (Apache's heartbeats and pulls). */
const RECOVERY_MS = 35_000

async function goesOn({ cluster, ledger }: Scene, send: () => Promise<void>): Promise<void> {
  const before = ledger.stored.size
  await cluster.outcome(send())
  assert.ok(ledger.stored.size > before, String(ledger.failures.at(-1)))
}

test('a broker that is killed and comes back is consumed again without help, and nobody storms it', async t => {
  const scenery = await scene(t)
  const { cluster, ledger, dials } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  await cluster.outcome(scenery.send(producer, 20))
  await scenery.untilConsumed()
  cluster.broker.down()
  const before = dials.length
  for (let second = 0; second < 60; second++) {
    void scenery.send(producer, 20, 1000)
    await cluster.advance(1000)
  }
  const dialled = dials.slice(before).filter(({ address }) => address === cluster.broker.address).length
  assert.ok(
    dialled >= 30 && dialled < 150,
    `${dialled} attempts to connect in a minute, with 1,200 sends and two pulls`,
  )
  assert.ok(ledger.failures.every(error => error instanceof ClientError && error.retriable))
  cluster.broker.up()
  await scenery.until(() => cluster.broker.clientIds.length > 0, RECOVERY_MS)
  await goesOn(scenery, () => scenery.send(producer, 20))
  await scenery.untilConsumed(RECOVERY_MS)
  await scenery.until(() => scenery.isCommitted(), RECOVERY_MS)
  assert.ok(scenery.isCommitted())
})

test('while one broker is away another takes the messages, and no send goes to the dead one twice', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { cluster, ledger } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  await cluster.outcome(scenery.send(producer, 8))
  cluster.broker.down()
  await cluster.outcome(scenery.send(producer, 100))
  assert.deepEqual(ledger.failures, [])
  assert.equal(ledger.stored.size, 108)
  await scenery.untilConsumed(RECOVERY_MS)
})

for (const rest of [true, false]) {
  test(`no message is tried twice at a broker that refuses while another lives, ${rest ? 'with' : 'without'} rests`, async t => {
    const scenery = await scene(t, { brokers: 2 })
    const { cluster, ledger } = scenery
    const producer = await scenery.producer({ faultLatency: rest })
    for (const answer of [
      { answer: 'code', code: 14 },
      { answer: 'hang-up', handled: false },
    ] as const) {
      const fault = cluster.broker.fault('SEND_MESSAGE_V2', { ...answer, times: Number.POSITIVE_INFINITY })
      for (let count = 0; count < 30; count++) await cluster.outcome(scenery.send(producer, 1), { stepMs: 1 })
      // A broker that rests is not even asked the second time.
      assert.ok(fault.met > 0 || rest)
      fault.lift()
    }
    assert.equal(ledger.stored.size, 60, String(ledger.failures[0]))
    const tried = cluster.broker.server.requestsOf('SEND_MESSAGE_V2').map(({ body }) => String(body))
    assert.equal(new Set(tried).size, tried.length, 'no message came to it twice')
  })
}

test('a broker that hangs when it is dialled does not keep sends from the other', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { cluster, ledger } = scenery
  const producer = await scenery.producer({ attemptTimeoutMs: 1000 })
  cluster.broker.server.accepting = 'hangs'
  await cluster.outcome(scenery.send(producer, 20, 8000))
  assert.equal(ledger.stored.size, 20, String(ledger.failures[0]))
})

test('a consumer whose connections died without a word goes on within 35 seconds', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { cluster } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  await cluster.outcome(scenery.send(producer, 20))
  await scenery.untilConsumed()
  for (const broker of cluster.brokers) broker.server.freeze()
  await cluster.outcome(scenery.send(producer, 20, 20_000))
  await goesOn(scenery, () => scenery.send(producer, 20))
  await scenery.untilConsumed(RECOVERY_MS)
})

test('a thousand disconnects in a row lose nothing and leave nothing behind', async t => {
  const scenery = await scene(t)
  const { cluster, ledger } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  for (let round = 0; round < 1000; round++) {
    const sends = scenery.send(producer, 1)
    if (round % 3 === 0) await cluster.settle(round % 7)
    cluster.broker.server.dropAll()
    await cluster.outcome(sends, { stepMs: 20 })
  }
  await scenery.untilConsumed(RECOVERY_MS)
  assert.equal(ledger.stored.size, 1000, String(ledger.failures[0]))
  assert.ok(cluster.broker.server.connections <= 2)
})

test('clients start while no name server is there, and work when one comes', async t => {
  const scenery = await scene(t)
  const { cluster, ledger } = scenery
  cluster.nameServer.server.down()
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  await cluster.outcome(scenery.send(producer, 1))
  assert.match(String(ledger.failures[0]), /10\.0\.0\.1:9876/, 'the error tells who was asked')
  cluster.nameServer.server.up()
  // A server that was dialled in vain rests for a second at most.
  await cluster.advance(1000)
  await goesOn(scenery, () => scenery.send(producer, 10))
  await scenery.untilConsumed(RECOVERY_MS)
})

test('name servers that are gone, or know nothing any more, stop neither sends nor consumers', async t => {
  const scenery = await scene(t, { nameServers: 2 })
  const { cluster } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  await goesOn(scenery, () => scenery.send(producer, 10))
  for (const { server } of cluster.nameServers) server.down()
  await cluster.advance(70_000, 500)
  await goesOn(scenery, () => scenery.send(producer, 10))
  await scenery.untilConsumed(RECOVERY_MS)
  for (const { routes, server } of cluster.nameServers) {
    for (const topic of [TOPIC, '%RETRY%readers', 'TBW102']) routes.set(topic, null)
    server.up()
  }
  await cluster.advance(70_000, 500)
  await goesOn(scenery, () => scenery.send(producer, 10))
  await scenery.untilConsumed(RECOVERY_MS)
})

test('a client that its broker lists twice, as one connection died without a word, keeps all its queues', async t => {
  const scenery = await scene(t, { queues: 4 })
  const { cluster } = scenery
  const consumer = await scenery.consumer()
  const held = (): number => consumer.queues.filter(({ topic }) => topic === TOPIC).length
  await scenery.until(() => held() === 4, RECOVERY_MS)
  cluster.broker.server.freeze()
  await cluster.advance(70_000, 500)
  assert.ok(cluster.broker.clientIds.length === 1 && cluster.broker.server.connections >= 1)
  for (let second = 0; second < 50; second++) {
    await cluster.advance(1000, 500)
    assert.equal(held(), 4)
  }
})

const NOTHING: TopicRoute = { brokerDatas: [], queueDatas: [], filterServerTable: new Map() }

test('a route that becomes empty, loses its master or moves to other brokers is followed', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { cluster, ledger } = scenery
  const [a, b] = cluster.brokers
  assert.ok(a !== undefined && b !== undefined)
  cluster.nameServer.brokers.delete(b)
  const [producer, consumer] = [await scenery.producer(), await scenery.consumer()]
  await goesOn(scenery, () => scenery.send(producer, 10))
  await scenery.untilConsumed()
  cluster.nameServer.routes.set(TOPIC, NOTHING)
  await cluster.advance(61_000, 500)
  const failed = ledger.failures.length
  await cluster.outcome(scenery.send(producer, 1))
  assert.equal(ledger.failures.length, failed + 1)
  // As in Apache's client: a name server that forgot a topic does not stop who consumes it.
  assert.equal(consumer.queues.filter(({ topic }) => topic === TOPIC).length, 2)
  // Only a slave is left, which nobody can be asked for here: no address 0.
  const slaveOnly = { ...a.brokerData, brokerAddrs: new Map([[1, '10.0.1.9:10911']]) }
  const queueDatas = [{ brokerName: a.name, readQueueNums: 2, writeQueueNums: 2, perm: 6, topicSysFlag: 0 }]
  cluster.nameServer.routes.set(TOPIC, { ...NOTHING, brokerDatas: [slaveOnly], queueDatas })
  await cluster.advance(61_000, 500)
  await cluster.outcome(scenery.send(producer, 1))
  assert.equal(ledger.failures.length, failed + 2)
  cluster.nameServer.routes.delete(TOPIC)
  cluster.nameServer.brokers.delete(a)
  cluster.nameServer.brokers.add(b)
  await cluster.advance(61_000, 500)
  await goesOn(scenery, () => scenery.send(producer, 10))
  await scenery.untilConsumed(RECOVERY_MS)
  assert.ok(b.log.messages(TOPIC).length >= 10)
})

test('queues of a member that died without a word go to the other', async t => {
  const scenery = await scene(t, { queues: 4 })
  const { cluster } = scenery
  const dying = await scenery.consumer()
  const living = await scenery.consumer()
  const producer = await scenery.producer()
  const held = (): number => living.queues.filter(({ topic }) => topic === TOPIC).length
  await scenery.until(() => held() === 2, RECOVERY_MS)
  assert.equal(held(), 2)
  await cluster.outcome(dying.close())
  await scenery.until(() => held() === 4, RECOVERY_MS)
  assert.equal(held(), 4)
  await goesOn(scenery, () => scenery.send(producer, 20))
  await scenery.untilConsumed(RECOVERY_MS)
})

test('heartbeats go out every 30 seconds, whatever happens to one of them', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { cluster } = scenery
  await scenery.consumer()
  const [a, b] = cluster.brokers
  a?.fault('HEART_BEAT', { answer: 'never', times: Number.POSITIVE_INFINITY })
  const count = (broker = b): number => broker?.server.requestsOf('HEART_BEAT').length ?? 0
  const [beforeA, beforeB] = [count(a), count(b)]
  await cluster.advance(300_000, 500)
  assert.ok(count(a) - beforeA >= 10, `the broker that answers none got ${count(a) - beforeA}`)
  assert.ok(count(b) - beforeB >= 10, `the other got ${count(b) - beforeB}`)
})

for (const hours of [-5, 5]) {
  test(`when the clock is set by ${hours} hours nothing is lost, doubled, or late`, async t => {
    const scenery = await scene(t, { brokers: 2 })
    const { cluster, ledger } = scenery
    const [producer, consumer] = [await scenery.producer(), await scenery.consumer()]
    await goesOn(scenery, () => scenery.send(producer, 10))
    await scenery.untilConsumed()
    const queues = consumer.queues.length
    cluster.broker.down()
    await cluster.outcome(scenery.send(producer, 10, 1000))
    // Long enough that it was dialled in vain.
    await cluster.advance(1500)
    cluster.brokers[1]?.server.freeze()
    const sends = scenery.send(producer, 10, 3000)
    await cluster.settle()
    cluster.clock.jump(hours * 3_600_000)
    const since = cluster.clock.elapsed()
    await cluster.outcome(sends)
    const took = cluster.clock.elapsed() - since
    assert.ok(took >= 2900 && took <= 4000, `sends of 3 seconds took ${took} ms`)
    cluster.broker.up()
    await cluster.advance(5000)
    assert.ok(cluster.broker.server.connections > 0, 'it is dialled again soon')
    await goesOn(scenery, () => scenery.send(producer, 10))
    await scenery.untilConsumed(RECOVERY_MS)
    assert.equal(consumer.queues.length, queues, 'no queue was given up')
    assert.equal(ledger.doubles, 0)
  })
}

test('many small steps of the clock to and fro change nothing', async t => {
  const scenery = await scene(t)
  const { cluster, ledger } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  for (let step = 0; step < 100; step++) {
    cluster.clock.jump(step % 2 === 0 ? -90_000 : 130_000)
    await cluster.outcome(scenery.send(producer, 1))
    await cluster.advance(700, 100)
  }
  await scenery.untilConsumed()
  assert.deepEqual(ledger.failures, [])
  assert.equal(ledger.doubles, 0)
})
