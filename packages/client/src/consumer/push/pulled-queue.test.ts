import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type TestCluster, testCluster } from '@gantrymq/testkit'
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
function neverWaits(t: TestContext, { broker }: TestCluster, times: number): void {
  const { waiting } = broker.state
  const hold = waiting.hold.bind(waiting)
  let left = times
  t.mock.method(waiting, 'hold', (...[wait, look]: Parameters<typeof hold>) => {
    if (wait.key === 'pull Orders@0' && left-- > 0) look('last')
    else hold(wait, look)
  })
}

for (const [name, start] of consumers) {
  test(`${name} returns to the master if the suggested slave refuses its pulls`, async t => {
    const cluster = await testCluster(t, { brokers: [{ suggests: 1 }, { name: 'broker-a', id: 1 }] })
    for (const broker of cluster.brokers) broker.setTopic('Orders', { readQueues: 1 })
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
    cluster.broker.setTopic('Orders', { readQueues: 1 })
    neverWaits(t, cluster, 200)
    await start(cluster, [])
    await cluster.advance(5000)
    const pulls = cluster.broker.requests.filter(
      ({ name, header }) => name.endsWith('PULL_MESSAGE') && header['topic'] === 'Orders',
    )
    assert.ok(pulls.length > 20 && pulls.length < 60, `${pulls.length} pulls in 5 s`)
  })
}
