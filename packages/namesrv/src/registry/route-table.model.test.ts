import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicConfig, TopicRoute } from '@gantrymq/protocol'
import { finish } from '@gantrymq/remoting'
import fc from 'fast-check'
import { NaiveRoutes } from '../../test/naive-routes.ts'
import {
  dataVersion,
  headOf,
  identityOf,
  NOW,
  registration,
  shown,
  topicConfig,
  topicNames,
} from '../../test/registrations.ts'
import { brokerMembers, liveBrokers, topicsOfCluster } from './route-queries.ts'
import { RouteTable } from './route-table.ts'
import type { LiveTopic } from './topic.ts'

const TOPICS = ['T0', 'T1', 'T2', 'T3']
const CLUSTERS = ['C', 'D']
const NAMES = ['broker-a', 'broker-b', 'broker-c']

/** A broker process: its identity, its topics and the version of its data. */
interface Process {
  readonly clusterName: string
  brokerName: string
  readonly brokerAddr: string
  brokerId: number
  peer: number
  enableActingMaster: boolean | undefined
  readonly heartbeatTimeoutMillis: number | undefined
  readonly zoneName: string | undefined
  readonly topics: Map<string, TopicConfig>
  version: number
}

function process(brokerAddr: string, clusterName: string, brokerName: string, brokerId: number): Process {
  return {
    clusterName,
    brokerName,
    brokerAddr,
    brokerId,
    peer: 1,
    enableActingMaster: true,
    heartbeatTimeoutMillis: brokerId === 0 ? undefined : 10_000,
    zoneName: brokerId === 2 ? 'z' : undefined,
    topics: new Map(['T0', 'T1'].map(name => [name, topicConfig(name)])),
    version: 1,
  }
}

const newProcesses = () => [
  process('m', 'C', 'broker-a', 0),
  process('s', 'C', 'broker-a', 1),
  process('t', 'C', 'broker-a', 2),
  process('n', 'C', 'broker-a', 0),
  process('b', 'D', 'broker-b', 0),
  { ...process('c', 'D', 'broker-c', 0), peer: 2 },
  // The address of the first one, in another network.
  process('m', 'D', 'broker-a', 0),
]

const someProcess = fc.nat(newProcesses().length - 1)
const someTopic = fc.constantFrom(...TOPICS)
const someCluster = fc.constantFrom(...CLUSTERS)
const someName = fc.constantFrom(...NAMES, 'unknown')
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('register' as const),
      who: someProcess,
      slice: fc.integer({ min: 0, max: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('increment' as const), who: someProcess, topic: someTopic }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('alter' as const),
      who: someProcess,
      topic: someTopic,
      perm: fc.constantFrom(0, 4, 6),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('become' as const),
      who: someProcess,
      id: fc.integer({ min: -1, max: 2 }),
      acting: fc.constantFrom(true, false, undefined),
      name: fc.constantFrom(...NAMES),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('heartbeat' as const), who: someProcess }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ask' as const), who: someProcess }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('unregister' as const),
      who: fc.uniqueArray(someProcess, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), back: fc.nat(5) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(5_000, 11_000, 121_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('delete' as const),
      topic: someTopic,
      cluster: fc.option(someCluster, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wipe' as const), name: someName }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('add' as const), name: someName }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('support' as const), on: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('tidy' as const), slices: fc.integer({ min: 1, max: 20 }) }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

class World {
  readonly table = new RouteTable()
  readonly naive = new NaiveRoutes()
  readonly processes = newProcesses()
  /** The topics of brokers that have left are being dropped. */
  #dropping: ReturnType<RouteTable['dropEnded']> | undefined
  readonly #kept = new Map<string, { topic: LiveTopic; revision: number; epoch: number; route: TopicRoute }>()
  #now = NOW
  #lastPeer = 2

  take(step: Step): void {
    const { table, naive } = this
    if (step.do === 'register') this.#register(this.#process(step.who), step.slice)
    else if (step.do === 'increment') this.#increment(this.#process(step.who), step.topic)
    else if (step.do === 'alter') alter(this.#process(step.who), step.topic, step.perm)
    else if (step.do === 'become') become(this.#process(step.who), step)
    else if (step.do === 'heartbeat') this.#heartbeat(this.#process(step.who))
    else if (step.do === 'ask') this.#ask(this.#process(step.who))
    else if (step.do === 'unregister') this.#unregister(step.who.map(who => this.#process(who)))
    else if (step.do === 'drop') this.#drop(Math.max(1, this.#lastPeer - step.back))
    else if (step.do === 'wait') this.#wait(step.ms)
    else if (step.do === 'delete') {
      table.deleteTopic(step.topic, step.cluster)
      naive.deleteTopic(step.topic, step.cluster)
    } else if (step.do === 'wipe') {
      assert.equal(
        table.wipeWritePermission(step.name),
        naive.changePermission(step.name, perm => perm & ~2),
      )
    } else if (step.do === 'add') {
      assert.equal(
        table.addWritePermission(step.name),
        naive.changePermission(step.name, () => 6),
      )
    } else if (step.do === 'tidy') this.#tidy(step.slices)
    else {
      table.configure({ supportActingMaster: step.on })
      naive.supportActingMaster = step.on
    }
    this.compare()
    this.checkKeptRoutes()
    checkConsistency(table)
  }

  /** Drops topics of brokers that have left, one at a time. Other steps happen before the last one. */
  #tidy(slices: number): void {
    for (let slice = 0; slice < slices; slice++) {
      this.#dropping ??= this.table.dropEnded(({ topic }) => {
        assert.ok(!this.naive.topics().includes(topic), `${topic} is not gone`)
      }, 1)
      if (this.#dropping.next().done !== true) continue
      this.#dropping = undefined
      assert.equal(this.table.hasEnded, false)
      for (const topic of this.table.topics.values()) assert.ok(topic.isLive, `${topic.name} was not dropped`)
      return
    }
  }

  #process(index: number): Process {
    return this.processes[index] as Process
  }

  #register({ topics, ...process }: Process, slice: number): void {
    const whole = registration({ ...process, topics: [...topics.values()] })
    this.naive.register(whole, this.#now)
    if (slice === 0) this.table.registerBroker(whole, this.#now)
    else this.#registerInSlices(whole, slice)
  }

  #registerInSlices(whole: ReturnType<typeof registration>, slice: number): void {
    const needed = this.table.needsTopics(headOf(whole))
    const begun = this.table.beginRegistration(headOf(whole), this.#now)
    if (begun.result === 'ignored') return
    assert.equal(begun.topics !== 'none', needed)
    const configs = needed ? [...whole.body.topics.values()] : []
    for (let start = 0; start < configs.length; start += slice) {
      assert.ok(this.table.applyTopics(begun.token, configs.slice(start, start + slice)))
    }
    assert.ok(this.table.completeRegistration(begun.token, this.#now))
  }

  #increment({ topics, ...process }: Process, name: string): void {
    const config = topics.get(name)
    if (!config) return
    const increment = registration({ ...process, topics: [config] })
    this.table.registerBroker(increment, this.#now)
    this.naive.register(increment, this.#now)
  }

  #heartbeat({ clusterName, brokerAddr, peer }: Process): void {
    const isKnown = this.table.heartbeat(clusterName, brokerAddr, this.#now, peer)
    assert.equal(isKnown, this.naive.refresh(clusterName, brokerAddr, this.#now) !== undefined)
  }

  #ask({ clusterName, brokerAddr, peer, version }: Process): void {
    const answer = this.table.queryDataVersion(clusterName, brokerAddr, dataVersion(version), this.#now, peer)
    const broker = this.naive.refresh(clusterName, brokerAddr, this.#now)
    const stored = broker && !broker.hidden ? broker.version : undefined
    assert.deepEqual([answer.changed, answer.stored?.counter], [stored !== version, stored])
  }

  #unregister(leaving: readonly Process[]): void {
    this.table.unregister(leaving.map(identityOf))
    const isLeaving = (broker: (typeof this.naive.brokers)[number]) =>
      leaving.some(
        ({ clusterName, brokerAddr, brokerName }) =>
          broker.cluster === clusterName && broker.addr === brokerAddr && broker.name === brokerName,
      )
    this.naive.remove(this.naive.brokers.filter(isLeaving))
  }

  /** A connection ends; the processes that used it open a new one each. */
  #drop(peer: number): void {
    this.table.dropPeer(peer, this.#now)
    this.naive.drop(peer)
    for (const process of this.processes) if (process.peer === peer) process.peer = ++this.#lastPeer
  }

  #wait(ms: number): void {
    this.#now += ms
    this.table.expire(this.#now)
    this.naive.remove(this.naive.brokers.filter(({ last, timeout }) => last + timeout < this.#now))
  }

  compare(): void {
    const { table, naive } = this
    assert.deepEqual(topicNames(table).toSorted(), naive.topics())
    for (const topic of TOPICS) assert.equal(shown(table, topic), naive.shown(topic))
    for (const name of NAMES) {
      const addrs = new Map(naive.members(name).map(({ id, addr }) => [id, addr]))
      assert.deepEqual(brokerMembers(table, name), addrs)
      const row = table.brokers.groups.get(name)?.row
      if (!row) continue
      assert.equal(row.cluster, naive.members(name)[0]?.cluster)
      assert.equal(row.zoneName, naive.groups.get(name)?.zone)
    }
    const key = ({ cluster, addr, peer }: { cluster: string; addr: string; peer: number }) =>
      `${cluster} ${addr} ${peer}`
    assert.deepEqual(
      Array.from(liveBrokers(table), ({ brokerAddr, ...broker }) => key({ ...broker, addr: brokerAddr })).toSorted(),
      naive.brokers.map(key).toSorted(),
    )
  }

  /** Checks cached routes as a cache would do. */
  checkKeptRoutes(): void {
    const { table } = this
    for (const name of TOPICS) {
      const topic = table.topic(name)
      const kept = this.#kept.get(name)
      const route = table.routeOf(name)
      const stands = kept && kept.topic === topic && kept.revision === topic.revision && kept.epoch === table.epoch
      if (stands) assert.deepEqual(kept.route, route)
      else if (topic && route) this.#kept.set(name, { topic, revision: topic.revision, epoch: table.epoch, route })
    }
  }
}

function alter(process: Process, topic: string, perm: number): void {
  process.version++
  if (perm === 0) process.topics.delete(topic)
  else process.topics.set(topic, topicConfig(topic, { perm }))
}

function become(process: Process, { id, acting, name }: Extract<Step, { do: 'become' }>): void {
  process.brokerId = id
  process.enableActingMaster = acting
  process.brokerName = name
}

/** No topic without group, no group without broker, no broker outside its cluster; counts and connections agree. */
function checkConsistency(table: RouteTable): void {
  const counts = new Map<object, number>()
  for (const [name, topic] of table.topics) {
    assert.equal(topic.name, name)
    assert.ok(topic.isLive || (table.hasEnded && !topic.isEmpty), `${name} has no broker`)
    assert.equal(new Set(topic.groups).size, topic.groups.length)
    assert.equal(topic.queues.length, topic.groups.length)
    for (const group of topic.groups) {
      assert.equal(table.brokers.groups.get(group.name), group)
      counts.set(group, (counts.get(group) ?? 0) + 1)
    }
  }
  let brokers = 0
  for (const group of table.brokers.groups.values()) {
    assert.ok(group.brokers.length > 0, `${group.name} has no member`)
    assert.equal(group.topicCount, counts.get(group) ?? 0)
    for (const broker of group.brokers) {
      assert.equal(table.brokers.find(broker.cluster, broker.addr), broker)
      assert.ok(table.brokers.isPeer(broker.peer))
      brokers++
    }
  }
  assert.equal(table.brokers.size, brokers)
  for (const [cluster, members] of table.brokers.clusters) {
    assert.ok(members.size > 0, `${cluster} is empty`)
    for (const { group } of members.values()) assert.equal(table.brokers.groups.get(group.name), group)
    assert.ok([...finish(topicsOfCluster(table, cluster))].every(topic => table.topics.has(topic)))
  }
}

test('after any history of brokers the routes are those of the naive model', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), steps => {
      const world = new World()
      for (const each of steps) world.take(each)
    }),
    { numRuns: 200 },
  )
})

test('after registrations in slices, however interleaved and interrupted, the next ones complete the table', () => {
  const turn = fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('slice' as const), who: someProcess }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('begin' as const), who: someProcess }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), peer: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('tidy' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), topic: someTopic }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('alter' as const),
        who: someProcess,
        topic: someTopic,
        perm: fc.constantFrom(0, 4, 6),
      }),
    },
  )
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 80, size: 'max' }), turns => {
      const table = new RouteTable()
      // Two masters of one name would replace each other forever.
      const processes = newProcesses()
        .slice(0, 3)
        .concat(process('b', 'D', 'broker-b', 0))
      processes.forEach((each, index) => (each.peer = index + 1))
      const running = new Map<Process, { left: TopicConfig[]; token: Parameters<RouteTable['applyTopics']>[0] }>()
      let dropping: ReturnType<RouteTable['dropEnded']> | undefined
      for (const each of turns) {
        const who = 'who' in each ? (processes[each.who % processes.length] as Process) : undefined
        if (each.do === 'drop') table.dropPeer(each.peer, NOW)
        else if (each.do === 'tidy') {
          dropping ??= table.dropEnded(() => {}, 1)
          if (dropping.next().done === true) dropping = undefined
        } else if (each.do === 'delete') table.deleteTopic(each.topic)
        else if (each.do === 'alter') alter(who as Process, each.topic, each.perm)
        else if (each.do === 'begin') begin(who as Process)
        else slice(who as Process)
        checkConsistency(table)
      }
      for (let round = 0; round < 2; round++) {
        for (const { topics, ...each } of processes) {
          table.registerBroker(registration({ ...each, topics: [...topics.values()] }), NOW)
        }
      }
      for (const { brokerName, brokerId, topics } of processes) {
        if (brokerId !== 0) continue
        for (const { topicName, perm } of topics.values()) {
          const queues = table.routeOf(topicName)?.queueDatas.find(each => each.brokerName === brokerName)
          assert.equal(queues?.perm, perm, `${topicName} of ${brokerName}`)
        }
      }

      function begin(who: Process): void {
        const { topics, ...identity } = who
        const begun = table.beginRegistration(headOf(registration(identity)), NOW)
        if (begun.result !== 'ignored') running.set(who, { left: [...topics.values()], token: begun.token })
      }

      function slice(who: Process): void {
        const run = running.get(who)
        if (!run) return
        const config = run.left.shift()
        const isCurrent = config ? table.applyTopics(run.token, [config]) : table.completeRegistration(run.token, NOW)
        if (!config || isCurrent === false) running.delete(who)
      }
    }),
    { numRuns: 200 },
  )
})
