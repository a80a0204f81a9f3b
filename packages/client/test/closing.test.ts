import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from '@gantrymq/testkit/cluster'
import fc from 'fast-check'
import { PushConsumer } from '../src/consumer/push-consumer.ts'
import { ClientError } from '../src/errors.ts'
import { Producer } from '../src/producer/producer.ts'
import { OutageCluster, outageCluster, TOPIC } from './outage-cluster.ts'

type Outage = (cluster: TestCluster) => void

const OUTAGES: Readonly<Record<string, Outage>> = {
  none: () => {},
  'a broker is killed': ({ broker }) => broker.down(),
  'a broker falls silent': ({ broker }) => broker.server.freeze(),
  'connecting to brokers hangs': ({ brokers }) => {
    for (const { server } of brokers) {
      server.accepting = 'hangs'
      server.dropAll()
    }
  },
  'connecting to name servers hangs': ({ nameServers }) => {
    for (const { server } of nameServers) {
      server.accepting = 'hangs'
      server.dropAll()
    }
  },
  'nothing is answered': ({ brokers }) => {
    for (const broker of brokers) broker.fault('*', { answer: 'never', times: Number.POSITIVE_INFINITY })
  },
  'all answers are garbage': ({ brokers }) => {
    for (const broker of brokers) broker.fault('*', { answer: 'garbage', times: Number.POSITIVE_INFINITY })
  },
}

interface Plan {
  /** Turns of the event loop before the outage, and from the outage until the close. */
  readonly outageAt: number
  readonly closeAfter: number
  readonly stepMs: number
  readonly outage: string
  readonly drainMs: number
  readonly listener: 'quick' | 'slow' | 'never' | 'fails'
}

const plans: fc.Arbitrary<Plan> = fc.record({
  outageAt: fc.nat(40),
  closeAfter: fc.nat(40),
  stepMs: fc.constantFrom(0, 7, 60, 900),
  outage: fc.constantFrom(...Object.keys(OUTAGES)),
  drainMs: fc.constantFrom(0, 500, 5000),
  listener: fc.constantFrom('quick', 'slow', 'never', 'fails'),
})

function listenerOf(
  fixture: OutageCluster,
  kind: Plan['listener'],
): (message: { readonly bytes: Buffer }) => Promise<void> {
  return async ({ bytes }) => {
    if (kind === 'never') await new Promise(() => {})
    if (kind === 'slow') await fixture.cluster.settle(10)
    if (kind === 'fails') throw new Error('no')
    fixture.ledger.record(bytes.toString())
  }
}

async function turns({ cluster }: OutageCluster, count: number, stepMs: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await cluster.settle(1)
    if (stepMs > 0) cluster.clock.advance(stepMs)
  }
}

/** Starts the clients, lets the outage happen and closes them. All promises must settle, and nothing may remain. */
async function runPlan(plan: Plan): Promise<OutageCluster> {
  const cluster = await TestCluster.start({ brokers: 2, nameServers: 2 })
  const fixture = new OutageCluster(cluster)
  for (const broker of cluster.brokers) await broker.setTopic(TOPIC, { readQueues: 2 })
  const starting = Promise.all([
    Producer.start(fixture.producerOptions({ retries: 3 })),
    PushConsumer.start(fixture.consumerOptions({ onMessage: listenerOf(fixture, plan.listener) })),
  ])
  const ended = starting.then(async ([producer, consumer]) => {
    const sends = fixture.send(producer, 10)
    await turns(fixture, plan.outageAt, plan.stepMs)
    OUTAGES[plan.outage]?.(cluster)
    const more = fixture.send(producer, 10)
    await turns(fixture, plan.closeAfter, plan.stepMs)
    const { drainMs } = plan
    const closing = [consumer.close({ drainMs }), producer.close({ drainMs })]
    assert.equal(consumer.close(), closing[0], 'a second close returns the same promise')
    assert.equal(producer.close(), closing[1])
    const since = cluster.clock.elapsed()
    await Promise.all(closing)
    assert.ok(cluster.clock.elapsed() - since <= drainMs + 40_000, `took ${cluster.clock.elapsed() - since} ms`)
    await Promise.all([sends, more])
    const late = await producer.send({ topic: TOPIC, body: 'late' }).catch((error: unknown) => error)
    assert.ok(late instanceof ClientError && late.code === 'CLOSED')
  })
  await cluster.outcome(ended)
  await cluster.assertNothingLeft()
  for (const error of fixture.ledger.failures) assert.ok(error instanceof ClientError, String(error))
  return fixture
}

test('clients may be closed at any moment of any outage: all calls end and nothing remains', async () => {
  await fc.assert(
    fc.asyncProperty(plans, async plan => {
      const { cluster } = await runPlan(plan)
      await cluster.close()
    }),
    { numRuns: 40 },
  )
})

test('a consumer that is closed at any step leaves its unfinished messages to the next one, without duplicates', async () => {
  for (let closeAfter = 0; closeAfter < 45; closeAfter += 3) {
    const listener = closeAfter % 2 === 0 ? 'slow' : 'quick'
    const plan: Plan = { outageAt: 0, closeAfter, stepMs: 0, outage: 'none', drainMs: 5000, listener }
    const fixture = await runPlan(plan)
    const { cluster, ledger } = fixture
    const next = await cluster.outcome(PushConsumer.start(fixture.consumerOptions()))
    await fixture.untilConsumed(30_000)
    await cluster.outcome(next.close())
    assert.equal(ledger.duplicates, 0, `closed after ${closeAfter} turns`)
    await cluster.close()
  }
})

test('a listener that never settles does not prevent closing, and its message is delivered again', async t => {
  const fixture = await outageCluster(t)
  const { cluster, ledger } = fixture
  const producer = await fixture.producer()
  let signal: AbortSignal | undefined
  const consumer = await fixture.consumer({
    onMessage: (_, context) => {
      signal = context.signal
      return new Promise(() => {})
    },
  })
  await cluster.outcome(fixture.send(producer, 4))
  await fixture.until(() => signal !== undefined, 30_000)
  await cluster.outcome(consumer.close({ drainMs: 1000 }))
  assert.equal(signal?.aborted, true)
  await fixture.consumer()
  await fixture.untilConsumed()
  assert.equal(ledger.received.size, 4)
})
