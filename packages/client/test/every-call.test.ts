import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { FaultyAnswer, TestCluster } from '@gantrymq/testkit/cluster'
import { ClientError } from '../src/errors.ts'
import { BatchError } from '../src/producer/batches.ts'
import { type Call, CALLS, type MakeCall } from './calls.ts'
import { type OutageCluster, outageCluster } from './outage-cluster.ts'

/** Two brokers that let a message be recalled. */
const RECALLING = Array.from({ length: 2 }, () => ({ options: { recallMessageEnable: true } }))

interface Watched {
  /** The result or error; undefined while the call waits. */
  end?: unknown
}

function watched(work: Promise<unknown>): Watched {
  const seen: Watched = {}
  work.then(
    value => (seen.end = value ?? 'done'),
    (error: unknown) => (seen.end = error),
  )
  return seen
}

/** True if the call ended as it does without faults. */
function isExpected({ endsWith }: Call, end: unknown): boolean {
  if (endsWith !== undefined) return end instanceof ClientError && end.code === endsWith
  return !(end instanceof Error)
}

/** Repeats the call without faults: the earlier one must have left no trace. */
async function worksAgain(fixture: OutageCluster, call: Call, make: MakeCall): Promise<void> {
  const { cluster } = fixture
  for (let attempt = 0; ; attempt++) {
    const seen = watched(make({}))
    await cluster.settle(2)
    call.answer?.(fixture)
    await cluster.until(() => 'end' in seen, { stepMs: 50 })
    if (isExpected(call, seen.end)) return
    // After a failed attempt to connect a client waits for a second at most.
    if (attempt === 3) assert.fail(`does not work afterwards: ${String(seen.end)}`)
    await cluster.advance(1000, 100)
  }
}

// -- Abort -------------------------------------------------------------------------------------------------------------

type Servers = TestCluster['nameServers'] | TestCluster['brokers']
type Obstacle = (cluster: TestCluster) => () => void

/** What a call may wait for. Each function starts the obstacle and returns a function that ends it. */
const OBSTACLES: Readonly<Record<string, Obstacle>> = {
  nothing: () => () => {},
  'connecting to a name server': ({ nameServers }) => shut(nameServers),
  'connecting to brokers': ({ brokers }) => shut(brokers),
  'the answer of a name server': ({ nameServers }) => faulty(nameServers, 'never'),
  'the answers of brokers': ({ brokers }) => faulty(brokers, 'never'),
  'the answer of one broker of two': ({ brokers }) => faulty(brokers.slice(1), 'never'),
  'a retry at brokers that hang up': ({ brokers }) => faulty(brokers, 'hang-up'),
  'the route after brokers that hung up': ({ brokers, nameServers }) =>
    both(faulty(brokers, 'hang-up'), faulty(nameServers, 'never')),
}

function shut(servers: Servers): () => void {
  for (const { server } of servers) {
    server.accepting = 'hangs'
    server.dropAll()
  }
  return () => {
    for (const { server } of servers) server.up()
  }
}

function faulty(servers: Servers, answer: 'never' | 'hang-up'): () => void {
  const fault = { answer, handled: false, times: Number.POSITIVE_INFINITY } as const
  const faults = servers.map(({ server }) => server.fault('*', fault))
  return () => {
    for (const each of faults) each.lift()
  }
}

const both = (one: () => void, other: () => void) => (): void => {
  one()
  other()
}

/** Turns of the event loop between the call and its abort. */
const STEPS = [0, 1, 2, 3, 5, 8]
/** Turns within which an aborted call must end. */
const AT_ONCE = 2

function isAborted(end: unknown, reason: Error): boolean {
  // Some messages of the batch were stored before the abort.
  if (end instanceof BatchError) return isAborted(end.cause, reason)
  if (!(end instanceof ClientError) || end.code !== 'ABORTED') return false
  for (let cause: unknown = end; cause instanceof Error; cause = cause.cause) if (cause === reason) return true
  return false
}

/** Acts after so many turns of the event loop, and after their microtasks: what failed in them has been recorded. */
async function afterTurns<T>(cluster: TestCluster, turns: number, act: () => T): Promise<T> {
  if (turns === 0) return act()
  await cluster.settle(turns - 1)
  return await new Promise(resolve => {
    setImmediate(() => resolve(act()))
  })
}

/** Aborts the call after so many turns. True if it still waited. */
async function abortAt(step: number, { cluster }: OutageCluster, call: Call, make: MakeCall): Promise<boolean> {
  const stop = new AbortController()
  const reason = new Error('enough')
  const seen = watched(make({ signal: stop.signal }))
  const waited = await afterTurns(cluster, step, () => {
    const waits = !('end' in seen)
    stop.abort(reason)
    return waits
  })
  await cluster.settle(AT_ONCE)
  assert.ok('end' in seen, `after ${step} turns: has not ended`)
  const isDone = call.endsAnyway === true && isExpected(call, seen.end)
  if (waited && !isDone) assert.ok(isAborted(seen.end, reason), `after ${step} turns: ${String(seen.end)}`)
  return waited
}

for (const [name, call] of Object.entries(CALLS)) {
  test(`${name}: ends at once with ABORTED when it is aborted, whatever it waits for, and works again`, async t => {
    let blocked = 0
    for (const [what, obstacle] of Object.entries(OBSTACLES)) {
      await t.test(what, async t => {
        const fixture = await outageCluster(t, { brokers: RECALLING, spareTopics: 4 })
        const make = await call.client(fixture)
        for (const step of STEPS) {
          const lift = obstacle(fixture.cluster)
          const waited = await abortAt(step, fixture, call, make)
          if (waited && step === STEPS.at(-1)) blocked++
          lift()
          await worksAgain(fixture, call, make)
        }
      })
    }
    assert.ok(blocked > 0, 'at least one obstacle blocks it')
  })

  test(`${name}: with an aborted signal it ends at once and sends no request`, async t => {
    const fixture = await outageCluster(t, { brokers: RECALLING, spareTopics: 4 })
    const make = await call.client(fixture)
    const { cluster } = fixture
    await cluster.settle()
    const asked = (): number =>
      [...cluster.brokers, ...cluster.nameServers].flatMap(({ server }) => server.requests).length
    const before = asked()
    const reason = new Error('enough')
    const seen = watched(make({ signal: AbortSignal.abort(reason) }))
    await cluster.settle(AT_ONCE)
    assert.ok(isAborted(seen.end, reason), String(seen.end))
    await cluster.settle()
    assert.equal(asked(), before)
    await worksAgain(fixture, call, make)
  })
}

// -- Answers -----------------------------------------------------------------------------------------------------------

const FAULTS: readonly FaultyAnswer[] = [
  { answer: 'late', ms: 500 },
  { answer: 'late', ms: 40_000 },
  { answer: 'twice' },
  { answer: 'never' },
  { answer: 'garbage' },
  { answer: 'hang-up' },
  { answer: 'half-open' },
  { answer: 'code', code: 1, remark: 'system error' },
]

/** True for faults that still give an answer in time. */
const isHarmless = (fault: FaultyAnswer): boolean =>
  fault.answer === 'twice' || (fault.answer === 'late' && fault.ms < 1000)

const TIMEOUT_MS = 4000

async function endsInTime(t: TestContext, call: Call, fault: FaultyAnswer, faulty: 'brokers' | 'nameServers') {
  const fixture = await outageCluster(t, { brokers: RECALLING, spareTopics: 4 })
  const { cluster } = fixture
  const make = await call.client(fixture)
  await cluster.settle()
  const faults = cluster[faulty].map(({ server }) => server.fault('*', { ...fault, times: 1 }))
  const since = cluster.clock.elapsed()
  const seen = watched(make({ timeoutMs: TIMEOUT_MS }))
  await cluster.settle(2)
  call.answer?.(fixture)
  await cluster.until(() => 'end' in seen, { stepMs: 50 })
  const took = cluster.clock.elapsed() - since
  assert.ok(took <= TIMEOUT_MS + 50, `took ${took} ms`)
  if (!isExpected(call, seen.end)) {
    assert.ok(seen.end instanceof ClientError, String(seen.end))
    assert.ok(!isHarmless(fault), String(seen.end))
  }
  const met = faults.some(fault => fault.met > 0)
  for (const fault of faults) fault.lift()
  await worksAgain(fixture, call, make)
  return met
}

for (const [name, call] of Object.entries(CALLS)) {
  test(`${name}: ends by its timeout whatever the servers answer, and works again`, async t => {
    for (const fault of FAULTS) {
      await t.test(JSON.stringify(fault), async t => {
        const byBrokers = await endsInTime(t, call, fault, 'brokers')
        const byNameServers = await endsInTime(t, call, fault, 'nameServers')
        assert.ok(byBrokers || byNameServers, 'no server met the fault')
      })
    }
  })
}
