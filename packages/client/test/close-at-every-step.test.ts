import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { retryTopicOf } from '@gantrymq/protocol'
import type { TestCluster } from '@gantrymq/testkit/cluster'
import { ClientError } from '../src/errors.ts'
import { ClientWorkload, type RunningClient, type ClientKind } from './workload.ts'
import { CLIENT_KINDS } from './client-kinds.ts'
import { type OutageCluster, outageCluster, TOPIC } from './outage-cluster.ts'

// -- The steps --------------------------------------------------------------------------------------------------------

type OutageKind = 'killed' | 'silent'

interface Run {
  readonly fixture: OutageCluster
  readonly workload: ClientWorkload
  readonly running: RunningClient
  readonly outage: OutageKind
  /** True if all servers have worked for a while. */
  calm: boolean
}

type Step = (run: Run) => void | Promise<void>

/** A turn of the event loop. */
const turn: Step = () => {}
const turns = (count: number): Step[] => Array.from({ length: count }, () => turn)

const later =
  (ms: number): Step =>
  ({ fixture }) =>
    fixture.cluster.clock.advance(ms)

/** Stores messages in all queues, some of which will fail, and makes the client's calls. */
const newWork: Step = ({ workload, running }) => {
  workload.put()
  running.work?.()
}

/** Another member takes half of the queues, and does not consume them. */
const memberJoins: Step = async ({ fixture }) => {
  const topics = [TOPIC, retryTopicOf('readers')]
  await Promise.all(fixture.cluster.brokers.map(broker => broker.addMember('readers', 'another', topics)))
}

const memberLeaves: Step = async ({ fixture }) => {
  await Promise.all(fixture.cluster.brokers.map(broker => broker.removeMember('readers', 'another')))
}

/** Brokers check transactions soon. */
const CHECKS = { transactionTimeOut: 500, transactionCheckInterval: 1000 }

const brokerFails: Step = run => {
  const { broker } = run.fixture.cluster
  run.calm = false
  if (run.outage === 'killed') return broker.down()
  broker.server.freeze()
  broker.server.accepting = 'hangs'
}

const brokerReturns: Step = ({ fixture }) => fixture.cluster.broker.up()

/** Waits for the next heartbeat. */
const recovery: Step = async run => {
  await run.fixture.cluster.advance(35_000, 1000)
  run.calm = true
}

const START: readonly Step[] = [turns(2), newWork, turns(5), later(200), later(800)].flat()

const REBALANCE: readonly Step[] = [
  [memberJoins, turns(4), later(300), newWork, turns(3), memberLeaves, turns(2)],
  [later(500), newWork, later(1000), turns(2)],
].flat(2)

const OUTAGE: readonly Step[] = [
  [brokerFails, turns(1), newWork, turns(1), later(300), later(700), later(3000)],
  [brokerReturns, turns(2), later(500), later(1000)],
].flat(2)

const AFTER: readonly Step[] = [recovery, newWork, turns(5)].flat()

const STEPS: Readonly<Record<OutageKind, readonly Step[]>> = {
  killed: [...START, ...REBALANCE, ...OUTAGE, ...AFTER],
  silent: [...START, ...OUTAGE],
}

// -- Closing -----------------------------------------------------------------------------------------------------------

const DRAIN_MS = 2000

/** By the clock: running work may finish, and a silent broker is waited for once or twice. */
const CLOSED_WITHIN_MS: Readonly<Record<OutageKind, number>> = { killed: DRAIN_MS, silent: DRAIN_MS + 8500 }

async function runAndClose(
  t: TestContext,
  kind: ClientKind,
  outage: OutageKind,
  steps: number,
): Promise<ClientWorkload> {
  const fixture = await outageCluster(t, { brokers: [{ options: CHECKS }, { options: CHECKS }] })
  const { cluster } = fixture
  for (const broker of cluster.brokers) await broker.setTopic('Questions', { readQueues: 1 })
  const workload = new ClientWorkload(fixture)
  const running = await kind(workload, t)
  const run: Run = { fixture, workload, running, outage, calm: true }
  for (const step of STEPS[outage].slice(0, steps)) {
    await step(run)
    await cluster.settle(2)
  }
  const { client } = running
  const since = cluster.clock.elapsed()
  const closing = client.close({ drainMs: DRAIN_MS })
  assert.equal(client.close(), closing, 'a second close returns the same promise')
  await (running.wait ?? cluster.outcome.bind(cluster))(closing)
  const took = cluster.clock.elapsed() - since
  assert.ok(took <= CLOSED_WITHIN_MS[outage], `took ${took} ms`)
  await cluster.outcome(Promise.resolve(running.loop), { stepMs: 0 })
  const late = await cluster.outcome(
    running.callAfterClose().catch((error: unknown) => error),
    { stepMs: 0 },
  )
  assert.ok(late instanceof ClientError && late.code === 'CLOSED', `a call after the close: ${String(late)}`)
  for (const other of running.others ?? []) await cluster.outcome(other.close())
  await cluster.assertNothingLeft()
  if (run.calm) checkUnregistered(cluster)
  await running.check(run.calm)
  return workload
}

/** Every broker that got a heartbeat also got an unregistration. */
function checkUnregistered({ brokers }: TestCluster): void {
  for (const { server, name } of brokers) {
    const hasHeartbeat = server.requestsOf('HEART_BEAT').length > 0
    assert.ok(!hasHeartbeat || server.requestsOf('UNREGISTER_CLIENT').length > 0, `${name} got no unregistration`)
  }
}

for (const [name, kind] of Object.entries(CLIENT_KINDS)) {
  test(`${name} may be closed at every step, while a broker is killed and comes back`, async t => {
    for (let steps = 0; steps < STEPS.killed.length; steps++) {
      await t.test(`after ${steps} steps`, async t => void (await runAndClose(t, kind, 'killed', steps)))
    }
    const { done, calls } = await runAndClose(t, kind, 'killed', STEPS.killed.length)
    const succeeded = calls.filter(({ end }) => !(end instanceof Error)).length
    assert.ok(done.size >= 12 || succeeded >= 5, `it did its work: ${done.size} messages, ${succeeded} calls`)
  })

  test(`${name} may be closed at every step, while a broker is silent`, async t => {
    for (let steps = START.length + 1; steps <= STEPS.silent.length; steps++) {
      await t.test(`after ${steps} steps`, async t => void (await runAndClose(t, kind, 'silent', steps)))
    }
  })
}
