import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type Dial, RemotingError } from '@gantrymq/remoting'
import { HandClock } from './clock.ts'
import { memorySockets } from './memory-sockets.ts'
import { ScriptedBroker, type ScriptedBrokerOptions } from './scripted-broker.ts'
import type { RudeServer } from './scripted/rude-server.ts'
import { ScriptedNameServer } from './scripted/scripted-name-server.ts'

export interface StageOptions {
  /** How many masters, or the settings of each broker. Default one master. */
  readonly brokers?: number | readonly Partial<ScriptedBrokerOptions>[]
  /** Default 1. All know the same. */
  readonly nameServers?: number
  /** Listen on ports of 127.0.0.1 instead of memory sockets. */
  readonly realPorts?: boolean
}

interface Closeable {
  close(): Promise<unknown>
}

const ROUNDS = 2000
/** What Node's thread pool is given to end its work, milliseconds. */
const POOL_MS = 5000

/** Everything a test of the client plays with. */
export class Stage {
  readonly clock = new HandClock()
  readonly nameServers: readonly ScriptedNameServer[]
  readonly brokers: readonly ScriptedBroker[]
  /** Connects to the servers of the stage by their addresses; for RemotingClientOptions. */
  readonly dial: Dial
  readonly #real: boolean
  readonly #owned: Closeable[] = []
  #clients = 0

  constructor({ brokers = 1, nameServers = 1, realPorts = false }: StageOptions) {
    this.#real = realPorts
    const settings = typeof brokers === 'number' ? Array.from({ length: brokers }, () => ({})) : brokers
    const { clock } = this
    this.nameServers = Array.from(
      { length: nameServers },
      (_, index) => new ScriptedNameServer({ address: `10.0.0.${index + 1}:9876`, clock }),
    )
    this.brokers = settings.map((options, index) => {
      const letter = String.fromCharCode('a'.charCodeAt(0) + index)
      const address = `10.0.1.${index + 1}:10911`
      return new ScriptedBroker({ clock, address, name: `broker-${letter}`, ...options, routeOf: this.#routeOf })
    })
    for (const server of this.nameServers) for (const broker of this.brokers) server.brokers.add(broker)
    this.dial = (address, signal) => this.#connect(address, signal)
  }

  readonly #routeOf = (topic: string) => this.nameServer.routeOf(topic)

  /** The first. */
  get nameServer(): ScriptedNameServer {
    return this.nameServers[0] as ScriptedNameServer
  }

  /** The first. */
  get broker(): ScriptedBroker {
    return this.brokers[0] as ScriptedBroker
  }

  /** `host:port;host:port`, as clients are told. */
  get nameServerList(): string {
    return this.nameServers.map(({ address }) => address).join(';')
  }

  /** Gives what a test started to the stage, to be closed at its end; the last one first. */
  own<T extends Closeable>(started: T): T {
    this.#owned.push(started)
    return started
  }

  // -- Time ----------------------------------------------------------------------------------------------------------

  /** Lets all that is on its way arrive. The clock stands still. */
  async settle(turns = 20): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await this.#turn()
  }

  /** Moves the clock, in steps that let answers come in between. */
  async advance(ms: number, stepMs = 50): Promise<void> {
    await this.settle()
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(left, stepMs))
      await this.settle(4)
    }
    await this.settle()
  }

  /**
   * Waits for something, moving the clock by `stepMs` a turn (default 0). Fails after 2,000 turns; where the clock stands still
   * not before five seconds, as what works in Node's thread pool takes real time.
   */
  async until(condition: () => boolean, { stepMs = 0 }: { readonly stepMs?: number } = {}): Promise<void> {
    const end = performance.now() + (stepMs === 0 ? POOL_MS : 0)
    for (let round = 0; ; round++) {
      if (condition()) return
      if (round >= ROUNDS && performance.now() >= end) break
      await this.settle(2)
      if (stepMs > 0) this.clock.advance(stepMs)
    }
    assert.fail(`still not so: ${String(condition)}`)
  }

  /** What the promise gives, moving the clock by `stepMs` a turn (default 50) until it does. */
  async outcome<T>(promise: Promise<T>, { stepMs = 50 }: { readonly stepMs?: number } = {}): Promise<T> {
    let settled = false
    const note = (): void => {
      settled = true
    }
    promise.then(note, note)
    await this.until(() => settled, { stepMs })
    return promise
  }

  #turn(): Promise<void> {
    return new Promise(resolve => {
      if (this.#real) setTimeout(resolve, 1)
      else setImmediate(resolve)
    })
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** Fails if a connection, a waiting request or a timer of the clock is left. For when all clients are closed. */
  async assertNothingLeft(): Promise<void> {
    await this.settle()
    if (this.#real) await this.until(() => this.#servers.every(({ connections }) => connections === 0))
    const left = {
      connections: this.#servers.filter(({ connections }) => connections > 0).map(({ address }) => address),
      waitingPulls: this.brokers.filter(({ waitingPulls }) => waitingPulls > 0).map(({ address }) => address),
      timers: this.clock.timers,
    }
    assert.deepEqual(left, { connections: [], waitingPulls: [], timers: 0 }, 'something is left after the end')
  }

  /** Closes what it owns and checks that nothing is left, then closes the servers. */
  async close(): Promise<void> {
    const owned = this.#owned.splice(0)
    try {
      for (const each of owned.toReversed()) await this.outcome(each.close())
      if (owned.length > 0) await this.assertNothingLeft()
    } finally {
      await Promise.all(this.#servers.map(server => server.close()))
    }
  }

  async listen(): Promise<void> {
    for (const server of this.#servers) await server.listen()
  }

  get #servers(): RudeServer[] {
    return [...this.nameServers, ...this.brokers].map(({ server }) => server)
  }

  async #connect(address: string, signal: AbortSignal): Promise<ReturnType<typeof memorySockets>[0]> {
    signal.throwIfAborted()
    const server = this.#servers.find(each => each.address === address)
    if (server?.door === 'hangs') return hang(signal)
    if (server?.door !== 'open') {
      throw new RemotingError('CONNECT_FAILED', 'nobody listens there (ECONNREFUSED)', { retriable: true })
    }
    const [near, far] = memorySockets()
    server.accept(far, `10.0.2.1:${50_000 + ++this.#clients}`)
    return near
  }
}

function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

/**
 * A name server and brokers in memory, a clock that stands still, and the end of it all when the test ends.
 *
 * ```ts
 * const play = await stage(t, { brokers: 2 })
 * for (const broker of play.brokers) broker.setTopic('Orders', { readQueues: 2 })
 * const { nameServerList: nameServers, clock, dial } = play
 * const producer = play.own(await play.outcome(Producer.start({ nameServers, clock, dial, group: 'orders' })))
 * play.broker.fault('SEND_MESSAGE_V2', { answer: 'never', handled: false, times: Infinity })
 * const receipt = await play.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
 * assert.equal(receipt.queue.brokerName, 'broker-b')
 * assert.equal(play.broker.log.messages('Orders').length, 0)
 * assert.equal(play.brokers[1]?.server.requestsOf('SEND_MESSAGE_V2').length, 1)
 * // At the end the producer is closed, and the test fails if a connection or a timer is left.
 * ```
 */
export async function stage(t: TestContext, options: StageOptions = {}): Promise<Stage> {
  const play = new Stage(options)
  t.after(() => play.close())
  if (options.realPorts) await play.listen()
  return play
}
