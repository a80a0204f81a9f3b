import { performance } from 'node:perf_hooks'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { Broker, type BrokerStartOptions } from '@gantrymq/broker'
import { NameServer } from '@gantrymq/namesrv'
import { decodeMessage, type StoredMessage } from '@gantrymq/protocol'
import { type Clock, RemotingError } from '@gantrymq/remoting'
import { type ConsumeQueue, Found, MemoryDisk, type MessageStore } from '@gantrymq/store'
import { BrokerFaults, withoutLostCommit } from './broker-faults.ts'
import { checkKeys } from './check-keys.ts'
import { Gateway } from './gateway/gateway.ts'
import { MovingClock } from './moving-clock.ts'

export interface RocketMQOptions {
  /** Options of the broker, with Apache's names: `{ autoCreateTopicEnable: false }`. Its port, disk and clock are given. */
  readonly broker?: Omit<BrokerStartOptions, GivenOption>
}

/** Options that each broker here has anyway. */
const givenOptions = [
  'brokerIP1',
  'clock',
  'dial',
  'disk',
  'listen',
  'listenPort',
  'namesrvAddr',
  'storePathRootDir',
] as const
type GivenOption = (typeof givenOptions)[number]

/** What a client needs to use it: pass it on as options, `Producer.start({ ...mq.connection, group: 'shop' })`. */
export interface RocketMQConnection {
  /** `host:port` of the name server; clients in other processes and languages need only this. */
  readonly nameServers: string
  /** With it the client's own waiting follows `advance`, too. */
  readonly clock: Clock
}

/** How much time passes; the parts are added. */
export interface Span {
  readonly days?: number
  readonly hours?: number
  readonly minutes?: number
  readonly seconds?: number
  readonly ms?: number
}

/** A stored message. */
export interface TestMessage extends StoredMessage {
  readonly tags: string | undefined
  readonly keys: readonly string[]
  /** The body as UTF-8; of a compressed body this is not readable. */
  readonly text: string
}

export interface GroupState {
  /**
   * Messages that the group has not consumed, in all topics that it has consumed or subscribes to; with those that it has popped and not
   * acknowledged.
   */
  readonly lag: number
  /** Consumers that are connected. */
  readonly members: number
}

export interface IdleOptions {
  /** How long the group may take, milliseconds of real time. Default 5000. */
  readonly timeoutMs?: number
}

/** What a group has not consumed. */
interface Left {
  readonly lag: number
  /** When the next of the messages that failed comes again; undefined if there is none, or if there is a lag. */
  readonly retryAt: number | undefined
}

const HOST = '127.0.0.1'
const CLOSED = 'this RocketMQ has been closed'
const SECOND = 1000
const DAY = 86_400 * SECOND
/** By how much time moves at most before everything under way may arrive. The servers take more than 2.5 s for a pause of the process. */
const STEP_MS = SECOND
/** Everything has arrived if nothing happens for so many turns of the event loop: the broker takes some to store a message. */
const QUIET_TURNS = 5
/** The same after a step in which nothing has happened so far. */
const IDLE_TURNS = 2
/** More turns are for clients that never stop sending. */
const MOST_TURNS = 1000
/** How often `idle` looks, milliseconds of real time. */
const LOOK_MS = 2
/** After this many looks without progress the time is moved, so that consumers commit and retries come. */
const LOOKS_BEFORE_STEP = 10
/** The broker looks so often whether a message is due (Apache's DELAY_FOR_A_WHILE), milliseconds. */
const TICK_MS = 100
/** So that `idle` notices its timeout while it waits for a retry that is hours away, milliseconds. */
const LONGEST_JUMP_MS = 60 * SECOND
const SCHEDULE_TOPIC = 'SCHEDULE_TOPIC_XXXX'
const SMALL_FILES = {
  mappedFileSizeCommitLog: 4 << 20,
  mappedFileSizeConsumeQueue: 60_000,
  maxHashSlotNum: 5_000,
  maxIndexNum: 20_000,
}

/**
 * A whole RocketMQ in this process for tests: a name server and a broker with real ports, their data in memory, and a clock that
 * the test moves.
 */
export class RocketMQ {
  readonly #clock = new MovingClock()
  /** The start or end of servers that was asked for last. They happen one after the other. */
  #change: Promise<void> = Promise.resolve()
  readonly #options: RocketMQOptions
  readonly #brokerPort: Gateway = new Gateway({
    clock: this.#clock,
    rewrite: command => withoutLostCommit(command, this.#brokerPort.faults),
  })
  /** Makes requests to the broker fail. */
  readonly fail = new BrokerFaults(this.#brokerPort.faults)
  #nameServer: NameServer | undefined
  /** 0 until it is known; then it stays. */
  #nameServerPort = 0
  /** Undefined while the broker is killed. */
  #broker: Broker | undefined
  #disk = this.#emptyDisk()
  #closing: Promise<void> | undefined

  private constructor(options: RocketMQOptions) {
    this.#options = options
  }

  /** @internal */
  static async start(options: RocketMQOptions): Promise<RocketMQ> {
    checkKeys('startRocketMQ', options, ['broker'])
    for (const option of givenOptions) {
      if (option in (options.broker ?? {}))
        throw new RemotingError('BAD_OPTION', `startRocketMQ chooses ${option} itself`)
    }
    const mq = new RocketMQ(options)
    try {
      await mq.#brokerPort.listen()
      await mq.#startServers()
    } catch (error) {
      await mq.close()
      throw error
    }
    return mq
  }

  async #startServers(): Promise<void> {
    this.#nameServer = await NameServer.start({ host: HOST, port: this.#nameServerPort, clock: this.#clock })
    this.#nameServerPort = this.#nameServer.address.port
    await this.#startOwnBroker()
  }

  async #startOwnBroker(): Promise<void> {
    const { port } = this.#brokerPort
    this.#broker = await Broker.start({
      brokerName: 'broker-a',
      ...SMALL_FILES,
      ...this.#options.broker,
      storePathRootDir: null,
      namesrvAddr: this.#nameServers,
      brokerIP1: HOST,
      listenPort: port,
      listen: false,
      disk: this.#disk,
      clock: this.#clock,
    })
    this.#brokerPort.acceptor = this.#broker
  }

  #emptyDisk(): MemoryDisk {
    return new MemoryDisk({ now: () => this.#clock.now() })
  }

  /** For the options of clients. */
  get connection(): RocketMQConnection {
    return { nameServers: this.#nameServers, clock: this.#clock }
  }

  get #nameServers(): string {
    return `${HOST}:${this.#nameServerPort}`
  }

  /** The time of day of the servers, and of clients with `connection.clock`. */
  get now(): Date {
    return new Date(this.#clock.now())
  }

  /**
   * Lets time pass at once: delayed messages are delivered, retries come, transactions are checked, messages and connections expire.
   * Time passes in steps of a second or less, between which all that is under way arrives, so what comes is late by less than a second.
   *
   * Two hours take about a tenth of a second, and seven tenths more for each connected consumer, which sends its heartbeats, pulls
   * and commits of these hours. Listeners that wait for something outside, for example a database, are not waited for: call `idle`
   * first.
   */
  async advance(span: Span): Promise<void> {
    checkKeys('a span', span, ['days', 'hours', 'minutes', 'seconds', 'ms'])
    const { days = 0, hours = 0, minutes = 0, seconds = 0, ms = 0 } = span
    const total = days * DAY + ((hours * 60 + minutes) * 60 + seconds) * SECOND + ms
    if (!(total >= 0 && total < Number.POSITIVE_INFINITY))
      throw new RemotingError('BAD_OPTION', `time cannot pass by ${JSON.stringify(span)}`)
    await this.#settle(QUIET_TURNS)
    for (let left = total; left > 0; ) {
      if (this.#closing !== undefined) throw new Error(CLOSED)
      left -= this.#clock.step(Math.min(left, STEP_MS))
      await this.#settle(left > 0 ? IDLE_TURNS : QUIET_TURNS)
    }
  }

  /** Lets what is under way between clients and servers arrive. @param turns How many without it are enough */
  async #settle(turns: number): Promise<void> {
    for (let turn = 0, quiet = 0, needed = turns; turn < MOST_TURNS && quiet < needed; turn++) {
      const { reads } = this.#clock
      await setImmediate()
      if (this.#clock.reads === reads) quiet++
      else {
        quiet = 0
        needed = QUIET_TURNS
      }
    }
  }

  /**
   * Resolves when a group has consumed all messages of its topics, and committed that; a message that fails, when it has succeeded or
   * is a dead letter. Time is moved as needed, so that retries come and consumers commit: for all 16 retries by almost five hours. A
   * group that the broker does not know yet is waited for.
   * @throws Error that names the queues with messages that are left, or the groups that there are instead
   */
  async idle(group: string, options: IdleOptions = {}): Promise<void> {
    checkKeys('idle', options, ['timeoutMs'])
    const { timeoutMs = 5000 } = options
    if (!(timeoutMs >= 0)) throw new RemotingError('BAD_OPTION', `timeoutMs is ${timeoutMs}: it must be 0 or more`)
    const end = performance.now() + timeoutMs
    let left = await this.#leftOf(group)
    for (let looks = 0; left.lag > 0 || left.retryAt !== undefined; looks++) {
      if (this.#running.status.group(group)?.messageModel === 'BROADCASTING') throw new Error(broadcasts(group))
      if (performance.now() > end) throw new Error(this.#stuck(group, left, timeoutMs))
      if (left.lag === 0) await this.#advanceTo(left.retryAt)
      else await setTimeout(LOOK_MS)
      const now = await this.#leftOf(group)
      if (now.lag < left.lag) looks = 0
      else if (looks >= LOOKS_BEFORE_STEP) {
        looks = 0
        await this.advance({ seconds: 1 })
      }
      left = now
    }
  }

  async #leftOf(group: string): Promise<Left> {
    // For a group that the broker does not know.
    if (this.#running.status.group(group) === undefined) return { lag: Number.POSITIVE_INFINITY, retryAt: undefined }
    const { lag } = this.group(group)
    return { lag, retryAt: lag > 0 ? undefined : await this.#nextRetry(group) }
  }

  /** When the first message is due that the group has failed to consume, milliseconds since the epoch. */
  async #nextRetry(group: string): Promise<number | undefined> {
    const { store, status } = this.#running
    const retryTopic = `%RETRY%${group}`
    let first: number | undefined
    for (const { level, delayMs = 0, offset, maxOffset } of status.delayLevels()) {
      const queue = offset < maxOffset ? store.queue(SCHEDULE_TOPIC, level - 1) : undefined
      if (queue === undefined) continue
      // The messages of a level are due in the order of their queue.
      const next = (await messagesOf(store, queue, offset)).find(
        each => each.properties.get('REAL_TOPIC') === retryTopic,
      )
      if (next !== undefined) first = Math.min(first ?? Number.POSITIVE_INFINITY, Number(next.storeTimestamp) + delayMs)
    }
    return first
  }

  async #advanceTo(time = 0): Promise<void> {
    const ms = time + TICK_MS - this.#clock.now()
    await this.advance({ ms: Math.min(Math.max(ms, TICK_MS), LONGEST_JUMP_MS) })
  }

  #stuck(group: string, { lag, retryAt }: Left, timeoutMs: number): string {
    if (lag === Number.POSITIVE_INFINITY) return this.#unknown(group, timeoutMs)
    const queues = [...this.#running.status.backlogs(group)]
      .filter(({ backlog }) => backlog > 0)
      .map(({ topic, queueId, backlog }) => `${backlog} in queue ${queueId} of ${topic}`)
    if (retryAt !== undefined)
      queues.push(`messages that failed come again, the next at ${new Date(retryAt).toISOString()}`)
    const { members } = this.group(group)
    const who = members === 0 ? 'no consumer of it is connected' : `consumers that are connected: ${members}`
    return `the group ${group} has not consumed everything in ${timeoutMs} ms: ${queues.join(', ')}; ${who}`
  }

  #unknown(group: string, timeoutMs: number): string {
    const { status } = this.#running
    const connected = new Set(
      [...status.clients()].filter(({ role }) => role === 'consumer').map(client => client.group),
    )
    const others =
      connected.size === 0 ? 'no consumer is connected' : `consumers are connected of ${[...connected].join(', ')}`
    return `the broker has not heard of a group ${group} in ${timeoutMs} ms: ${others}`
  }

  /** What a group has consumed. A group that the broker does not know has no lag. */
  group(name: string): GroupState {
    let lag = 0
    for (const { backlog } of this.#running.status.backlogs(name)) lag += backlog
    return { lag, members: this.#running.status.group(name)?.clients ?? 0 }
  }

  /** All messages of a topic, in the order in which they were stored, whether they were consumed or not. */
  async messages(topic: string): Promise<TestMessage[]> {
    const { store } = this.#running
    await store.whenSafe(store.end)
    const messages: StoredMessage[] = []
    for (const queue of store.queues(topic)) messages.push(...(await messagesOf(store, queue)))
    messages.sort((a, b) => Number(a.physicalOffset) - Number(b.physicalOffset))
    return messages.map(testMessage)
  }

  /** The messages that a group has given up. */
  deadLetters(group: string): Promise<TestMessage[]> {
    return this.messages(`%DLQ%${group}`)
  }

  /** Ends all connections to the broker and refuses new ones, as if it was out of reach. It keeps its data, and its time goes on. */
  stopBroker(): void {
    this.#brokerPort.acceptor = undefined
    this.#brokerPort.dropAll()
  }

  /** Lets the broker accept connections again. */
  startBroker(): void {
    this.#brokerPort.acceptor = this.#running
  }

  /**
   * Ends the broker as kill -9 does: connections end without answers, and what was not written is gone. All acknowledged messages are
   * there after `restartBroker`, with their topics and groups; consumer offsets are those of the last write, which comes every five
   * seconds (`flushConsumerOffsetInterval`), so groups may receive their last messages again. Messages that were popped, and those
   * that wait for a time of delivery, are gone; those with a delay level are kept.
   */
  async killBroker(): Promise<void> {
    await this.#inTurn(async () => {
      const broker = this.#running
      this.stopBroker()
      this.#broker = undefined
      this.#disk = this.#disk.afterKill()
      await broker.kill()
    })
  }

  /** Starts the broker again after `killBroker`. One that runs is closed first, and stores everything. */
  async restartBroker(): Promise<void> {
    await this.#inTurn(async () => {
      this.stopBroker()
      await this.#broker?.close()
      await this.#startOwnBroker()
    })
  }

  /**
   * Forgets all messages, topics, groups, offsets and faults, and sets the time of day back to the machine's. The addresses stay the
   * same; close the clients of the last test first, or they connect again.
   */
  async reset(): Promise<void> {
    await this.#inTurn(async () => {
      this.fail.clear()
      await this.#stopServers()
      this.#clock.setBack()
      this.#disk = this.#emptyDisk()
      await this.#startServers()
    })
  }

  /** @throws Error if this has been closed */
  #inTurn(change: () => Promise<void>): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new Error(CLOSED))
    const changed = this.#change.then(change)
    this.#change = changed.catch(() => {})
    return changed
  }

  async #stopServers(): Promise<void> {
    this.stopBroker()
    await this.#broker?.close()
    await this.#nameServer?.close({ drainMs: 0 })
  }

  /** Closes the servers and their ports. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    await this.#change
    await this.#stopServers()
    this.#broker = undefined
    await this.#brokerPort.close()
    this.#clock[Symbol.dispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #running(): Broker {
    if (this.#broker !== undefined) return this.#broker
    throw new Error(this.#closing === undefined ? 'the broker was killed: call restartBroker first' : CLOSED)
  }
}

/**
 * Starts a name server and a broker in this process, with free ports of 127.0.0.1 and their data in memory.
 *
 *     await using mq = await startRocketMQ()
 *     await using producer = await Producer.start({ ...mq.connection, group: 'shop' })
 *     await producer.send({ topic: 'Orders', body: 'hello' })
 *     assert.equal((await mq.messages('Orders'))[0]?.text, 'hello')
 *
 * @throws as Broker.start and NameServer.start
 */
export function startRocketMQ(options: RocketMQOptions = {}): Promise<RocketMQ> {
  return RocketMQ.start(options)
}

function broadcasts(group: string): string {
  return `the broker cannot tell whether the group ${group} has consumed everything: it broadcasts, so its members keep their offsets`
}

async function messagesOf(store: MessageStore, queue: ConsumeQueue, from = queue.minOffset): Promise<StoredMessage[]> {
  const found = new Found()
  const messages: StoredMessage[] = []
  for (let offset = from; offset < queue.maxOffset; offset = found.nextOffset) {
    const query = { queue, offset, maxMessages: 32, maxBytes: 1 << 20 }
    while (store.read(query, found) === 'LOADING') await found.loading
    for (let index = 0; index < found.count; index++) messages.push(decodeMessage(found.record(index)))
  }
  return messages
}

function testMessage(message: StoredMessage): TestMessage {
  const { body, properties } = message
  return {
    ...message,
    tags: properties.get('TAGS'),
    keys: properties.get('KEYS')?.split(' ') ?? [],
    get text() {
      return body.toString()
    },
  }
}
