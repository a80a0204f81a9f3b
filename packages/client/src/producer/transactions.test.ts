import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testCluster } from '@gantrymq/testkit/cluster'
import { Producer, type ProducerOptions } from './producer.ts'
import type { TransactionState } from './transactions.ts'

/** The broker asks for the state of a transaction after half a second, once. */
const CHECKS = { transactionTimeOut: 500, transactionCheckInterval: 600, transactionCheckMax: 1 }
/** By then it has asked. */
const CHECKED_MS = 1300

async function setUp(t: TestContext, settings: Omit<Partial<ProducerOptions>, 'codec'> = {}) {
  const cluster = await testCluster(t, { brokers: [{ options: CHECKS }] })
  await cluster.broker.setTopic('Orders')
  const { nameServerList: nameServers, clock, dial } = cluster
  const checkTransaction = (): TransactionState => 'commit'
  const starting = Producer.start({ nameServers, clock, dial, group: 'orders', checkTransaction, ...settings })
  const producer = cluster.own(await cluster.outcome(starting))
  const visible = () => cluster.broker.messages('Orders').length
  const endings = () => cluster.broker.server.requestsOf('END_TRANSACTION')
  return { cluster, producer, visible, endings }
}

const message = { topic: 'Orders', body: 'hello' }

for (const [state, type, count] of [
  ['commit', '8', 1],
  ['rollback', '12', 0],
  ['unknown', '0', 0],
] as const) {
  test(`after the outcome ${state} consumers see ${count} messages`, async t => {
    const { cluster, producer, visible, endings } = await setUp(t)
    const seen: number[] = []
    const receipt = await cluster.outcome(
      producer.sendInTransaction(message, async (given, half) => {
        assert.equal(given, message)
        assert.equal(half.status, 'SEND_OK')
        seen.push(visible())
        return state
      }),
    )
    await cluster.settle()
    assert.deepEqual([receipt.transactionState, receipt.localError], [state, undefined])
    assert.deepEqual([seen, visible()], [[0], count])
    const [ending] = endings()
    assert.deepEqual([ending?.oneway, ending?.header['commitOrRollback']], [true, type])
    assert.deepEqual([ending?.header['producerGroup'], ending?.header['msgId']], ['orders', receipt.messageId])
    assert.equal(ending?.header['fromTransactionCheck'], 'false')
  })
}

test('when the local transaction throws, the state is unknown and the receipt has the error', async t => {
  const { cluster, producer, endings } = await setUp(t)
  const receipt = await cluster.outcome(
    producer.sendInTransaction(message, async () => {
      throw new Error('no money')
    }),
  )
  assert.equal(receipt.transactionState, 'unknown')
  assert.equal((receipt.localError as Error).message, 'no money')
  await cluster.settle()
  assert.match(endings()[0]?.remark ?? '', /executeLocalTransactionBranch exception: Error: no money/)
})

test('a half message that was not flushed or replicated is rolled back without the local transaction', async t => {
  const { cluster, producer, endings } = await setUp(t)
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 12, handled: true })
  const receipt = await cluster.outcome(producer.sendInTransaction(message, async () => assert.fail('was run')))
  assert.deepEqual([receipt.status, receipt.transactionState], ['FLUSH_SLAVE_TIMEOUT', 'rollback'])
  await cluster.settle()
  assert.equal(endings()[0]?.header['commitOrRollback'], '12')
})

test('transactions require option checkTransaction, and refuse delays', async t => {
  const { producer } = await setUp(t, { checkTransaction: undefined })
  const run = async (): Promise<TransactionState> => 'commit'
  await assert.rejects(producer.sendInTransaction(message, run), { code: 'BAD_OPTION', message: /checkTransaction/ })
  const { producer: other } = await setUp(t)
  const delayed = { ...message, delayLevel: 1 }
  await assert.rejects(other.sendInTransaction(delayed, run), { code: 'MESSAGE_ILLEGAL', message: /delayed/ })
})

test('the broker asks about an unknown transaction and receives the outcome', async t => {
  const asked: unknown[] = []
  const { cluster, producer, visible, endings } = await setUp(t, {
    checkTransaction: async (each): Promise<TransactionState> => {
      asked.push([each.messageId, each.topic, String(each.body), each.property('order'), each.transactionId])
      return 'commit'
    },
  })
  const given = { ...message, properties: { order: '7' } }
  const { messageId } = await cluster.outcome(producer.sendInTransaction(given, async () => 'unknown'))
  await cluster.settle()
  await cluster.advance(CHECKED_MS)
  assert.deepEqual(asked, [[messageId, 'Orders', 'hello', '7', messageId]])
  const ending = endings().at(-1)
  assert.deepEqual([ending?.header['fromTransactionCheck'], ending?.header['commitOrRollback']], ['true', '8'])
  assert.equal(visible(), 1)
})

test('a check that throws, returns nonsense or never settles counts as unknown', async t => {
  const answers: (() => unknown)[] = [
    () => assert.fail('boom'),
    () => 'perhaps',
    () => undefined,
    () => new Promise(() => {}),
  ]
  const { cluster, producer, endings } = await setUp(t, {
    checkTransaction: () => answers.shift()?.() as TransactionState,
  })
  for (let sent = 0; sent < 4; sent++) await cluster.outcome(producer.sendInTransaction(message, async () => 'unknown'))
  await cluster.settle()
  await cluster.advance(CHECKED_MS)
  await cluster.advance(61_000, 1000)
  const ofChecks = endings().filter(({ header }) => header['fromTransactionCheck'] === 'true')
  assert.deepEqual(
    ofChecks.map(({ header }) => header['commitOrRollback']),
    ['0', '0', '0', '0'],
  )
  assert.match(ofChecks[0]?.remark ?? '', /checkLocalTransactionState Exception: AssertionError: boom/)
})

test('few checks run concurrently, and a limited number waits', async t => {
  let running = 0
  let most = 0
  let done = 0
  const allAsked = Promise.withResolvers<void>()
  const { cluster, producer } = await setUp(t, {
    maxTransactionChecks: 3,
    checkTransaction: async (): Promise<TransactionState> => {
      most = Math.max(most, ++running)
      await allAsked.promise
      running--
      done++
      return 'unknown'
    },
  })
  for (let sent = 0; sent < 12; sent++)
    await cluster.outcome(producer.sendInTransaction(message, async () => 'unknown'))
  await cluster.settle()
  await cluster.advance(CHECKED_MS)
  allAsked.resolve()
  await cluster.settle(100)
  assert.deepEqual([most, running, done], [4, 0, 7])
})

test('each producer of a process is asked about its own group only', async t => {
  const asked: string[] = []
  const { cluster, producer } = await setUp(t, { checkTransaction: () => (asked.push('orders'), 'rollback') })
  const { nameServerList: nameServers, clock, dial } = cluster
  const checkTransaction = (): TransactionState => (asked.push('bills'), 'rollback')
  const starting = Producer.start({ nameServers, clock, dial, group: 'bills', checkTransaction })
  const other = cluster.own(await cluster.outcome(starting))
  assert.equal(other.clientId, producer.clientId)
  await cluster.outcome(other.sendInTransaction(message, async () => 'unknown'))
  await cluster.settle()
  await cluster.advance(CHECKED_MS)
  assert.deepEqual(asked, ['bills'])
})

test('a producer without checkTransaction leaves the check to another of its group', async t => {
  const { cluster, producer: plain } = await setUp(t, { checkTransaction: undefined })
  const { nameServerList: nameServers, clock, dial } = cluster
  const checkTransaction = (): TransactionState => 'commit'
  const starting = Producer.start({ nameServers, clock, dial, group: 'orders', checkTransaction })
  const other = cluster.own(await cluster.outcome(starting))
  assert.equal(other.clientId, plain.clientId)
  await cluster.outcome(other.sendInTransaction(message, async () => 'unknown'))
  await cluster.settle()
  await cluster.advance(CHECKED_MS)
  assert.equal(cluster.broker.messages('Orders').length, 1)
})

test('closing waits for a local transaction, so that its outcome is sent', async t => {
  const { cluster, producer, endings } = await setUp(t)
  const done = Promise.withResolvers<TransactionState>()
  const sending = producer.sendInTransaction(message, () => done.promise)
  await cluster.settle()
  const closing = producer.close()
  await cluster.settle()
  done.resolve('commit')
  await cluster.outcome(closing)
  assert.equal((await sending).transactionState, 'commit')
  assert.equal(endings()[0]?.header['commitOrRollback'], '8')
})
