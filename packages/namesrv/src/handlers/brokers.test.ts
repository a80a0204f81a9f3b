import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TurnBudget } from '@gantrymq/daemon'
import { encodeRegisterBroker, nameServerRequests, type TopicConfig } from '@gantrymq/protocol'
import { type Answer, type Call, finish, type Sliced, silent } from '@gantrymq/remoting'
import { fakePeer, ManualClock } from '@gantrymq/remoting/testing'
import { dataVersion, droppedTopics, topicConfig, topicNames } from '../../test/registrations.ts'
import type { NameServerContext } from '../context.ts'
import { KvConfig } from '../kv/kv-config.ts'
import { NameServerMetrics } from '../metrics/name-server-metrics.ts'
import { nameServerOptions } from '../options.ts'
import { InflationLimit } from '../registration/inflation-limit.ts'
import { LastBodies } from '../registration/last-bodies.ts'
import { Departures } from '../registry/departures.ts'
import { RouteTable } from '../registry/route-table.ts'
import { RegistryLog } from '../registry-log.ts'
import { RequestOrder } from '../request-order.ts'
import { brokerHandlers } from './brokers.ts'

type Registration = Call<typeof nameServerRequests.REGISTER_BROKER>
type Registered = Answer<typeof nameServerRequests.REGISTER_BROKER>
const OPTIONS = nameServerOptions.resolve({})

/** A route table with the handler of registrations, whose slices the test runs. */
class Fixture {
  readonly routes = new RouteTable()
  readonly options = { ...OPTIONS }
  readonly #peer = fakePeer()
  readonly #lastBodies = new LastBodies()

  /** A registration of the broker with some topics, which has not begun. */
  begin(topics: readonly TopicConfig[], version: number, brokerAddr = '10.0.0.1:10911'): Sliced<Registered> {
    const body = encodeRegisterBroker(
      {
        dataVersion: dataVersion(version),
        topics: new Map(topics.map(config => [config.topicName, config])),
        topicQueueMappings: new Map(),
        filterServers: [],
      },
      { version: 513, compressed: false },
    )
    const header = {
      clusterName: 'C',
      brokerName: 'broker-a',
      brokerAddr,
      brokerId: 0,
      bodyCrc32: 0,
      compressed: false,
    }
    const command = { code: 103, language: 'JAVA', version: 513, opaque: 1, flag: 0, remark: null, body } as const
    let work: Sliced<Registered> | undefined
    const turns = { run: (_lane: string, sliced: Sliced<unknown>) => (work = sliced as Sliced<Registered>) }
    void brokerHandlers.REGISTER_BROKER(
      {
        header,
        body,
        command: { ...command, extFields: null, serializeType: 'JSON' },
        peer: this.#peer,
      } as unknown as Registration,
      this.#context(turns as unknown as NameServerContext['turns']),
    )
    assert.ok(work)
    return work
  }

  #context(turns: NameServerContext['turns']): NameServerContext {
    const clock = new ManualClock()
    const metrics = new NameServerMetrics({ requests: [], responses: [], clock })
    metrics.close()
    return {
      routes: this.routes,
      lastBodies: this.#lastBodies,
      inflationLimit: new InflationLimit(),
      order: new RequestOrder(),
      turns,
      kv: { current: new KvConfig() },
      settings: { options: this.options },
      registryLog: new RegistryLog(silent, metrics, new Departures()),
      metrics,
      clock,
      log: silent,
      removed: () => {},
      announce: () => {},
    } as unknown as NameServerContext
  }
}

const many = (perm: number) => Array.from({ length: 1000 }, (_, i) => topicConfig(`T${i}`, i === 500 ? { perm } : {}))
const names = many(6).map(({ topicName }) => topicName)

test('a large registration takes many slices', () => {
  let slices = 1
  const work = new Fixture().begin(many(6), 1)
  while (work.next().done !== true) slices++
  assert.ok(slices > 12, `${slices} slices`)
})

const interruptions: readonly (readonly [what: string, happens: (fixture: Fixture) => void])[] = [
  ['a topic is deleted', ({ routes }) => void routes.deleteTopic('T3')],
  ['the broker leaves', ({ routes }) => void routes.dropPeer(1, 0)],
  [
    'the broker leaves, and its topics are dropped',
    ({ routes }) => {
      routes.dropPeer(1, 0)
      droppedTopics(routes)
    },
  ],
  ['its topics become read-only', ({ routes }) => void routes.wipeWritePermission('broker-a')],
  ['topics that are not listed are deleted from now on', configureDeletion],
  ['it registers on another connection', fixture => void finish(fixture.begin(many(4), 3))],
]

function configureDeletion({ routes, options }: Fixture): void {
  Object.assign(options, { deleteTopicWithBrokerRegistration: true })
  routes.configure({ deleteTopicWithBrokerRegistration: true })
}

for (const [what, happens] of interruptions) {
  test(`if ${what} between two slices of a registration, the next one completes the table`, () => {
    // The last body differs in one topic, so that only the difference is read.
    for (let slices = 0; ; slices++) {
      const fixture = new Fixture()
      for (const version of [1, 1]) finish(fixture.begin(many(6), version))
      const work = fixture.begin(many(4), 2)
      let isDone = false
      for (let slice = 0; slice < slices && !isDone; slice++) isDone = work.next().done === true
      happens(fixture)
      if (!isDone) finish(work)
      finish(fixture.begin(many(4), 3))
      droppedTopics(fixture.routes)
      assert.deepEqual(topicNames(fixture.routes).toSorted(), names.toSorted(), `${what} after ${slices} slices`)
      assert.equal(fixture.routes.routeOf('T500')?.queueDatas[0]?.perm, 4)
      assert.equal(fixture.routes.routeOf('T499')?.queueDatas[0]?.perm, 6)
      if (isDone) break
    }
  })
}

test('a budget of 2 ms does registrations of hundreds of brokers without a long turn', () => {
  const fixture = new Fixture()
  let now = 0
  const turns: (() => void)[] = []
  const budget = new TurnBudget<'registration'>({
    lanes: ['registration'],
    now: () => now,
    nextTurn: callback => turns.push(callback),
  })
  function* timed<T>(work: Sliced<T>): Sliced<T> {
    for (;;) {
      const slice = work.next()
      now += 0.25
      if (slice.done === true) return slice.value
      yield
    }
  }
  for (let i = 0; i < 200; i++) void budget.run('registration', timed(fixture.begin(many(6), 1, `10.0.0.1:${i}`)))
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
    const before = now
    turn()
    assert.ok(now - before <= 2, `a turn of ${now - before} ms`)
  }
  assert.equal(budget.waiting, 0)
})
