import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from '@gantrymq/testkit'
import fc from 'fast-check'
import { PushConsumer } from '../src/consumer/push-consumer.ts'
import { ClientError } from '../src/errors.ts'
import { Producer } from '../src/producer/producer.ts'
import { Scene, scene, TOPIC } from './survival-scene.ts'

type Trouble = (cluster: TestCluster) => void

const TROUBLES: Readonly<Record<string, Trouble>> = {
  none: () => {},
  'a broker is killed': ({ broker }) => broker.down(),
  'a broker falls silent': ({ broker }) => broker.server.freeze(),
  'brokers cannot be dialled': ({ brokers }) => {
    for (const { server } of brokers) {
      server.accepting = 'hangs'
      server.dropAll()
    }
  },
  'name servers hang': ({ nameServers }) => {
    for (const { server } of nameServers) {
      server.accepting = 'hangs'
      server.dropAll()
    }
  },
  'nothing is answered': ({ brokers }) => {
    for (const broker of brokers) broker.fault('*', { answer: 'never', times: Number.POSITIVE_INFINITY })
  },
  'everything is garbage': ({ brokers }) => {
    for (const broker of brokers) broker.fault('*', { answer: 'garbage', times: Number.POSITIVE_INFINITY })
  },
}

interface Plan {
  /** Turns of the loop before the trouble, and from then until the end. */
  readonly troubleAt: number
  readonly closeAfter: number
  readonly stepMs: number
  readonly trouble: string
  readonly drainMs: number
  readonly listener: 'quick' | 'slow' | 'never' | 'fails'
}

const plans: fc.Arbitrary<Plan> = fc.record({
  troubleAt: fc.nat(40),
  closeAfter: fc.nat(40),
  stepMs: fc.constantFrom(0, 7, 60, 900),
  trouble: fc.constantFrom(...Object.keys(TROUBLES)),
  drainMs: fc.constantFrom(0, 500, 5000),
  listener: fc.constantFrom('quick', 'slow', 'never', 'fails'),
})

function listenerOf(scenery: Scene, kind: Plan['listener']): (message: { readonly bytes: Buffer }) => Promise<void> {
  return async ({ bytes }) => {
    if (kind === 'never') await new Promise(() => {})
    if (kind === 'slow') await scenery.cluster.settle(10)
    if (kind === 'fails') throw new Error('no')
    scenery.ledger.note(bytes.toString())
  }
}

async function turns({ cluster }: Scene, count: number, stepMs: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await cluster.settle(1)
    if (stepMs > 0) cluster.clock.advance(stepMs)
  }
}

/** Starts everything, lets a trouble come, closes in the middle of it. All promises must end and nothing may be left. */
async function runPlan(plan: Plan): Promise<Scene> {
  const cluster = new TestCluster({ brokers: 2, nameServers: 2 })
  const scenery = new Scene(cluster)
  for (const broker of cluster.brokers) broker.setTopic(TOPIC, { readQueues: 2 })
  const starting = Promise.all([
    Producer.start(scenery.producerOptions({ retries: 3 })),
    PushConsumer.start(scenery.consumerOptions({ onMessage: listenerOf(scenery, plan.listener) })),
  ])
  const ended = starting.then(async ([producer, consumer]) => {
    const sends = scenery.send(producer, 10)
    await turns(scenery, plan.troubleAt, plan.stepMs)
    TROUBLES[plan.trouble]?.(cluster)
    const more = scenery.send(producer, 10)
    await turns(scenery, plan.closeAfter, plan.stepMs)
    const { drainMs } = plan
    const closing = [consumer.close({ drainMs }), producer.close({ drainMs })]
    assert.equal(consumer.close(), closing[0], 'closing twice is closing once')
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
  for (const error of scenery.ledger.failures) assert.ok(error instanceof ClientError, String(error))
  return scenery
}

test('clients may be closed at any moment of any trouble: every call ends and nothing is left', async () => {
  await fc.assert(
    fc.asyncProperty(plans, async plan => {
      const { cluster } = await runPlan(plan)
      await cluster.close()
    }),
    { numRuns: 40 },
  )
})

test('a consumer that is closed at step n of its life leaves what it did not do to the next, and nothing twice', async () => {
  for (let closeAfter = 0; closeAfter < 45; closeAfter += 3) {
    const listener = closeAfter % 2 === 0 ? 'slow' : 'quick'
    const plan: Plan = { troubleAt: 0, closeAfter, stepMs: 0, trouble: 'none', drainMs: 5000, listener }
    const scenery = await runPlan(plan)
    const { cluster, ledger } = scenery
    const next = await cluster.outcome(PushConsumer.start(scenery.consumerOptions()))
    await scenery.untilConsumed(30_000)
    await cluster.outcome(next.close())
    assert.equal(ledger.doubles, 0, `closed after ${closeAfter} turns`)
    await cluster.close()
  }
})

test('a listener that never returns does not keep the consumer from closing, and its message comes again', async t => {
  const scenery = await scene(t)
  const { cluster, ledger } = scenery
  const producer = await scenery.producer()
  let signal: AbortSignal | undefined
  const consumer = await scenery.consumer({
    onMessage: (_, context) => {
      signal = context.signal
      return new Promise(() => {})
    },
  })
  await cluster.outcome(scenery.send(producer, 4))
  await scenery.until(() => signal !== undefined, 30_000)
  await cluster.outcome(consumer.close({ drainMs: 1000 }))
  assert.equal(signal?.aborted, true)
  await scenery.consumer()
  await scenery.untilConsumed()
  assert.equal(ledger.came.size, 4)
})

const GARBAGE: readonly unknown[] = [
  null,
  0,
  'retry',
  { retry: null },
  { retry: 7 },
  { retry: { delayLevel: 'x' } },
  { retry: { delayLevel: 99, from: -5 } },
  { retry: { delayLevel: Number.NaN, from: Number.NaN } },
  Symbol('x'),
  () => 1,
  {
    get retry() {
      throw new Error('a getter that fails')
    },
  },
]

test('a listener that returns or throws anything at all hurts nobody', async t => {
  const scenery = await scene(t)
  const { cluster, ledger } = scenery
  const producer = await scenery.producer()
  let calls = 0
  await scenery.consumer({
    onMessage: ({ bytes, reconsumeTimes }) => {
      ledger.note(bytes.toString())
      if (reconsumeTimes > 0) return undefined
      const what = GARBAGE[calls++ >> 1]
      // oxlint-disable-next-line typescript/only-throw-error -- anything at all
      if (calls % 2 === 0) throw what
      return what as undefined
    },
  })
  await cluster.outcome(scenery.send(producer, GARBAGE.length * 2 + 6))
  await scenery.untilConsumed()
  await scenery.until(() => scenery.isCommitted(), 60_000)
  assert.ok(scenery.isCommitted(), 'all are done in the end')
})

test('callbacks, codecs, selectors and loggers that throw hurt their own call only', async t => {
  const scenery = await scene(t)
  const { cluster, ledger } = scenery
  const fail = (): never => {
    throw new Error('a bug of the user')
  }
  const log = { debug: fail, info: fail, warn: fail, error: fail }
  const producer = await scenery.producer({ log })
  let assigned = 0
  await scenery.consumer({
    log,
    onQueues: fail,
    allocate: {
      name: 'AVG',
      assign: ({ queues }) => (assigned++ === 0 ? fail() : queues),
    },
  })
  const selected = await cluster.outcome(
    producer.send({ topic: TOPIC, body: 'x' }, { selector: fail }).catch((error: unknown) => error),
  )
  assert.ok(selected instanceof ClientError && selected.code === 'BAD_OPTION')
  await cluster.outcome(scenery.send(producer, 10))
  cluster.broker.server.write(Buffer.alloc(32, 0xff))
  await cluster.advance(3000)
  await cluster.outcome(scenery.send(producer, 10))
  await scenery.untilConsumed()
  assert.equal(ledger.stored.size, 20)
})

test('a codec that throws fails the send, and the listener that reads the body', async t => {
  const scenery = await scene(t)
  const { cluster } = scenery
  const codec = {
    encode(): Buffer {
      throw new Error('cannot write')
    },
    decode(): never {
      throw new Error('cannot read')
    },
  }
  const bad = cluster.own(await cluster.outcome(Producer.start({ ...scenery.producerOptions(), codec })))
  const error = await cluster.outcome(bad.send({ topic: TOPIC, body: 1 as never }).catch((e: unknown) => e))
  assert.ok(error instanceof ClientError && error.code === 'MESSAGE_ILLEGAL', String(error))
  const good = await scenery.producer()
  const seen: unknown[] = []
  const consumer = await cluster.outcome(
    PushConsumer.start({
      ...scenery.consumerOptions(),
      codec,
      onMessage: message => {
        try {
          assert.ok(message.body)
        } catch (cause) {
          seen.push(cause)
          if (message.reconsumeTimes === 0) throw cause
        }
      },
    }),
  )
  cluster.own(consumer)
  await cluster.outcome(scenery.send(good, 2))
  await scenery.until(() => seen.length >= 4, 60_000)
  assert.equal(seen.length, 4)
  assert.ok(seen.every(each => each instanceof ClientError && each.code === 'BAD_BODY'))
})
