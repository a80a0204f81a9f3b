import assert from 'node:assert/strict'
import { test } from 'node:test'
import { responseCodes } from '@gantrymq/protocol'
import { type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import { startConsumer } from '../../../test/push-fixture.ts'
import { LitePullConsumer } from '../lite-pull-consumer.ts'

async function startLite(cluster: TestCluster) {
  const { nameServerList: nameServers, clock, dial } = cluster
  const own = { group: 'readers', subscriptions: { Orders: '*' }, consumeFrom: 'first' } as const
  return cluster.own(await cluster.outcome(LitePullConsumer.start({ nameServers, clock, dial, ...own })))
}

/** Consumers that pull automatically. Each pushes the offsets of its messages to `seen`. */
const consumers = [
  [
    'a push consumer',
    async (cluster: TestCluster, seen: number[]) =>
      void (await startConsumer(cluster, { onMessage: ({ queueOffset }) => void seen.push(queueOffset) })),
  ],
  [
    'a lite pull consumer',
    async (cluster: TestCluster, seen: number[]) => {
      const consumer = await startLite(cluster)
      void (async () => {
        for await (const { queueOffset } of consumer) seen.push(queueOffset)
      })()
    },
  ],
] as const

/** Makes the broker answer the next pulls at once, without messages. */
function neverWaits({ broker }: TestCluster, times: number): void {
  broker.fault('*', {
    answer: 'altered',
    handled: false,
    times,
    where: ({ name, header }) => name.endsWith('PULL_MESSAGE') && header['topic'] === 'Orders',
    alter: (reply, { header }) => ({
      ...reply,
      code: responseCodes.PULL_NOT_FOUND,
      extFields: nothingAt(header['queueOffset']),
    }),
  })
}

const nothingAt = (offset = '0') =>
  new Map([
    ['nextBeginOffset', offset],
    ['minOffset', '0'],
    ['maxOffset', offset],
    ['suggestWhichBrokerId', '0'],
  ])

/** Makes the broker say that the next pulls should go to a slave. */
function suggestsSlave({ broker }: TestCluster): void {
  broker.fault('*', {
    answer: 'altered',
    times: Infinity,
    where: ({ name }) => name.endsWith('PULL_MESSAGE'),
    alter: reply => ({ ...reply, extFields: new Map([...(reply.extFields ?? []), ['suggestWhichBrokerId', '1']]) }),
  })
}

for (const [name, start] of consumers) {
  test(`${name} returns to the master if the suggested slave refuses its pulls`, async t => {
    const cluster = await testCluster(t, { brokers: [{}, { name: 'broker-a', id: 1 }] })
    suggestsSlave(cluster)
    for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 1 })
    const refused = cluster.brokers[1]?.fault('*', {
      answer: 'code',
      code: 16,
      times: Infinity,
      where: ({ name }) => name.endsWith('PULL_MESSAGE'),
    })
    const seen: number[] = []
    await start(cluster, seen)
    for (let n = 0; n < 3; n++) {
      cluster.broker.put({ topic: 'Orders' })
      await cluster.advance(20_000, 250)
    }
    assert.deepEqual(seen, [0, 1, 2])
    assert.ok((refused?.met ?? 0) >= 2)
  })

  test(`${name} rests between replies that come at once without messages`, async t => {
    const cluster = await testCluster(t)
    await cluster.broker.setTopic('Orders', { readQueues: 1 })
    neverWaits(cluster, 200)
    await start(cluster, [])
    await cluster.advance(5000)
    const pulls = cluster.broker.requests.filter(
      ({ name, header }) => name.endsWith('PULL_MESSAGE') && header['topic'] === 'Orders',
    )
    assert.ok(pulls.length > 20 && pulls.length < 60, `${pulls.length} pulls in 5 s`)
  })
}
