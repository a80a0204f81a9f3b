import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { responseCodes, topicRequests } from '@gantrymq/protocol'
import { type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import { folder, startConsumer } from '../../../test/push-fixture.ts'
import { LitePullConsumer } from '../lite-pull-consumer.ts'
import { LocalOffsets } from './local-offsets.ts'

const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }

const onProblem = (): void => {}

type Given = Partial<Parameters<typeof startConsumer>[1]>

/** Consumers that pull automatically. Each pushes the offsets of its messages to `seen`. */
const starts = {
  'a push consumer': async (cluster: TestCluster, seen: number[], given: Given = {}) =>
    void (await startConsumer(cluster, {
      onProblem,
      ...given,
      onMessage: ({ queueOffset }) => void seen.push(queueOffset),
    })),
  'a lite pull consumer': async (cluster: TestCluster, seen: number[], given: Given = {}) => {
    const { nameServerList: nameServers, clock, dial } = cluster
    const own = { group: 'readers', subscriptions: { Orders: '*' }, consumeFrom: 'first', onProblem } as const
    const starting = LitePullConsumer.start({ nameServers, clock, dial, ...own, ...given })
    const consumer = cluster.own(await cluster.outcome(starting))
    void (async () => {
      for await (const { queueOffset } of consumer) seen.push(queueOffset)
    })()
  },
}

async function setUp(t: TestContext, realPorts = false) {
  const cluster = await testCluster(t, { realPorts })
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  /** Resolves when pulls find the messages. */
  const put = async (count: number): Promise<void> => {
    const end = cluster.broker.maxOffset('Orders', 0) + count
    for (let n = 0; n < count; n++) cluster.broker.put({ topic: 'Orders' })
    await cluster.until(() => cluster.broker.maxOffset('Orders', 0) === end)
  }
  return { cluster, put, seen: [] as number[] }
}

async function deleteTopic({ broker }: TestCluster): Promise<void> {
  await broker.operate(topicRequests.DELETE_TOPIC_IN_BROKER, { header: { topic: 'Orders' } })
}

for (const [name, start] of Object.entries(starts)) {
  test(`${name} gets all messages of a topic that was made again while it was away`, async t => {
    const { cluster, put, seen } = await setUp(t)
    await put(3)
    await cluster.broker.commit('Orders', 'readers', 0, 100)
    await start(cluster, seen)
    await cluster.until(() => seen.length === 3, { stepMs: 50 })
    await put(1)
    await cluster.until(() => seen.length === 4, { stepMs: 50 })
    assert.deepEqual(seen, [0, 1, 2, 3])
  })

  test(`${name} gets all messages of a topic that is made again, although its clock is an hour ahead`, async t => {
    const { cluster, put, seen } = await setUp(t)
    const { clock } = cluster
    const ahead = {
      now: () => clock.now() + 3_600_000,
      elapsed: () => clock.elapsed(),
      every: (ms: number, tick: () => void) => clock.every(ms, tick),
    }
    await put(4)
    await cluster.broker.commit('Orders', 'readers', 0, 4)
    await start(cluster, seen, { clock: ahead })
    await cluster.advance(2000)
    await deleteTopic(cluster)
    await cluster.advance(60_000, 500)
    await cluster.broker.setTopic('Orders', { readQueues: 1 })
    await put(6)
    await cluster.until(() => seen.length === 6, { stepMs: 250 })
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5])
  })
}

test('a broadcast consumer gets all messages of a topic that was made again while it was away', async t => {
  // Writing files takes real time, which a cluster on real ports allows for.
  const { cluster, put, seen } = await setUp(t, true)
  const offsetsFolder = await folder(t)
  const given = { broadcast: true, offsetsFolder, instanceName: 'one', clientIp: '10.0.0.5' }
  const before = new LocalOffsets({
    folder: offsetsFolder,
    clientId: '10.0.0.5@one',
    group: 'readers',
    log: { debug() {}, info() {}, warn() {}, error() {} },
  })
  before.update(queue, 100, false)
  await before.persist([queue])
  await put(3)
  await starts['a push consumer'](cluster, seen, given)
  await cluster.until(() => seen.length === 3)
  assert.deepEqual(seen, [0, 1, 2])
})

/** Has a pull of the topic answered with another offset, as from a broker that has fewer messages. */
function moves({ broker }: TestCluster, to: number): void {
  const table = { nextBeginOffset: `${to}`, minOffset: '0', maxOffset: `${to}`, suggestWhichBrokerId: '0' }
  broker.fault('PULL_MESSAGE', {
    answer: 'altered',
    handled: false,
    where: ({ header }) => header['topic'] === 'Orders',
    alter: reply => ({ ...reply, code: responseCodes.PULL_OFFSET_MOVED, extFields: new Map(Object.entries(table)) }),
  })
}

test('a slave that lags behind has a consumer go on where it says, not read all messages again', async t => {
  const { cluster, put, seen } = await setUp(t)
  await put(3)
  await cluster.broker.commit('Orders', 'readers', 0, 3)
  moves(cluster, 2)
  await starts['a push consumer'](cluster, seen)
  await cluster.advance(20_000, 250)
  assert.deepEqual(seen, [2])
})

test('a broker that lost its newest messages has a consumer go on at the end, not read all messages again', async t => {
  const { cluster, put, seen } = await setUp(t)
  await put(3)
  await starts['a push consumer'](cluster, seen)
  await cluster.until(() => seen.length === 3, { stepMs: 50 })
  moves(cluster, 2)
  await cluster.advance(20_000, 250)
  assert.deepEqual(seen, [0, 1, 2, 2])
})
