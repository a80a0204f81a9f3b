import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { TestCluster } from '@gantrymq/testkit'
import { fakePeer } from '@gantrymq/remoting/testing'
import { ClientError } from '../src/errors.ts'
import { Books, type Life, type Role } from './lives.ts'
import { ROLES } from './roles.ts'
import { type Scene, scene } from './survival-scene.ts'

// -- The script --------------------------------------------------------------------------------------------------------

type Outage = 'killed' | 'silent'

interface Plot {
  readonly scenery: Scene
  readonly books: Books
  readonly life: Life
  readonly outage: Outage
  /** All servers are well, and have been for a while. */
  calm: boolean
}

type Step = (plot: Plot) => void | Promise<void>

/** A turn of the event loop in which nobody does anything. */
const turn: Step = () => {}
const turns = (count: number): Step[] => Array.from({ length: count }, () => turn)

const later =
  (ms: number): Step =>
  ({ scenery }) =>
    scenery.cluster.clock.advance(ms)

/** New messages in every queue, some of which fail; and calls where the client makes some. */
const messagesCome: Step = ({ books, life }) => {
  books.put()
  life.work?.()
}

const OTHER = 999_999

/** Another member takes half of the queues, and does nothing with them. */
const memberJoins: Step = ({ scenery }) => {
  for (const { state } of scenery.cluster.brokers) {
    const group = state.members.consumers.get('readers')
    group?.members.set(OTHER, { clientId: 'another', peer: fakePeer({ id: OTHER }), lastHeartbeat: state.now })
  }
  for (const broker of scenery.cluster.brokers) broker.notify('readers')
}

const memberLeaves: Step = ({ scenery }) => {
  for (const { state } of scenery.cluster.brokers) state.members.drop(OTHER)
  for (const broker of scenery.cluster.brokers) broker.notify('readers')
}

/** Brokers ask producers about transactions. */
const brokersAsk: Step = ({ scenery }) => {
  for (const broker of scenery.cluster.brokers) broker.checkBack()
}

const brokerFalls: Step = plot => {
  const { broker } = plot.scenery.cluster
  plot.calm = false
  if (plot.outage === 'killed') return broker.down()
  broker.server.freeze()
  broker.server.accepting = 'hangs'
}

const brokerRises: Step = ({ scenery }) => scenery.cluster.broker.up()

/** Long enough for the next heartbeat. */
const allIsWell: Step = async plot => {
  await plot.scenery.cluster.advance(35_000, 1000)
  plot.calm = true
}

const BEGINNING: readonly Step[] = [turns(2), messagesCome, turns(5), later(200), later(800)].flat()

const REBALANCE: readonly Step[] = [
  [memberJoins, turns(4), later(300), messagesCome, turns(3), memberLeaves, turns(2)],
  [later(500), messagesCome, brokersAsk, turns(2)],
].flat(2)

const OUTAGE: readonly Step[] = [
  [brokerFalls, turns(1), messagesCome, turns(1), later(300), later(700), later(3000)],
  [brokerRises, turns(2), later(500), later(1000)],
].flat(2)

const AFTERWARDS: readonly Step[] = [allIsWell, messagesCome, turns(5)].flat()

const SCRIPTS: Readonly<Record<Outage, readonly Step[]>> = {
  killed: [...BEGINNING, ...REBALANCE, ...OUTAGE, ...AFTERWARDS],
  silent: [...BEGINNING, ...OUTAGE],
}

// -- The end -----------------------------------------------------------------------------------------------------------

const DRAIN_MS = 2000

/** By the clock: what runs may finish, and who does not answer is waited for, once or twice. */
const CLOSED_WITHIN_MS: Readonly<Record<Outage, number>> = { killed: 1000, silent: DRAIN_MS + 8500 }

async function liveAndClose(t: TestContext, role: Role, outage: Outage, steps: number): Promise<Books> {
  const scenery = await scene(t, { brokers: 2 })
  const { cluster } = scenery
  for (const broker of cluster.brokers) broker.setTopic('Questions', { readQueues: 1 })
  const books = new Books(scenery)
  const life = await role(books, t)
  const plot: Plot = { scenery, books, life, outage, calm: true }
  for (const step of SCRIPTS[outage].slice(0, steps)) {
    await step(plot)
    await cluster.settle(2)
  }
  const { client } = life
  const since = cluster.clock.elapsed()
  const closing = client.close({ drainMs: DRAIN_MS })
  assert.equal(client.close(), closing, 'closing twice is closing once')
  await (life.wait ?? cluster.outcome.bind(cluster))(closing)
  const took = cluster.clock.elapsed() - since
  assert.ok(took <= CLOSED_WITHIN_MS[outage], `took ${took} ms`)
  await cluster.outcome(Promise.resolve(life.loop), { stepMs: 0 })
  const late = await cluster.outcome(
    life.late().catch((error: unknown) => error),
    { stepMs: 0 },
  )
  assert.ok(late instanceof ClientError && late.code === 'CLOSED', `a call after the end: ${String(late)}`)
  for (const other of life.others ?? []) await cluster.outcome(other.close())
  await cluster.assertNothingLeft()
  if (plot.calm) checkLeft(cluster)
  await life.check(plot.calm)
  return books
}

/** Every broker that heard of a client heard that it left. */
function checkLeft({ brokers }: TestCluster): void {
  for (const { server, name } of brokers) {
    const came = server.requestsOf('HEART_BEAT').length > 0
    assert.ok(!came || server.requestsOf('UNREGISTER_CLIENT').length > 0, `${name} was not told`)
  }
}

for (const [name, role] of Object.entries(ROLES)) {
  test(`${name} may be closed at every step of its life, while a broker is killed and comes back`, async t => {
    for (let steps = 0; steps < SCRIPTS.killed.length; steps++) {
      await t.test(`after ${steps} steps`, async t => void (await liveAndClose(t, role, 'killed', steps)))
    }
    const { done, calls } = await liveAndClose(t, role, 'killed', SCRIPTS.killed.length)
    const well = calls.filter(({ end }) => !(end instanceof Error)).length
    assert.ok(done.size >= 12 || well >= 5, `it did its work: ${done.size} messages, ${well} calls`)
  })

  test(`${name} may be closed at every step of its life, while a broker is silent`, async t => {
    for (let steps = BEGINNING.length + 1; steps <= SCRIPTS.silent.length; steps++) {
      await t.test(`after ${steps} steps`, async t => void (await liveAndClose(t, role, 'silent', steps)))
    }
  })
}
