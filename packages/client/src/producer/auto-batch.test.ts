import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { stage, type StageOptions } from '@gantrymq/testkit'
import { Producer, type ProducerOptions } from './producer.ts'

async function staged(t: TestContext, settings: Partial<ProducerOptions> = {}, options: StageOptions = {}) {
  const play = await stage(t, options)
  for (const broker of play.brokers) broker.setTopic('Orders', { readQueues: 2 })
  const { nameServerList: nameServers, clock, dial } = play
  const given = { nameServers, clock, dial, group: 'orders', autoBatch: true, ...settings }
  const producer = play.own(await play.outcome(Producer.start(given)))
  const batches = () => play.broker.server.requestsOf('SEND_BATCH_MESSAGE').length
  const singles = () => play.broker.server.requestsOf('SEND_MESSAGE_V2').length
  return { play, producer, batches, singles }
}

const message = (body: string, more: object = {}) => ({ topic: 'Orders', body, ...more })

test('single sends of a moment go as one batch, and each has a receipt of its own', async t => {
  const { play, producer, batches, singles } = await staged(t)
  const sends = ['a', 'b', 'c'].map(body => producer.send(message(body)))
  const receipts = await play.outcome(Promise.all(sends), { stepMs: 5 })
  assert.deepEqual([batches(), singles()], [1, 0])
  assert.deepEqual(
    receipts.map(({ queueOffset }) => queueOffset),
    [0, 1, 2],
  )
  assert.equal(new Set(receipts.map(({ messageId }) => messageId)).size, 3)
  assert.deepEqual(
    play.broker.log.messages('Orders').map(({ message: { body } }) => String(body)),
    ['a', 'b', 'c'],
  )
})

test('a full batch goes at once, without waiting for the time', async t => {
  const { play, producer, batches } = await staged(t, { autoBatchBytes: 10 })
  const sends = [producer.send(message('12345')), producer.send(message('67890'))]
  await play.outcome(Promise.all(sends), { stepMs: 0 })
  assert.equal(batches(), 1)
})

test('messages of other tags, and delayed ones, do not share a batch', async t => {
  const { play, producer, batches, singles } = await staged(t)
  const sends = [{ tags: 'x' }, { tags: 'x' }, { tags: 'y' }, { delayLevel: 1 }].map(more =>
    producer.send(message('m', more)),
  )
  await play.outcome(Promise.all(sends), { stepMs: 5 })
  assert.deepEqual([batches(), singles()], [1, 2])
})

test('a message that is illegal is refused by itself, and the others of its moment are sent', async t => {
  const { play, producer } = await staged(t, { maxMessageSize: 10 })
  const bad = assert.rejects(producer.send(message('far too long for this')), { code: 'MESSAGE_ILLEGAL' })
  const good = [producer.send(message('a')), producer.send(message('b'))]
  await play.outcome(Promise.all([bad, ...good]), { stepMs: 5 })
  assert.equal(play.broker.log.messages('Orders').length, 2)
})

test('what is no message, or no option, is refused as without batches', async t => {
  const { play, producer } = await staged(t)
  const given: readonly (readonly unknown[])[] = [
    [null],
    [{ body: 'x' }],
    [{ topic: 5, body: 'x' }],
    [{ topic: 'Orders', body: 'x' }, null],
    [{ topic: 'Orders', body: 'x' }, { queue: null }],
  ]
  for (const each of given) {
    const sent = Reflect.apply(Reflect.get(producer, 'send'), producer, each)
    await assert.rejects(play.outcome(sent), { name: 'ClientError' })
  }
})

test('when too much waits already, messages go by themselves', async t => {
  const { play, producer, singles } = await staged(t, { autoBatchHeldBytes: 4 })
  const sends = ['12345', '6'].map(body => producer.send(message(body)))
  await play.outcome(Promise.all(sends), { stepMs: 5 })
  assert.equal(singles(), 2)
})

test('what waits is sent before the producer closes', async t => {
  const { play, producer } = await staged(t, { autoBatchDelayMs: 30_000 })
  const sends = [producer.send(message('a')), producer.send(message('b'))]
  await play.settle()
  await play.outcome(producer.close(), { stepMs: 5 })
  await Promise.all(sends)
  assert.equal(play.broker.log.messages('Orders').length, 2)
})

test('a failure is told to every sender of the batch', async t => {
  const { play, producer } = await staged(t)
  play.broker.fault('SEND_BATCH_MESSAGE', { answer: 'code', code: 13, remark: 'no', times: 10 })
  const sends = ['a', 'b'].map(body => assert.rejects(producer.send(message(body)), { responseCode: 13 }))
  await play.outcome(Promise.all(sends), { stepMs: 5 })
})

test('topics given at the start are known before the first send, missing ones are not held against it', async t => {
  const { play } = await staged(t, { topics: ['Orders', 'Missing'], autoBatch: false })
  const asked = play.nameServer.server.requestsOf('GET_ROUTEINFO_BY_TOPIC').map(({ header }) => header['topic'])
  assert.ok(asked.includes('Orders') && asked.includes('Missing'))
})

test('a broker that a send failed at is asked whether it is there again', async t => {
  const { play, producer } = await staged(t, { autoBatch: false, probeBrokers: true }, { brokers: 2 })
  const probes = () => play.broker.server.requestsOf('GET_MAX_OFFSET').length
  play.broker.fault('SEND_MESSAGE_V2', { answer: 'hang-up', handled: false })
  for (let sent = 0; sent < 4; sent++) await play.outcome(producer.send(message('m')))
  await play.advance(6000, 500)
  assert.equal(probes(), 1)
  await play.advance(6000, 500)
  assert.equal(probes(), 1)
})
