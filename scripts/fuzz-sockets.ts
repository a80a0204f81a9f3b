// Sends random bytes to the real name server over many connections, while others use it.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeRegisterBroker, nameServerRequests } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'
import { type FuzzTarget, inputOf, Random } from '@gantrymq/testkit'

const { GET_ROUTEINFO_BY_TOPIC, REGISTER_BROKER } = nameServerRequests

/** Targets whose inputs are what a connection may begin with. */
const OPENINGS = ['frames', 'http-requests', 'proxy-v1', 'proxy-v2', 'protocols']
const ATTACKERS = 64
const USERS = 4
const ASK_EVERY_MS = 10
/** The broker registers again after so many pauses. */
const REGISTER_EVERY = 500
const ANSWER_MS = 30_000
/** How long a connection is left open without being used. */
const LONGEST_PAUSE_MS = 20
/** A heap that is collected often, so that memory which is only garbage does not look like a leak. */
const SMALL_HEAP = ['--max-old-space-size=64', '--max-semi-space-size=2']
/** What the memory may have grown by when the connections are gone, MB. */
const GROWTH_MB = 32
const SETTLE_MS = 60_000
const TOPIC = 'still-there'

export interface SocketReport {
  readonly connections: number
  /** Bytes that were sent to the server. */
  readonly bytes: number
  /** Queries that others made meanwhile; all were answered. */
  readonly answered: number
  readonly slowestMs: number
  /** Resident memory, MB: after the first connections, at most, and at the end. */
  readonly rssMb: { readonly start: number; readonly most: number; readonly end: number }
}

/** The name server in a process of its own, with a temporary home. */
class Victim {
  readonly #child: ChildProcess
  readonly #home: string
  readonly port: number
  #said = ''

  private constructor(child: ChildProcess, home: string, port: number) {
    this.#child = child
    this.#home = home
    this.port = port
    child.stderr?.on('data', text => (this.#said += String(text)))
  }

  static async start(): Promise<Victim> {
    const home = await mkdtemp(join(tmpdir(), 'fuzz-sockets-'))
    const root = join(import.meta.dirname, '..')
    const program = join(root, 'packages/gantrymq/src/bin/mqnamesrv.ts')
    const args = [...SMALL_HEAP, program, '--listen-port', '0', '--bind-address', '127.0.0.1', '--log-level', 'error']
    const environment = { ...process.env, HOME: home, USERPROFILE: home }
    const child = spawn(process.execPath, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    for await (const line of createInterface(child.stdout)) {
      const port = /^The Name Server boot success\..*:(\d+)$/.exec(line)?.[1]
      if (port === undefined) continue
      child.stdout.resume()
      return new Victim(child, home, Number(port))
    }
    throw new Error('the name server ended before it had booted')
  }

  async rssMb(): Promise<number> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8').catch(() => '')
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
  }

  /** Ends it as an operator does. @throws AssertionError if it has crashed or complained */
  async stop(): Promise<void> {
    assert.equal(this.#child.exitCode, null, `the name server has ended: ${this.#said}`)
    this.#child.kill('SIGTERM')
    assert.deepEqual(await once(this.#child, 'exit'), [0, null], this.#said)
    assert.equal(this.#said, '')
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL')
    await rm(this.#home, { recursive: true, force: true })
  }
}

/** A broker and clients that use the server all the time. */
class Users {
  readonly #client = new RemotingClient()
  readonly #address: string
  readonly #working: Promise<void>[] = []
  #stopped = false
  answered = 0
  slowestMs = 0

  constructor(port: number) {
    this.#address = `127.0.0.1:${port}`
  }

  async start(): Promise<void> {
    await this.#register()
    this.#working.push(this.#keepRegistered())
    for (let i = 0; i < USERS; i++) this.#working.push(this.#ask())
  }

  async #register(): Promise<void> {
    const topic = { readQueueNums: 8, writeQueueNums: 8, perm: 6, topicFilterType: 'SINGLE_TAG', topicSysFlag: 0 }
    const body = encodeRegisterBroker(
      {
        dataVersion: { stateVersion: 0, timestamp: 1, counter: 1 },
        topics: new Map([[TOPIC, { topicName: TOPIC, order: false, ...topic }]]),
        topicQueueMappings: new Map(),
        filterServers: [],
      },
      { version: 513, compressed: false },
    )
    const header = { brokerName: 'still-here', brokerAddr: '10.255.0.1:10911', clusterName: 'users', brokerId: 0 }
    await this.#client.call(this.#address, REGISTER_BROKER, { header, body }, { timeoutMs: ANSWER_MS })
  }

  async #keepRegistered(): Promise<void> {
    for (let turn = 1; !this.#stopped; turn++) {
      if (turn % REGISTER_EVERY === 0) await this.#register()
      await sleep(ASK_EVERY_MS)
    }
  }

  async #ask(): Promise<void> {
    while (!this.#stopped) {
      const begin = performance.now()
      const { body } = await this.#client.call(
        this.#address,
        GET_ROUTEINFO_BY_TOPIC,
        { header: { topic: TOPIC } },
        { timeoutMs: ANSWER_MS },
      )
      assert.equal(body?.brokerDatas.length, 1)
      this.answered++
      this.slowestMs = Math.max(this.slowestMs, performance.now() - begin)
      await sleep(ASK_EVERY_MS)
    }
  }

  /** Resolves when it is stopped. @throws if a query fails */
  over(): Promise<unknown> {
    return Promise.all(this.#working)
  }

  stop(): void {
    this.#stopped = true
  }

  async close(): Promise<void> {
    this.stop()
    await this.#client.close()
  }
}

/** Opens one connection after the other, and sends random bytes on each. */
class Attack {
  readonly #port: number
  readonly #targets: readonly FuzzTarget[]
  readonly #seed: number
  #next = 0
  bytes = 0

  constructor(port: number, targets: readonly FuzzTarget[], seed: number) {
    this.#port = port
    this.#targets = targets.filter(({ name }) => OPENINGS.includes(name))
    this.#seed = seed
  }

  /** Opens connections up to this number, many at the same time. */
  async until(connections: number): Promise<void> {
    const attacker = async () => {
      while (this.#next < connections) await this.#connect(this.#next++)
    }
    await Promise.all(Array.from({ length: ATTACKERS }, attacker))
  }

  async #connect(index: number): Promise<void> {
    const random = new Random(this.#seed, index)
    const socket = connect({ port: this.#port, host: '127.0.0.1' })
    socket.on('error', () => {}).resume()
    const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
    for (let i = 1 + random.below(3); i > 0 && !socket.destroyed; i--) {
      await this.#send(socket, inputOf(random.pick(this.#targets), this.#seed, index * 4 + i), random)
    }
    // Some end properly, the others vanish. Node cannot reset a connection that it is ending.
    const ends = random.below(2) === 0
    if (ends) socket.end()
    await Promise.race([closed, sleep(random.below(LONGEST_PAUSE_MS))])
    if (ends) socket.destroy()
    else socket.resetAndDestroy()
    await closed
  }

  /** In one piece or two. */
  async #send(socket: Socket, input: Buffer, random: Random): Promise<void> {
    const cut = random.below(2) * random.below(input.length + 1)
    for (const piece of [input.subarray(0, cut), input.subarray(cut)]) {
      if (piece.length === 0) continue
      this.bytes += piece.length
      socket.write(piece)
      if (random.below(4) === 0) await sleep(random.below(LONGEST_PAUSE_MS))
    }
  }
}

/**
 * Attacks a name server with this many connections.
 * @throws AssertionError or the error of a query, if the server ends, complains, does not answer others or keeps the memory
 */
export async function fuzzSockets(
  targets: readonly FuzzTarget[],
  connections: number,
  seed: number,
): Promise<SocketReport> {
  const victim = await Victim.start()
  const users = new Users(victim.port)
  const attack = new Attack(victim.port, targets, seed)
  let most = 0
  const watch = setInterval(() => void victim.rssMb().then(mb => (most = Math.max(most, mb))), 100)
  try {
    await users.start()
    const attacking = async () => {
      // The first connections load code and fill caches.
      await attack.until(Math.ceil(connections / 10))
      const start = await victim.rssMb()
      await attack.until(connections)
      return start
    }
    const served = users.over()
    const start = await Promise.race([attacking(), served.then(() => assert.fail('the users have stopped'))])
    users.stop()
    await served
    const end = await settled(victim, start)
    await victim.stop()
    const { answered, slowestMs } = users
    return { connections, bytes: attack.bytes, answered, slowestMs, rssMb: { start, most, end } }
  } finally {
    clearInterval(watch)
    await users.close()
    await victim.close()
  }
}

/** Waits until the memory is back near where it was. */
async function settled(victim: Victim, start: number): Promise<number> {
  const deadline = performance.now() + SETTLE_MS
  for (;;) {
    const now = await victim.rssMb()
    if (now <= start + GROWTH_MB) return now
    assert.ok(performance.now() < deadline, `the memory was ${start} MB and stays at ${now} MB`)
    await sleep(500)
  }
}
