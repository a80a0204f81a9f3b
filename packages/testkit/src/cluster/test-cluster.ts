import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { V4_9_8 } from '@gantrymq/protocol'
import { type Dial, RemotingError } from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import { ServerClock } from './server-clock.ts'
import { TestBroker, type TestBrokerOptions } from './test-broker.ts'
import { TestNameServer } from './test-name-server.ts'
import { TestServer } from './test-server.ts'

export interface TestClusterOptions {
  /** How many masters, or the settings of each broker. Default one master. */
  readonly brokers?: number | readonly TestBrokerOptions[]
  /** Default 1. All of them know the same brokers. */
  readonly nameServers?: number
  /** Listen on ports of 127.0.0.1 instead of memory sockets. */
  readonly realPorts?: boolean
}

interface Closeable {
  close(): Promise<unknown>
}

const ROUNDS = 2000
/** How long Node's thread pool may take to finish its work, milliseconds. */
const POOL_MS = 5000

/** Name servers and brokers in memory, with a clock that the test moves. */
export class TestCluster {
  readonly clock = new ManualClock()
  readonly nameServers: readonly TestNameServer[] = []
  readonly brokers: readonly TestBroker[] = []
  /** Connects to the servers of the cluster by address. Pass it as `dial` to a client. */
  readonly dial: Dial = (address, signal) => this.#connect(address, signal)
  readonly #serverClock = new ServerClock(this.clock)
  readonly #real: boolean
  readonly #owned: Closeable[] = []
  #clients = 0

  static async start({
    brokers = 1,
    nameServers = 1,
    realPorts = false,
  }: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(realPorts)
    const settings = typeof brokers === 'number' ? Array.from({ length: brokers }, () => ({})) : brokers
    try {
      for (let index = 0; index < nameServers; index++) await cluster.#startNameServer(index)
      for (const [index, options] of settings.entries()) await cluster.#startBroker(index, options)
    } catch (error) {
      await cluster.close()
      throw error
    }
    return cluster
  }

  private constructor(real: boolean) {
    this.#real = real
  }

  async #startNameServer(index: number): Promise<void> {
    const { clock } = this
    const server = new TestServer({ address: `10.0.0.${index + 1}:9876`, clock })
    if (this.#real) await server.listen()
    ;(this.nameServers as TestNameServer[]).push(await TestNameServer.start(server, this.#serverClock))
  }

  async #startBroker(index: number, options: TestBrokerOptions): Promise<void> {
    const { clock } = this
    const letter = String.fromCharCode('a'.charCodeAt(0) + index)
    const version = options.release === '4.9' ? V4_9_8 : undefined
    const server = new TestServer({ address: `10.0.1.${index + 1}:10911`, clock, version })
    if (this.#real) await server.listen()
    const broker = await TestBroker.start(
      { name: `broker-${letter}`, ...options },
      {
        server,
        serverClock: this.#serverClock,
        nameServers: this.nameServerList,
        dialNameServer: (address, from) => this.#connectBroker(address, from),
      },
    )
    ;(this.brokers as TestBroker[]).push(broker)
  }

  /** The first name server. */
  get nameServer(): TestNameServer {
    return this.nameServers[0] as TestNameServer
  }

  /** The first broker. */
  get broker(): TestBroker {
    return this.brokers[0] as TestBroker
  }

  /** `host:port;host:port`, for the option `nameServers`. */
  get nameServerList(): string {
    return this.nameServers.map(({ address }) => address).join(';')
  }

  /** How many timers run that are not of a server. */
  get clientTimers(): number {
    return this.clock.timers - this.#serverClock.timers
  }

  /** Registers something that the test started. The cluster closes it at the end of the test, the newest first. */
  own<T extends Closeable>(started: T): T {
    this.#owned.push(started)
    return started
  }

  // -- Time ----------------------------------------------------------------------------------------------------------

  /** Lets everything in flight arrive. The clock stands still. */
  settle(turns = 20): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    // One promise for all turns: tests settle so often that one for each turn is a good part of their time.
    const turn = (left: number): void => {
      if (left === 0) resolve()
      else if (this.#real) setTimeout(turn, 1, left - 1)
      else setImmediate(turn, left - 1)
    }
    turn(turns)
    return promise
  }

  /** Moves the clock in steps, so that answers arrive between them. */
  async advance(ms: number, stepMs = 50): Promise<void> {
    await this.settle()
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(left, stepMs))
      await this.settle(4)
    }
    await this.settle()
  }

  /**
   * Waits until a condition holds and moves the clock by `stepMs` a turn (default 0). Fails after 2,000 turns. If the clock
   * stands still, it fails after five seconds at the earliest: work in Node's thread pool takes real time.
   */
  async until(condition: () => boolean, { stepMs = 0 }: { readonly stepMs?: number } = {}): Promise<void> {
    const end = performance.now() + (stepMs === 0 ? POOL_MS : 0)
    for (let round = 0; ; round++) {
      if (condition()) return
      if (round >= ROUNDS && performance.now() >= end) break
      await this.settle(2)
      if (stepMs > 0) this.clock.advance(stepMs)
    }
    assert.fail(`the condition never held: ${String(condition)}`)
  }

  /** Awaits a promise and moves the clock by `stepMs` a turn (default 50) until it settles. */
  async outcome<T>(promise: Promise<T>, { stepMs = 50 }: { readonly stepMs?: number } = {}): Promise<T> {
    let settled = false
    const note = (): void => {
      settled = true
    }
    promise.then(note, note)
    await this.until(() => settled, { stepMs })
    return promise
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** Fails if a connection, a waiting pull or a timer of a client is left. Call it when all clients are closed. */
  async assertNothingLeft(): Promise<void> {
    await this.settle()
    if (this.#real) await this.until(() => this.#servers.every(({ connections }) => connections === 0))
    const left = {
      connections: this.#servers.filter(({ connections }) => connections > 0).map(({ address }) => address),
      waitingPulls: this.brokers.filter(({ waitingPulls }) => waitingPulls > 0).map(({ address }) => address),
      timers: this.clientTimers,
    }
    assert.deepEqual(
      left,
      { connections: [], waitingPulls: [], timers: 0 },
      'something is left after the clients were closed',
    )
  }

  /** Closes what `own` registered, checks that nothing is left, then closes the servers. */
  async close(): Promise<void> {
    const owned = this.#owned.splice(0)
    try {
      for (const each of owned.toReversed()) await this.outcome(each.close())
      if (owned.length > 0) await this.assertNothingLeft()
    } finally {
      // The brokers first: they leave the name servers.
      await this.outcome(Promise.all(this.brokers.map(broker => broker.close())))
      await this.outcome(Promise.all(this.nameServers.map(server => server.close())))
    }
  }

  get #servers(): TestServer[] {
    return [...this.nameServers, ...this.brokers].map(({ server }) => server)
  }

  async #connect(address: string, signal: AbortSignal): Promise<ReturnType<typeof memorySockets>[0]> {
    signal.throwIfAborted()
    const server = this.#servers.find(each => each.address === address)
    if (server?.accepting === 'hangs') return hang(signal)
    if (server?.accepting !== 'connects') {
      throw new RemotingError('CONNECT_FAILED', 'no server listens there (ECONNREFUSED)', { retriable: true })
    }
    const [near, far] = memorySockets()
    server.connect(far, `10.0.2.1:${50_000 + ++this.#clients}`)
    return near
  }

  #connectBroker(address: string, from: string): Duplex {
    const server = this.nameServers.find(each => each.address === address)
    if (server === undefined) throw new Error(`there is no name server at ${address}`)
    const [near, far] = memorySockets()
    server.behind.accept(far, from)
    return near
  }
}

function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

/**
 * Starts a cluster in memory, with a clock that stands still, and closes it when the test ends.
 *
 * ```ts
 * const cluster = await testCluster(t, { brokers: 2 })
 * for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 2 })
 * const { nameServerList: nameServers, clock, dial } = cluster
 * const producer = cluster.own(await cluster.outcome(Producer.start({ nameServers, clock, dial, group: 'orders' })))
 * cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'never', handled: false, times: Infinity })
 * const receipt = await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
 * assert.equal(receipt.queue.brokerName, 'broker-b')
 * assert.equal(cluster.broker.messages('Orders').length, 0)
 * assert.equal(cluster.brokers[1]?.server.requestsOf('SEND_MESSAGE_V2').length, 1)
 * // At its end the cluster closes the producer, and the test fails if a connection or a timer is left.
 * ```
 */
export async function testCluster(t: TestContext, options: TestClusterOptions = {}): Promise<TestCluster> {
  // The test runner keeps this hook until all tests have ended, so it must not keep the cluster.
  let open: TestCluster | undefined = await TestCluster.start(options)
  t.after(async () => {
    await open?.close()
    open = undefined
  })
  return open
}
