import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Release, skipReason } from '../launch/apache.ts'
import type { RawRoute } from './brokers.ts'
import { eventually } from '../eventually.ts'
import type { LaunchedProgram, Owner } from '../launch/launched-program.ts'
import {
  type LaunchedServer,
  type RunningNameServer,
  runMqadmin,
  startApacheBroker,
  startProgram,
} from '../launch/launcher.ts'
import { ask, brokersOf } from '../wire/raw-connection.ts'
import { parseFastjson } from '../wire/raw-frame.ts'
import type { NameServerKind } from '../launch/name-servers.ts'

const TOPIC = 'traffic'
const ORDERED = 'ordered'
const CLUSTER = 'DefaultCluster'
const PROGRAM_MS = 90_000
/** Brokers reconnect to a name server at the next registration; 10 s is the shortest period that they accept. */
const REGISTRATION_PERIOD_MS = 10_000
const CONSUME_SECONDS = 40
const BACK_MS = 4 * REGISTRATION_PERIOD_MS
const GONE_MS = 10_000

/** Two masters and a slave of one Apache release, registered at two name servers. */
class ReplicatedCluster {
  readonly release: Release
  readonly owner: Owner
  readonly nameServers: readonly RunningNameServer[]
  readonly a: LaunchedServer
  readonly slave: LaunchedServer
  readonly b: LaunchedServer

  private constructor(
    release: Release,
    owner: Owner,
    nameServers: readonly RunningNameServer[],
    brokers: readonly [LaunchedServer, LaunchedServer, LaunchedServer],
  ) {
    this.release = release
    this.owner = owner
    this.nameServers = nameServers
    ;[this.a, this.slave, this.b] = brokers
  }

  static async start(owner: Owner, kind: NameServerKind, release: Release): Promise<ReplicatedCluster> {
    const properties = { orderMessageEnable: true }
    const nameServers = await Promise.all([kind.start(owner, properties), kind.start(owner, properties)])
    const start = (name: string, id: number) =>
      startApacheBroker(owner, {
        release,
        name,
        id,
        nameServers: nameServers.map(({ port }) => `127.0.0.1:${port}`),
        properties: { registerNameServerPeriod: REGISTRATION_PERIOD_MS, autoCreateTopicEnable: false },
      })
    const brokers = await Promise.all([start('a', 0), start('a', 1), start('b', 0)])
    const cluster = new ReplicatedCluster(release, owner, nameServers, brokers)
    await cluster.mqadmin('updateTopic', '-c', CLUSTER, '-t', TOPIC)
    return cluster
  }

  /** The addresses of both name servers, for clients. */
  get addresses(): string {
    return this.nameServers.map(({ port }) => `127.0.0.1:${port}`).join(';')
  }

  async mqadmin(command: string, ...args: string[]): Promise<string> {
    const [output = ''] = await runMqadmin(this.owner, this.release, [[command, '-n', this.addresses, ...args]])
    return output
  }

  /** Starts a producer whose messages begin with a word. */
  produce(client: Release, word: string, count: number, intervalMs: number, topic = TOPIC): Promise<LaunchedProgram> {
    return startProgram(this.owner, client, 'Produce', [this.addresses, topic, count, intervalMs, word])
  }

  /** Runs a consumer until it has received `count` different messages with a word. Returns how many it has received. */
  async consume(client: Release, word: string, count: number): Promise<number> {
    const args = [this.addresses, TOPIC, `group-${word}`, count, CONSUME_SECONDS, word]
    const program = await startProgram(this.owner, client, 'Consume', args)
    await program.succeeds(PROGRAM_MS)
    return Number(/^done (\d+)$/m.exec(program.output)?.[1])
  }

  /** The route of a topic at each name server. */
  async routes(topic = TOPIC): Promise<(RawRoute | null)[]> {
    const answers = await Promise.all(
      this.nameServers.map(({ port }) => ask(port, { code: 105, extFields: { topic } })),
    )
    return answers.map(answer => parseFastjson(answer.body) as RawRoute | null)
  }

  /** Waits until each name server knows exactly these brokers. */
  async isKnownEverywhere(brokers: readonly LaunchedServer[], ms: number): Promise<void> {
    const expected = brokers.map(broker => broker.address).toSorted()
    await eventually(async () => {
      for (const { port } of this.nameServers) assert.deepEqual((await brokersOf(port)).toSorted(), expected)
    }, ms)
  }
}

interface ProducerResult {
  readonly sent: number
  readonly failed: number
  readonly brokers: readonly string[]
  readonly queues: number
}

function resultOf(program: LaunchedProgram): ProducerResult {
  const [, sent, failed] = /^done (\d+) (\d+)$/m.exec(program.output) ?? []
  const brokers = [...program.output.matchAll(/^sent \d+ (\S+) \d+$/gm)].map(match => match[1] ?? '')
  const queues = Number(/^queues (\d+)$/m.exec(program.output)?.[1])
  return { sent: Number(sent), failed: Number(failed), brokers: [...new Set(brokers)].toSorted(), queues }
}

async function finished(program: LaunchedProgram): Promise<ProducerResult> {
  await program.succeeds(PROGRAM_MS)
  return resultOf(program)
}

/** Operators and clients at work with brokers of a release that are registered at two name servers. */
export async function brokerScenarios(
  kind: NameServerKind,
  release: Release,
  clients: readonly Release[],
): Promise<void> {
  const skip = kind.skip || (await skipReason())
  describe(`brokers ${release} at two name servers: ${kind.name}`, { skip }, () => {
    const closes: (() => Promise<void>)[] = []
    let started: ReplicatedCluster | undefined
    const cluster = () => started ?? assert.fail('the cluster did not start')
    before(async () => {
      started = await ReplicatedCluster.start({ after: close => void closes.push(close) }, kind, release)
    })
    after(async () => {
      for (const close of closes.toReversed()) await close()
    })
    describe('registration', () => registered(cluster))
    describe('send and consume', () => traffic(cluster, clients))
    describe('write permission', () => permissions(cluster))
    describe('order topics', () => orderTopics(cluster))
    describe('restart a name server', () => nameServerRestarts(cluster))
    describe('kill -9 a broker', () => brokerDies(cluster))
  })
}

function registered(started: () => ReplicatedCluster): void {
  test('both name servers know both masters and the slave', async () => {
    const cluster = started()
    await cluster.isKnownEverywhere([cluster.a, cluster.slave, cluster.b], BACK_MS)
    for (const route of await cluster.routes()) {
      const addresses = Object.fromEntries(route?.brokerDatas.map(data => [data.brokerName, data.brokerAddrs]) ?? [])
      assert.deepEqual(addresses, {
        a: { 0: cluster.a.address, 1: cluster.slave.address },
        b: { 0: cluster.b.address },
      })
    }
  })
}

function traffic(started: () => ReplicatedCluster, clients: readonly Release[]): void {
  for (const client of clients) {
    test(`a ${client} producer sends to both masters, and a consumer receives everything`, async () => {
      const cluster = started()
      const word = client.replaceAll('.', '-')
      const consuming = cluster.consume(client, word, 24)
      const { sent, failed, brokers, queues } = await finished(await cluster.produce(client, word, 24, 0))
      assert.deepEqual({ sent, failed, brokers, queues }, { sent: 24, failed: 0, brokers: ['a', 'b'], queues: 16 })
      assert.equal(await consuming, 24)
    })
  }
}

async function permissionsOf(cluster: ReplicatedCluster, brokerName: string): Promise<(number | undefined)[]> {
  const routes = await cluster.routes()
  return routes.map(route => route?.queueDatas.find(queue => queue.brokerName === brokerName)?.perm)
}

function permissions(started: () => ReplicatedCluster): void {
  test('producers do not send to a broker without write permission until it is added again', async () => {
    const cluster = started()
    const wiped = await cluster.mqadmin('wipeWritePerm', '-b', 'a')
    assert.equal(wiped.match(/^wipe write perm of broker\[a\] in name server\[\S+\] OK, \d+$/gm)?.length, 2, wiped)
    assert.deepEqual(await permissionsOf(cluster, 'a'), [4, 4])
    const without = await finished(await cluster.produce(cluster.release, 'wiped', 16, 0))
    assert.deepEqual([without.brokers, without.queues, without.failed], [['b'], 8, 0])
    const added = await cluster.mqadmin('addWritePerm', '-b', 'a')
    assert.equal(added.match(/^add write perm of broker\[a\] in name server\[\S+\] OK, \d+$/gm)?.length, 2, added)
    assert.deepEqual(await permissionsOf(cluster, 'a'), [6, 6])
    assert.deepEqual((await finished(await cluster.produce(cluster.release, 'added', 16, 0))).brokers, ['a', 'b'])
  })
}

function orderTopics(started: () => ReplicatedCluster): void {
  test('a producer uses the queues of the order configuration for an order topic', async () => {
    const cluster = started()
    await cluster.mqadmin('updateTopic', '-c', CLUSTER, '-t', ORDERED, '-r', '4', '-w', '4', '-o', 'true')
    for (const route of await cluster.routes(ORDERED)) {
      assert.deepEqual(route?.orderTopicConf?.split(';').toSorted(), ['a:4', 'b:4'])
    }
    await cluster.mqadmin('updateOrderConf', '-t', ORDERED, '-m', 'put', '-v', 'b:2')
    const { queues, brokers, sent } = await finished(await cluster.produce(cluster.release, 'ordered', 8, 0, ORDERED))
    assert.deepEqual({ queues, brokers, sent }, { queues: 2, brokers: ['b'], sent: 8 })
  })
}

function nameServerRestarts(started: () => ReplicatedCluster): void {
  test('no message is lost or refused, and the brokers register again', { timeout: 120_000 }, async () => {
    const cluster = started()
    const producing = await cluster.produce(cluster.release, 'restart', 150, 50)
    await producing.prints(/^sent 20 /m, PROGRAM_MS)
    const [first] = cluster.nameServers
    await first?.kill()
    await delay(1_000)
    await first?.restart()
    const { sent, failed } = await finished(producing)
    assert.deepEqual({ sent, failed }, { sent: 150, failed: 0 })
    await cluster.isKnownEverywhere([cluster.a, cluster.slave, cluster.b], BACK_MS)
    for (const route of await cluster.routes()) assert.equal(route?.queueDatas.length, 2)
    const orders = await cluster.routes(ORDERED)
    assert.deepEqual(
      orders.map(route => route?.orderTopicConf),
      ['b:2', 'b:2'],
    )
  })
}

function brokerDies(started: () => ReplicatedCluster): void {
  test('its routes are removed at once, sending continues, and nothing is lost after its restart', {
    timeout: 150_000,
  }, async () => {
    const cluster = started()
    const producing = await cluster.produce(cluster.release, 'killed', 150, 50)
    await producing.prints(/^sent 20 /m, PROGRAM_MS)
    await cluster.b.kill()
    await cluster.isKnownEverywhere([cluster.a, cluster.slave], GONE_MS)
    for (const route of await cluster.routes()) {
      assert.deepEqual(
        route?.queueDatas.map(queue => queue.brokerName),
        ['a'],
      )
    }
    assert.equal((await finished(producing)).sent, 150)
    await cluster.b.restart()
    await cluster.isKnownEverywhere([cluster.a, cluster.slave, cluster.b], BACK_MS)
    for (const route of await cluster.routes()) assert.equal(route?.queueDatas.length, 2)
    assert.equal(await cluster.consume(cluster.release, 'killed', 150), 150)
  })
}
