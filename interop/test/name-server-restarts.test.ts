// One of two name servers is stopped or killed again and again, while our clients and Java's send, consume and ask for routes.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Admin, Producer, PushConsumer } from '@gantrymq/client'
import { type Release, RELEASES, skipReason } from '../src/launch/apache.ts'
import type { LaunchedProgram, Owner } from '../src/launch/launched-program.ts'
import { type LaunchedServer, startApacheBroker, startProgram } from '../src/launch/launcher.ts'
import { startOurProgram } from '../src/launch/our-name-server.ts'
import { brokersOf } from '../src/wire/raw-connection.ts'
import { eventually } from '../src/eventually.ts'

/** 100 of them take about six minutes. */
const RESTARTS = Number(process.env['GANTRY_INTEROP_RESTARTS'] ?? 8)
/** After so many restarts, once the broker has registered again, so that clients also use the restarted server. */
const FULL_EVERY = 8
const PAUSE_MS = 500
const SEND_EVERY_MS = 50
const BROKER_MS = 60_000
const ALL_CONSUMED_MS = 60_000
const MANY = 1_000_000
const TOPIC = 'restarts'

/**
 * After a timeout of one call a Java client closes the connection, and with it fails the other calls on it. Timeouts of its first
 * calls only show that the machine is busy.
 */
const JAVA_FLAGS = ['-Dcom.rocketmq.remoting.client.closeSocketIfTimeout=false']

/** What one client does until it is stopped. */
interface Worker {
  readonly name: string
  readonly failures: readonly string[]
  /** Calls that succeeded. */
  readonly count: number
  stop(): Promise<void>
}

/** Repeats a call of one of our clients. */
class OurWorker implements Worker {
  readonly name: string
  readonly failures: string[] = []
  count = 0
  #stopped = false
  readonly #over: Promise<void>

  constructor(name: string, call: (index: number) => Promise<unknown>) {
    this.name = name
    this.#over = this.#run(call)
  }

  async #run(call: (index: number) => Promise<unknown>): Promise<void> {
    for (let index = 0; !this.#stopped; index++) {
      try {
        await call(index)
        this.count++
      } catch (error) {
        this.failures.push(String(error))
      }
      await delay(SEND_EVERY_MS)
    }
  }

  stop(): Promise<void> {
    this.#stopped = true
    return this.#over
  }
}

/** Counts the lines that Produce.java prints. */
class JavaSender implements Worker {
  readonly name: string
  readonly failures: string[] = []
  readonly sent = new Set<string>()
  readonly #program: LaunchedProgram

  constructor(name: string, program: LaunchedProgram) {
    this.name = name
    this.#program = program
    eachLine(program, line => {
      const [word, number] = line.split(' ')
      if (word === 'sent') this.sent.add(`${name} ${number}`)
      if (word === 'failed') this.failures.push(line)
    })
  }

  get count(): number {
    return this.sent.size
  }

  stop(): Promise<void> {
    return this.#program.kill()
  }
}

function eachLine(program: LaunchedProgram, listener: (line: string) => void): void {
  let rest = ''
  program.onPrinted(text => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) listener(line)
  })
}

/** Two name servers, a broker that registers with both, and the messages that every group must get. */
interface Cluster {
  readonly owner: Owner
  readonly nameServers: string
  readonly broker: LaunchedServer
  readonly restarted: LaunchedServer
}

async function start(owner: Owner): Promise<Cluster> {
  const [stays, restarted] = await Promise.all([startOurProgram(owner), startOurProgram(owner)])
  const addresses = [stays.address, restarted.address]
  const broker = await startApacheBroker(owner, {
    release: '5.5.0',
    nameServers: addresses,
    name: 'a',
    properties: { registerNameServerPeriod: 10_000 },
  })
  return { owner, nameServers: addresses.join(';'), broker, restarted }
}

async function startOurs({ owner, nameServers }: Cluster, sent: Set<string>): Promise<Worker[]> {
  const options = { nameServers, routeRefreshMs: 1000 }
  const producer = await Producer.start({ ...options, group: 'restart-senders' })
  owner.after(() => producer.close())
  const admin = await Admin.start(options)
  owner.after(() => admin.close())
  await producer.send({ topic: TOPIC, body: 'ours first' }, { timeoutMs: 15_000 })
  sent.add('ours first')
  const workers = [
    new OurWorker('ours', async index => {
      await producer.send({ topic: TOPIC, body: `ours ${index}` })
      sent.add(`ours ${index}`)
    }),
    new OurWorker('our route queries', async () => {
      const { brokerDatas } = await admin.topics.route(TOPIC)
      assert.equal(brokerDatas.length, 1)
    }),
  ]
  for (const worker of workers) owner.after(() => worker.stop())
  return workers
}

async function startOurConsumer({ owner, nameServers }: Cluster): Promise<Set<string>> {
  const got = new Set<string>()
  const consumer = await PushConsumer.start({
    nameServers,
    routeRefreshMs: 1000,
    group: 'restart-readers',
    consumeFrom: 'first',
    subscriptions: { [TOPIC]: '*' },
    onMessage: ({ bytes }) => void got.add(bytes.toString()),
  })
  owner.after(() => consumer.close())
  return got
}

async function startJava({ owner, nameServers }: Cluster, release: Release) {
  const name = `java-${release}`
  const sending = await startProgram(
    owner,
    release,
    'Produce',
    [nameServers, TOPIC, MANY, SEND_EVERY_MS, name],
    JAVA_FLAGS,
  )
  const sender = new JavaSender(name, sending)
  // Consume.java counts the messages that begin with a word: those of our producer.
  const consuming = await startProgram(
    owner,
    release,
    'Consume',
    [nameServers, TOPIC, `readers-of-${release.replaceAll('.', '-')}`, MANY, MANY, 'ours'],
    JAVA_FLAGS,
  )
  const got = new Set<string>()
  eachLine(consuming, line => void (line.startsWith('got ') && got.add(line.slice(4))))
  await consuming.prints(/ready/, BROKER_MS)
  await eventually(async () => assert.ok(sender.count > 0, 'Java has sent nothing'), BROKER_MS)
  return { sender, got }
}

/** SIGTERM and kill -9 in turn. */
async function restartAgain({ restarted, broker }: Cluster): Promise<void> {
  for (let round = 1; round <= RESTARTS; round++) {
    await (round % 2 === 0 ? restarted.kill() : restarted.stop())
    await delay(PAUSE_MS)
    await restarted.restart()
    if (round % FULL_EVERY === 0) {
      await eventually(async () => assert.ok((await brokersOf(restarted.port)).includes(broker.address)), BROKER_MS)
    }
    await delay(PAUSE_MS)
  }
}

const missing = (sent: ReadonlySet<string>, got: ReadonlySet<string>) => [...sent].filter(body => !got.has(body))

describe('one of two name servers is restarted again and again', { skip: await skipReason() }, () => {
  test(`${RESTARTS} restarts: no call of our clients or of Java's fails, and every message arrives`, async t => {
    const closers: (() => Promise<void>)[] = []
    t.after(async () => {
      for (const close of closers.toReversed()) await close()
    })
    const cluster = await start({ after: close => void closers.push(close) })
    const sent = new Set<string>()
    const ours = await startOurs(cluster, sent)
    const gotByOurs = await startOurConsumer(cluster)
    const javas = []
    // One after the other: each takes a core for seconds.
    for (const release of RELEASES) javas.push(await startJava(cluster, release))
    const workers = [...ours, ...javas.map(({ sender }) => sender)]

    await restartAgain(cluster)

    await Promise.all(workers.map(worker => worker.stop()))
    for (const { name, failures, count } of workers) {
      t.diagnostic(`${name}: ${count} calls, ${failures.length} failed`)
      assert.deepEqual(failures, [], name)
      assert.ok(count > RESTARTS, `${name}: only ${count} calls`)
    }
    const all = new Set([...sent, ...javas.flatMap(({ sender }) => [...sender.sent])])
    await eventually(async () => assert.deepEqual(missing(all, gotByOurs), []), ALL_CONSUMED_MS)
    for (const { sender, got } of javas) {
      await eventually(async () => assert.deepEqual(missing(sent, got), [], sender.name), ALL_CONSUMED_MS)
    }
  })
})
