import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicRoute } from '@gantrymq/protocol'
import { ClientError } from '../src/errors.ts'
import { type Scene, scene, TOPIC } from './survival-scene.ts'

/** All that was stored has come, and the group goes on by itself in so long after a trouble (Apache's heartbeats and pulls). */
const RECOVERY_MS = 35_000

async function goesOn({ play, ledger }: Scene, send: () => Promise<void>): Promise<void> {
  const before = ledger.stored.size
  await play.outcome(send())
  assert.ok(ledger.stored.size > before, String(ledger.failures.at(-1)))
}

test('a broker that is killed and comes back is consumed again without help, and nobody storms it', async t => {
  const scenery = await scene(t)
  const { play, ledger, dials } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  await play.outcome(scenery.send(producer, 20))
  await scenery.untilConsumed()
  play.broker.down()
  const before = dials.length
  for (let second = 0; second < 60; second++) {
    void scenery.send(producer, 20, 1000)
    await play.advance(1000)
  }
  const dialled = dials.slice(before).filter(({ address }) => address === play.broker.address).length
  assert.ok(
    dialled >= 30 && dialled < 150,
    `${dialled} attempts to connect in a minute, with 1,200 sends and two pulls`,
  )
  assert.ok(ledger.failures.every(error => error instanceof ClientError && error.retriable))
  play.broker.up()
  await scenery.until(() => play.broker.clientIds.length > 0, RECOVERY_MS)
  await goesOn(scenery, () => scenery.send(producer, 20))
  await scenery.untilConsumed(RECOVERY_MS)
  await scenery.until(() => scenery.isCommitted(), RECOVERY_MS)
  assert.ok(scenery.isCommitted())
})

test('while one broker is away another takes the messages, and no send goes to the dead one twice', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { play, ledger } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  await play.outcome(scenery.send(producer, 8))
  play.broker.down()
  await play.outcome(scenery.send(producer, 100))
  assert.deepEqual(ledger.failures, [])
  assert.equal(ledger.stored.size, 108)
  await scenery.untilConsumed(RECOVERY_MS)
})

for (const rest of [true, false]) {
  test(`no message is tried twice at a broker that refuses while another lives, ${rest ? 'with' : 'without'} rests`, async t => {
    const scenery = await scene(t, { brokers: 2 })
    const { play, ledger } = scenery
    const producer = await scenery.producer({ faultLatency: rest })
    for (const answer of [
      { answer: 'code', code: 14 },
      { answer: 'hang-up', handled: false },
    ] as const) {
      const fault = play.broker.fault('SEND_MESSAGE_V2', { ...answer, times: Number.POSITIVE_INFINITY })
      for (let count = 0; count < 30; count++) await play.outcome(scenery.send(producer, 1), { stepMs: 1 })
      // A broker that rests is not even asked the second time.
      assert.ok(fault.met > 0 || rest)
      fault.lift()
    }
    assert.equal(ledger.stored.size, 60, String(ledger.failures[0]))
    const tried = play.broker.server.requestsOf('SEND_MESSAGE_V2').map(({ body }) => String(body))
    assert.equal(new Set(tried).size, tried.length, 'no message came to it twice')
  })
}

test('a broker that hangs when it is dialled does not keep sends from the other', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { play, ledger } = scenery
  const producer = await scenery.producer({ attemptTimeoutMs: 1000 })
  play.broker.server.door = 'hangs'
  await play.outcome(scenery.send(producer, 20, 8000))
  assert.equal(ledger.stored.size, 20, String(ledger.failures[0]))
})

test('a consumer whose connections died without a word goes on within 35 seconds', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { play } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  await play.outcome(scenery.send(producer, 20))
  await scenery.untilConsumed()
  for (const broker of play.brokers) broker.server.freeze()
  await play.outcome(scenery.send(producer, 20, 20_000))
  await goesOn(scenery, () => scenery.send(producer, 20))
  await scenery.untilConsumed(RECOVERY_MS)
})

test('a thousand disconnects in a row lose nothing and leave nothing behind', async t => {
  const scenery = await scene(t)
  const { play, ledger } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  for (let round = 0; round < 1000; round++) {
    const sends = scenery.send(producer, 1)
    if (round % 3 === 0) await play.settle(round % 7)
    play.broker.server.dropAll()
    await play.outcome(sends, { stepMs: 20 })
  }
  await scenery.untilConsumed(RECOVERY_MS)
  assert.equal(ledger.stored.size, 1000, String(ledger.failures[0]))
  assert.ok(play.broker.server.connections <= 2)
})

test('clients start while no name server is there, and work when one comes', async t => {
  const scenery = await scene(t)
  const { play, ledger } = scenery
  play.nameServer.server.down()
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  await play.outcome(scenery.send(producer, 1))
  assert.match(String(ledger.failures[0]), /10\.0\.0\.1:9876/, 'the error tells who was asked')
  play.nameServer.server.up()
  // A server that was dialled in vain rests for a second at most.
  await play.advance(1000)
  await goesOn(scenery, () => scenery.send(producer, 10))
  await scenery.untilConsumed(RECOVERY_MS)
})

test('name servers that are gone, or know nothing any more, stop neither sends nor consumers', async t => {
  const scenery = await scene(t, { nameServers: 2 })
  const { play } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  await goesOn(scenery, () => scenery.send(producer, 10))
  for (const { server } of play.nameServers) server.down()
  await play.advance(70_000, 500)
  await goesOn(scenery, () => scenery.send(producer, 10))
  await scenery.untilConsumed(RECOVERY_MS)
  for (const { routes, server } of play.nameServers) {
    for (const topic of [TOPIC, '%RETRY%readers', 'TBW102']) routes.set(topic, null)
    server.up()
  }
  await play.advance(70_000, 500)
  await goesOn(scenery, () => scenery.send(producer, 10))
  await scenery.untilConsumed(RECOVERY_MS)
})

test('a client that its broker lists twice, as one connection died without a word, keeps all its queues', async t => {
  const scenery = await scene(t, { queues: 4 })
  const { play } = scenery
  const consumer = await scenery.consumer()
  const held = (): number => consumer.queues.filter(({ topic }) => topic === TOPIC).length
  await scenery.until(() => held() === 4, RECOVERY_MS)
  play.broker.server.freeze()
  await play.advance(70_000, 500)
  assert.ok(play.broker.clientIds.length === 1 && play.broker.server.connections >= 1)
  for (let second = 0; second < 50; second++) {
    await play.advance(1000, 500)
    assert.equal(held(), 4)
  }
})

const NOTHING: TopicRoute = { brokerDatas: [], queueDatas: [], filterServerTable: new Map() }

test('a route that becomes empty, loses its master or moves to other brokers is followed', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { play, ledger } = scenery
  const [a, b] = play.brokers
  assert.ok(a !== undefined && b !== undefined)
  play.nameServer.brokers.delete(b)
  const [producer, consumer] = [await scenery.producer(), await scenery.consumer()]
  await goesOn(scenery, () => scenery.send(producer, 10))
  await scenery.untilConsumed()
  play.nameServer.routes.set(TOPIC, NOTHING)
  await play.advance(61_000, 500)
  const failed = ledger.failures.length
  await play.outcome(scenery.send(producer, 1))
  assert.equal(ledger.failures.length, failed + 1)
  // As in Apache's client: a name server that forgot a topic does not stop who consumes it.
  assert.equal(consumer.queues.filter(({ topic }) => topic === TOPIC).length, 2)
  // Only a slave is left, which nobody can be asked for here: no address 0.
  const slaveOnly = { ...a.brokerData, brokerAddrs: new Map([[1, '10.0.1.9:10911']]) }
  const queueDatas = [{ brokerName: a.name, readQueueNums: 2, writeQueueNums: 2, perm: 6, topicSysFlag: 0 }]
  play.nameServer.routes.set(TOPIC, { ...NOTHING, brokerDatas: [slaveOnly], queueDatas })
  await play.advance(61_000, 500)
  await play.outcome(scenery.send(producer, 1))
  assert.equal(ledger.failures.length, failed + 2)
  play.nameServer.routes.delete(TOPIC)
  play.nameServer.brokers.delete(a)
  play.nameServer.brokers.add(b)
  await play.advance(61_000, 500)
  await goesOn(scenery, () => scenery.send(producer, 10))
  await scenery.untilConsumed(RECOVERY_MS)
  assert.ok(b.log.messages(TOPIC).length >= 10)
})

test('queues of a member that died without a word go to the other', async t => {
  const scenery = await scene(t, { queues: 4 })
  const { play } = scenery
  const dying = await scenery.consumer()
  const living = await scenery.consumer()
  const producer = await scenery.producer()
  const held = (): number => living.queues.filter(({ topic }) => topic === TOPIC).length
  await scenery.until(() => held() === 2, RECOVERY_MS)
  assert.equal(held(), 2)
  await play.outcome(dying.close())
  await scenery.until(() => held() === 4, RECOVERY_MS)
  assert.equal(held(), 4)
  await goesOn(scenery, () => scenery.send(producer, 20))
  await scenery.untilConsumed(RECOVERY_MS)
})

test('heartbeats go out every 30 seconds, whatever happens to one of them', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { play } = scenery
  await scenery.consumer()
  const [a, b] = play.brokers
  a?.fault('HEART_BEAT', { answer: 'never', times: Number.POSITIVE_INFINITY })
  const count = (broker = b): number => broker?.server.requestsOf('HEART_BEAT').length ?? 0
  const [beforeA, beforeB] = [count(a), count(b)]
  await play.advance(300_000, 500)
  assert.ok(count(a) - beforeA >= 10, `the broker that answers none got ${count(a) - beforeA}`)
  assert.ok(count(b) - beforeB >= 10, `the other got ${count(b) - beforeB}`)
})

for (const hours of [-5, 5]) {
  test(`when the clock is set by ${hours} hours nothing is lost, doubled, or late`, async t => {
    const scenery = await scene(t, { brokers: 2 })
    const { play, ledger } = scenery
    const [producer, consumer] = [await scenery.producer(), await scenery.consumer()]
    await goesOn(scenery, () => scenery.send(producer, 10))
    await scenery.untilConsumed()
    const queues = consumer.queues.length
    play.broker.down()
    await play.outcome(scenery.send(producer, 10, 1000))
    // Long enough that it was dialled in vain.
    await play.advance(1500)
    play.brokers[1]?.server.freeze()
    const sends = scenery.send(producer, 10, 3000)
    await play.settle()
    play.clock.jump(hours * 3_600_000)
    const since = play.clock.elapsed()
    await play.outcome(sends)
    const took = play.clock.elapsed() - since
    assert.ok(took >= 2900 && took <= 4000, `sends of 3 seconds took ${took} ms`)
    play.broker.up()
    await play.advance(5000)
    assert.ok(play.broker.server.connections > 0, 'it is dialled again soon')
    await goesOn(scenery, () => scenery.send(producer, 10))
    await scenery.untilConsumed(RECOVERY_MS)
    assert.equal(consumer.queues.length, queues, 'no queue was given up')
    assert.equal(ledger.doubles, 0)
  })
}

test('many small steps of the clock to and fro change nothing', async t => {
  const scenery = await scene(t)
  const { play, ledger } = scenery
  const [producer] = [await scenery.producer(), await scenery.consumer()]
  for (let step = 0; step < 100; step++) {
    play.clock.jump(step % 2 === 0 ? -90_000 : 130_000)
    await play.outcome(scenery.send(producer, 1))
    await play.advance(700, 100)
  }
  await scenery.untilConsumed()
  assert.deepEqual(ledger.failures, [])
  assert.equal(ledger.doubles, 0)
})
