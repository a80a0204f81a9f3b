import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Stage, stage } from '@gantrymq/testkit'
import { startConsumer } from '../../../test/push-scene.ts'
import { LitePullConsumer } from '../lite-pull-consumer.ts'

async function startLite(play: Stage) {
  const { nameServerList: nameServers, clock, dial } = play
  const own = { group: 'readers', subscriptions: { Orders: '*' }, consumeFrom: 'first' } as const
  return play.own(await play.outcome(LitePullConsumer.start({ nameServers, clock, dial, ...own })))
}

/** Consumers that pull by themselves, and how to see what they have got. */
const faces = [
  [
    'a push consumer',
    async (play: Stage, seen: number[]) =>
      void (await startConsumer(play, { onMessage: ({ queueOffset }) => void seen.push(queueOffset) })),
  ],
  [
    'a lite pull consumer',
    async (play: Stage, seen: number[]) => {
      const consumer = await startLite(play)
      void (async () => {
        for await (const { queueOffset } of consumer) seen.push(queueOffset)
      })()
    },
  ],
] as const

/** The broker answers at once that there is nothing, so many times. */
function neverWaits(t: TestContext, { broker }: Stage, times: number): void {
  const { waiting } = broker.state
  const hold = waiting.hold.bind(waiting)
  let left = times
  t.mock.method(waiting, 'hold', (...[wait, look]: Parameters<typeof hold>) => {
    if (wait.key === 'pull Orders@0' && left-- > 0) look('last')
    else hold(wait, look)
  })
}

for (const [name, begin] of faces) {
  test(`${name} that is sent to a slave which refuses goes back to the master`, async t => {
    const play = await stage(t, { brokers: [{ suggests: 1 }, { name: 'broker-a', id: 1 }] })
    for (const broker of play.brokers) broker.setTopic('Orders', { readQueues: 1 })
    const refused = play.brokers[1]?.fault('*', {
      answer: 'code',
      code: 16,
      times: Infinity,
      where: ({ name }) => name.endsWith('PULL_MESSAGE'),
    })
    const seen: number[] = []
    await begin(play, seen)
    for (let n = 0; n < 3; n++) {
      play.broker.put({ topic: 'Orders' })
      await play.advance(20_000, 250)
    }
    assert.deepEqual(seen, [0, 1, 2])
    assert.ok((refused?.met ?? 0) >= 2)
  })

  test(`${name} rests between answers that come at once and bring nothing`, async t => {
    const play = await stage(t)
    play.broker.setTopic('Orders', { readQueues: 1 })
    neverWaits(t, play, 200)
    await begin(play, [])
    await play.advance(5000)
    const pulls = play.broker.requests.filter(
      ({ name, header }) => name.endsWith('PULL_MESSAGE') && header['topic'] === 'Orders',
    )
    assert.ok(pulls.length > 20 && pulls.length < 60, `${pulls.length} pulls in 5 s`)
  })
}
