import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Producer, PushConsumer } from '@gantrymq/client'
import { skipReason } from '../src/launch/apache.ts'
import { type Maker, makers, startBrokerOf } from '../src/launch/brokers.ts'
import { LaunchedProgram, type Owner } from '../src/launch/launched-program.ts'
import type { LaunchedServer, RunningNameServer } from '../src/launch/launcher.ts'
import { startOurProgram } from '../src/launch/our-name-server.ts'

const TOPIC = 'faults'
const GROUP = 'fault-readers'
/** How long consumers may take to continue by themselves. */
const RECOVERY_MS = 35_000
const READY_MS = 40_000

/** Sends until it is stopped, and records what was stored and what was consumed. */
class FaultTraffic {
  /** Messages whose send succeeded. */
  readonly stored = new Set<string>()
  readonly consumed = new Map<string, number>()
  failed = 0
  #stopped = false
  #running: Promise<void>[] = []
  #count = 0

  start(producer: Producer, name: string): void {
    this.#running.push(this.#run(producer, name))
  }

  async #run(producer: Producer, name: string): Promise<void> {
    while (!this.#stopped) {
      const body = `${name}-${this.#count++}`
      try {
        await producer.send({ topic: TOPIC, body })
        this.stored.add(body)
      } catch {
        this.failed++
      }
      await delay(20)
    }
  }

  noteConsumed(body: string): void {
    this.consumed.set(body, (this.consumed.get(body) ?? 0) + 1)
  }

  get missing(): string[] {
    return [...this.stored].filter(body => !this.consumed.has(body))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#running)
  }
}

async function until(what: string, isSo: () => boolean, ms: number): Promise<number> {
  const since = Date.now()
  while (!isSo()) {
    assert.ok(Date.now() - since < ms, `${what}: not within ${ms} ms`)
    await delay(50)
  }
  return Date.now() - since
}

/** Two producers, two consumers, one of them in its own process, and a broker that flushes to disk before it answers. */
class FaultCluster {
  readonly traffic = new FaultTraffic()
  readonly nameServer: RunningNameServer
  readonly broker: LaunchedServer
  readonly consumer: PushConsumer
  readonly other: LaunchedProgram

  private constructor(
    nameServer: RunningNameServer,
    broker: LaunchedServer,
    consumer: PushConsumer,
    other: LaunchedProgram,
  ) {
    this.nameServer = nameServer
    this.broker = broker
    this.consumer = consumer
    this.other = other
  }

  static async start(owner: Owner, maker: Maker): Promise<FaultCluster> {
    const nameServer = await startOurProgram(owner)
    const nameServers = `127.0.0.1:${nameServer.port}`
    const broker = await startBrokerOf(maker, owner, {
      nameServers: [nameServers],
      name: 'a',
      properties: { flushDiskType: 'SYNC_FLUSH', registerNameServerPeriod: 10_000 },
    })
    const options = { nameServers, routeRefreshMs: 1000 }
    const producers = await Promise.all(
      ['p', 'q'].map(group => Producer.start({ ...options, group: `fault-${group}` })),
    )
    for (const producer of producers) owner.after(() => producer.close())
    await producers[0]?.send({ topic: TOPIC, body: 'first' }, { timeoutMs: 10_000 })
    const early: string[] = []
    let note = (body: string): void => void early.push(body)
    const consumer = await PushConsumer.start({
      ...options,
      group: GROUP,
      consumeFrom: 'first',
      subscriptions: { [TOPIC]: '*' },
      onMessage: ({ bytes }) => note(bytes.toString()),
    })
    owner.after(() => consumer.close())
    const file = join(import.meta.dirname, '..', 'src', 'client', 'consuming-program.ts')
    const other = new LaunchedProgram('our consumer', process.execPath, [file, nameServers, GROUP, TOPIC], {
      env: process.env,
    })
    owner.after(() => other.kill())
    const cluster = new FaultCluster(nameServer, broker, consumer, other)
    const { traffic } = cluster
    note = body => traffic.noteConsumed(body)
    for (const body of early) traffic.noteConsumed(body)
    let rest = ''
    other.onPrinted(text => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line.startsWith('got ')) traffic.noteConsumed(line.slice(4))
    })
    await other.prints(/started/, READY_MS)
    for (const [index, producer] of producers.entries()) traffic.start(producer, `p${index}`)
    return cluster
  }

  get held(): number {
    return this.consumer.queues.filter(({ topic }) => topic === TOPIC).length
  }

  /** Asserts that sends continue and that everything they store is consumed in time. Returns how long that took. */
  async continues(what: string, ms = RECOVERY_MS): Promise<number> {
    const { stored } = this.traffic
    const before = stored.size
    const since = Date.now()
    await until(`${what}: sends continue`, () => stored.size >= before + 20, ms)
    const expected = [...stored]
    const { consumed } = this.traffic
    await until(`${what}: consumers continue`, () => expected.every(body => consumed.has(body)), ms)
    return Date.now() - since
  }
}

const skip = await skipReason()

for (const maker of makers) {
  describe(`our clients survive kill -9 with ${maker === 'ours' ? 'our broker' : `a broker of Apache ${maker}`}`, {
    skip,
  }, () => {
    const closers: (() => Promise<void>)[] = []
    let cluster: FaultCluster

    before(async () => {
      cluster = await FaultCluster.start({ after: close => void closers.push(close) }, maker)
      await until('two consumers share four queues', () => cluster.held === 2, READY_MS)
    })

    after(async () => {
      for (const close of closers.toReversed()) await close()
    })

    test('after a kill and restart of the broker, sends and consumers continue by themselves', async t => {
      await cluster.continues('before')
      await cluster.broker.kill()
      await delay(2000)
      const { failed } = cluster.traffic
      await cluster.broker.restart()
      t.diagnostic(
        `continued ${await cluster.continues('after the kill')} ms after the restart; ${failed} sends failed`,
      )
    })

    test('during a kill and restart of the name server no send fails', async () => {
      const { failed } = cluster.traffic
      await cluster.nameServer.kill()
      await cluster.continues('without name server')
      await cluster.nameServer.restart()
      // Clients ask for routes every second, but the broker may take ten seconds to register again.
      await delay(2500)
      await cluster.continues('with a name server that has no routes yet')
      assert.equal(cluster.traffic.failed, failed)
    })

    test('the queues of a killed consumer move to the other', async t => {
      await cluster.other.kill()
      t.diagnostic(`moved in ${await until('all queues have moved', () => cluster.held === 4, RECOVERY_MS)} ms`)
      await cluster.continues('with one consumer')
    })

    test('every stored message was consumed, also those sent at the moment of a kill', async t => {
      const { traffic } = cluster
      await traffic.stop()
      await until('everything is consumed', () => traffic.missing.length === 0, RECOVERY_MS).catch(() => {})
      assert.deepEqual(traffic.missing, [])
      const duplicates = [...traffic.consumed.values()].filter(count => count > 1).length
      t.diagnostic(`${traffic.stored.size} stored, ${traffic.failed} failed, ${duplicates} arrived more than once`)
      assert.ok(duplicates < 200, `${duplicates} arrived more than once`)
    })
  })
}
