import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { Producer, PushConsumer } from '@gantrymq/client'
import { type RocketMQ, startRocketMQ } from './rocketmq.ts'

async function started(t: TestContext): Promise<RocketMQ> {
  const mq = await startRocketMQ()
  t.after(() => mq.close())
  return mq
}

async function producerOf(t: TestContext, mq: RocketMQ): Promise<Producer> {
  const producer = await Producer.start({ ...mq.connection, group: 'shop' })
  t.after(() => producer.close())
  return producer
}

/** A consumer that notes the bodies that it has received. */
async function consumerOf(
  t: TestContext,
  mq: RocketMQ,
  onBody: (body: string) => void = () => {},
  maxReconsumeTimes = 16,
): Promise<{ readonly received: string[]; readonly consumer: PushConsumer }> {
  const received: string[] = []
  const consumer = await PushConsumer.start({
    ...mq.connection,
    group: 'billing',
    subscriptions: { Orders: '*' },
    consumeFrom: 'first',
    maxReconsumeTimes,
    onMessage: message => {
      const body = message.body.toString()
      received.push(body)
      onBody(body)
    },
  })
  t.after(() => consumer.close())
  return { received, consumer }
}

suite('a RocketMQ in a test', () => {
  test('what is sent is stored and consumed', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    for (const body of ['one', 'two', 'three']) await producer.send({ topic: 'Orders', body, tags: 'new', keys: ['k'] })
    const messages = await mq.messages('Orders')
    assert.deepEqual(
      messages.map(({ text, tags, keys }) => [text, tags, keys]),
      [
        ['one', 'new', ['k']],
        ['two', 'new', ['k']],
        ['three', 'new', ['k']],
      ],
    )
    const { received } = await consumerOf(t, mq)
    await mq.idle('billing')
    assert.deepEqual(received.toSorted(), ['one', 'three', 'two'])
    assert.deepEqual(mq.group('billing'), { lag: 0, members: 1 })
  })

  test('a delayed message comes when the time has been moved', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    const { received } = await consumerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'later', delayLevel: 16 })
    await mq.advance({ minutes: 29 })
    assert.deepEqual(received, [])
    await mq.advance({ minutes: 1, seconds: 5 })
    assert.deepEqual(received, ['later'])
  })

  test('hours pass without a problem of clients that are connected', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'one' })
    const problems: string[] = []
    const consumer = await PushConsumer.start({
      ...mq.connection,
      group: 'billing',
      subscriptions: { Orders: '*' },
      onMessage() {},
      onProblem: ({ message }) => void problems.push(message),
    })
    t.after(() => consumer.close())
    const before = mq.now.getTime()
    await mq.advance({ hours: 2 })
    assert.deepEqual(problems, [])
    assert.equal(Math.floor((mq.now.getTime() - before) / 60_000), 2 * 60)
    assert.equal(mq.group('billing').members, 1)
  })

  test('timers that a test runner fakes do not stop it', async t => {
    const { performance } = globalThis
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'], now: Date.UTC(2030, 0, 1) })
    globalThis.performance = { now: () => 0 } as typeof performance
    t.after(() => {
      globalThis.performance = performance
    })
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    const { received } = await consumerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'now' })
    await producer.send({ topic: 'Orders', body: 'in two hours', delayLevel: 18 })
    await mq.idle('billing')
    assert.deepEqual(received, ['now'])
    await mq.advance({ hours: 2, seconds: 1 })
    await mq.idle('billing')
    assert.deepEqual(received, ['now', 'in two hours'])
    await mq.reset()
    await producer.send({ topic: 'Orders', body: 'after the reset' })
  })

  test('a request fails as it was told, and the client copes', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    mq.fail.next('SEND_MESSAGE', { code: 2, remark: 'busy', times: 2 })
    await producer.send({ topic: 'Orders', body: 'third try' })
    mq.fail.next('SEND_MESSAGE', { code: 13, remark: 'the message is illegal', times: 3 })
    await assert.rejects(producer.send({ topic: 'Orders', body: 'never' }), /the message is illegal/)
    assert.deepEqual(
      (await mq.messages('Orders')).map(({ text }) => text),
      ['third try'],
    )
    assert.throws(() => mq.fail.next('SEND_MESAGE'), /did you mean SEND_MESSAGE/)
  })

  test('answers may be late, lost with the connection, or changed', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'at once' })
    mq.fail.delay('SEND_MESSAGE', { ms: 2000 })
    let answers = 0
    const late = producer.send({ topic: 'Orders', body: 'late' }).then(() => answers++)
    // The broker stores the next message after it, and answers at once.
    await producer.send({ topic: 'Orders', body: 'meanwhile' })
    assert.equal((await mq.messages('Orders')).length, 3)
    assert.equal(answers, 0, 'the message is stored, and the answer comes later')
    await mq.advance({ seconds: 3 })
    await late
    mq.fail.hangUp('SEND_MESSAGE')
    await producer.send({ topic: 'Orders', body: 'twice' })
    const seen: (string | undefined)[] = []
    mq.fail.alter('SEND_MESSAGE', (answer, { header }) => {
      seen.push(header['b'])
      return { ...answer, code: 13, remark: 'changed on its way' }
    })
    await assert.rejects(producer.send({ topic: 'Orders', body: 'stored' }), /changed on its way/)
    assert.deepEqual(seen, ['Orders'])
    assert.deepEqual(
      (await mq.messages('Orders')).map(({ text }) => text),
      ['at once', 'late', 'meanwhile', 'twice', 'twice', 'stored'],
    )
  })

  test('a broker that is out of reach comes back with its messages', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'before' })
    mq.stopBroker()
    await assert.rejects(producer.send({ topic: 'Orders', body: 'lost' }, { timeoutMs: 300 }))
    mq.startBroker()
    await mq.advance({ seconds: 30 })
    await producer.send({ topic: 'Orders', body: 'after' })
    assert.deepEqual(
      (await mq.messages('Orders')).map(({ text }) => text),
      ['before', 'after'],
    )
  })

  test('a broker that was killed comes back with everything that it has acknowledged', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    const { received } = await consumerOf(t, mq)
    for (const body of ['one', 'two', 'three']) await producer.send({ topic: 'Orders', body })
    await producer.send({ topic: 'Orders', body: 'later', delayLevel: 4 })
    await mq.idle('billing')
    await mq.advance({ seconds: 5 })
    assert.deepEqual(received.toSorted(), ['one', 'three', 'two'])

    await mq.killBroker()
    assert.throws(() => mq.group('billing'), /the broker was killed: call restartBroker first/)
    await assert.rejects(producer.send({ topic: 'Orders', body: 'lost' }, { timeoutMs: 300 }))
    await mq.restartBroker()
    assert.deepEqual((await mq.messages('Orders')).length, 3)
    assert.deepEqual(mq.group('billing').lag, 0, 'the offsets are those that were written')
    await mq.advance({ seconds: 31 })
    await producer.send({ topic: 'Orders', body: 'after' })
    await mq.idle('billing')
    assert.deepEqual(received.toSorted(), ['after', 'later', 'one', 'three', 'two'])
  })

  test('offsets that the broker had not written when it was killed are consumed again, and after a restart they are not', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    const first = await consumerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'one' })
    await mq.idle('billing')
    await mq.advance({ seconds: 5 })
    await producer.send({ topic: 'Orders', body: 'two' })
    await mq.idle('billing')
    await first.consumer.close()
    await mq.killBroker()
    await mq.restartBroker()
    assert.equal(mq.group('billing').lag, 1)
    const second = await consumerOf(t, mq)
    await mq.idle('billing')
    assert.deepEqual(second.received, ['two'])
    await second.consumer.close()
    await mq.restartBroker()
    assert.equal(mq.group('billing').lag, 0)
    assert.equal((await mq.messages('Orders')).length, 2)
  })

  test('a group that does not consume is named with its queues', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'poison' })
    const { consumer } = await consumerOf(t, mq)
    await mq.idle('billing')
    await consumer.close()
    await producer.send({ topic: 'Orders', body: 'waits' })
    await producer.send({ topic: 'Orders', body: 'waits' })
    await assert.rejects(
      mq.idle('billing', { timeoutMs: 100 }),
      /the group billing has not consumed everything in 100 ms: 1 in queue \d of Orders.*no consumer of it is connected/,
    )
  })

  test('commits that are lost stay lost, and the messages are consumed again', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    const first = await consumerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'one' })
    await mq.idle('billing')
    mq.fail.hang('UPDATE_CONSUMER_OFFSET', { times: Number.POSITIVE_INFINITY })
    await producer.send({ topic: 'Orders', body: 'two' })
    await assert.rejects(mq.idle('billing', { timeoutMs: 200 }), /1 in queue \d of Orders/)
    assert.deepEqual(first.received, ['one', 'two'])
    mq.stopBroker()
    await first.consumer.close()
    mq.fail.clear()
    mq.startBroker()
    const second = await consumerOf(t, mq)
    await mq.idle('billing')
    assert.deepEqual(second.received, ['two'])
  })

  test('a group is idle when messages that failed have come again, and the last retry has made them dead letters', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    const tries = new Map<string, number>()
    const onBody = (body: string): void => {
      tries.set(body, (tries.get(body) ?? 0) + 1)
      if (body === 'poison' || (body === 'at the third try' && tries.get(body) !== 3)) throw new Error('not now')
    }
    await consumerOf(t, mq, onBody, 4)
    await producer.send({ topic: 'Orders', body: 'at the third try' })
    await mq.idle('billing')
    assert.deepEqual([...tries], [['at the third try', 3]])
    await producer.send({ topic: 'Orders', body: 'poison' })
    await assert.rejects(mq.idle('billing', { timeoutMs: 1 }), /has not consumed everything in 1 ms/)
    await mq.idle('billing')
    assert.equal(tries.get('poison'), 5)
    assert.deepEqual(
      (await mq.deadLetters('billing')).map(({ text }) => text),
      ['poison'],
    )
  })

  test('a group that the broker does not know is waited for, and an error names those that there are', async t => {
    const mq = await started(t)
    await producerOf(t, mq).then(producer => producer.send({ topic: 'Orders', body: 'one' }))
    const waiting = mq.idle('billing')
    const { received } = await consumerOf(t, mq)
    await waiting
    assert.deepEqual(received, ['one'])
    await assert.rejects(mq.idle('biling', { timeoutMs: 50 }), {
      message: 'the broker has not heard of a group biling in 50 ms: consumers are connected of billing',
    })
  })

  test('an error says at once that the broker does not know the offsets of a group that broadcasts', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'one' })
    const offsetsFolder = await mkdtemp(join(tmpdir(), 'broadcast-'))
    t.after(() => rm(offsetsFolder, { recursive: true }))
    const settings = { group: 'news', subscriptions: { Orders: '*' }, broadcast: true, offsetsFolder, onMessage() {} }
    const consumer = await PushConsumer.start({ ...mq.connection, ...settings })
    t.after(() => consumer.close())
    await assert.rejects(mq.idle('news'), /it broadcasts, so its members keep their offsets/)
  })

  test('mistyped options, spans and faults are refused with the name that was meant', async t => {
    const mq = await started(t)
    const cases: readonly (readonly [() => unknown, RegExp])[] = [
      [() => startRocketMQ({ broker: { listenPort: 1 } as object }), /startRocketMQ chooses listenPort itself/],
      [() => startRocketMQ({ brokers: {} } as object), /did you mean broker\?/],
      [() => mq.advance({ hour: 2 } as object), /did you mean hours\?/],
      [() => mq.advance(2000 as never), /a span is an object with days, hours/],
      [() => mq.advance({ hours: Number.POSITIVE_INFINITY }), /time cannot pass by/],
      [() => mq.idle('g', { timeout: 100 } as object), /did you mean timeoutMs\?/],
      [() => mq.idle('g', { timeoutMs: Number.NaN }), /timeoutMs is NaN/],
      [async () => mq.fail.next('SEND_MESSAGE', { time: 2 } as object), /did you mean times\?/],
      [async () => mq.fail.hang('SEND_MESSAGE', { times: -1 }), /times is -1/],
      [async () => mq.fail.next('SEND_MESSAGE', { code: 'SYSTEM_BUSY' } as object), /code is SYSTEM_BUSY/],
      [async () => mq.fail.delay('SEND_MESSAGE', { ms: Number.NaN }), /ms is NaN/],
      [async () => mq.fail.alter('SEND_MESSAGE', undefined as never), /by a function/],
    ]
    for (const [act, message] of cases) await assert.rejects(async () => act(), { code: 'BAD_OPTION', message })
  })

  test('a mistake in the function that alters an answer is what the client sees', async t => {
    const mq = await started(t)
    const producer = await producerOf(t, mq)
    mq.fail.alter('SEND_MESSAGE', () => {
      throw new Error('not so')
    })
    await assert.rejects(
      producer.send({ topic: 'Orders', body: 'one' }),
      /alters the answer to SEND_\w+ failed: Error: not so/,
    )
  })

  test('starts and ends that overlap happen one after the other, and nothing starts after the close', async t => {
    const mq = await started(t)
    const { nameServers } = mq.connection
    await Promise.all([mq.reset(), mq.restartBroker(), mq.killBroker(), mq.reset()])
    const producer = await producerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'one' })
    const days = mq.advance({ days: 300 })
    await Promise.all([mq.reset(), mq.close(), assert.rejects(days, /has been closed/)])
    for (const act of [
      () => mq.reset(),
      () => mq.restartBroker(),
      () => mq.messages('Orders'),
      () => mq.advance({ ms: 1 }),
    ])
      await assert.rejects(act, /this RocketMQ has been closed/)
    const late = Producer.start({ nameServers, group: 'late' })
    t.after(async () => (await late).close())
    await assert.rejects((await late).send({ topic: 'Orders', body: 'none' }), {
      code: /NO_NAME_SERVER|CONNECT_FAILED|ROUTE_MISSING/,
    })
  })

  test('a client that a test leaves open does not keep the process running', async t => {
    const mq = await started(t)
    const timers = (): number => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
    const before = timers()
    await producerOf(t, mq)
    await consumerOf(t, mq)
    assert.equal(timers(), before)
  })

  test('a reset forgets everything and keeps the address', async t => {
    const mq = await started(t)
    const { nameServers } = mq.connection
    const first = await Producer.start({ ...mq.connection, group: 'shop' })
    await first.send({ topic: 'Orders', body: 'old' })
    await first.close()
    await mq.advance({ hours: 1 })
    await mq.reset()
    assert.equal(mq.connection.nameServers, nameServers)
    assert.ok(Math.abs(mq.now.getTime() - Date.now()) < 60_000, 'a test after it does not see that time was moved')
    assert.deepEqual(await mq.messages('Orders'), [])
    const producer = await producerOf(t, mq)
    await producer.send({ topic: 'Orders', body: 'new' })
    assert.deepEqual(
      (await mq.messages('Orders')).map(({ text }) => text),
      ['new'],
    )
  })
})
