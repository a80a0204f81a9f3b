import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { LaunchedServer } from '../../interop/src/launch/launcher.ts'
import { startOurs } from '../../interop/src/launch/our-name-server.ts'
import { closer } from '../harness/closer.ts'
import type { Driver, Figures, Load } from '../harness/drive.ts'
import { Neighbours } from '../harness/neighbours.ts'
import { PlanFolder } from '../harness/plan-folder.ts'
import { peakRssMbOf, rssMbOf } from '../harness/process-stats.ts'
import { type CaseResults as CaseResultsOf, measureRounds, type PerSubject } from '../harness/rounds.ts'
import type { BrokerName, Subject } from './brokers.ts'
import { type Case, settingKey, settingOf } from './cases.ts'
import { startBrokerLoad } from './drive.ts'
import { idleTopic, manyTopics, maxOffsetOf, queuesOf, topicOf, usualTopics } from './fixture.ts'
import { type Plan, pullPlan, sendPlan, type Window, writePlan } from './plan.ts'

/** The figures of a case with one broker. CPU times are microseconds for each message. */
export interface Result {
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly cpuUs: number
  readonly driverCpuUs: number
  readonly rssMb: number
  readonly peakRssMb: number
}

export type CaseResults = CaseResultsOf<Case, BrokerName, Result>

export interface Timing {
  readonly runMs: number
  readonly warmMs: number
  /** Of the first case of each kind with a new JVM, which compiles while it works; with many topics also of ours. */
  readonly jvmWarmMs: number
  /** How often each case is measured. The median by messages a second counts. */
  readonly rounds: number
}

const run = promisify(execFile)
const SETTLE_MS = 300
const ENDLESS_MS = 3_600_000
const CONSUMERS = 8
/** How long a broker holds a pull: the default of Java's push consumer. */
const SUSPEND_MS = 15_000
/** Messages of each queue that the pulls read again and again. */
const WINDOW = 50_000
const FILL_MS = 1_000
const MOST_FILLS = 20

export interface SuiteOptions {
  readonly subjects: readonly Subject[]
  readonly driver: Driver
  readonly timing: Timing
  readonly profileTo?: string | undefined
}

/** Owns the brokers of one setting and runs cases with them in turn. */
export class BrokerSuite {
  readonly #options: SuiteOptions
  readonly #plans: PlanFolder<Plan>
  readonly #neighbours = new Neighbours()
  readonly #warm = new Set<string>()
  readonly #finalRssMb: PerSubject<BrokerName, number> = {}
  #running = new Map<BrokerName, LaunchedServer>()
  #setting = ''
  #closer = closer()

  private constructor(options: SuiteOptions, plans: PlanFolder<Plan>) {
    this.#options = options
    this.#plans = plans
  }

  static async create(options: SuiteOptions): Promise<BrokerSuite> {
    return new BrokerSuite(options, await PlanFolder.create(writePlan))
  }

  /** The part of the machine's CPU that other programs used between the measurements, 0 to 1. */
  get neighbours(): number {
    return this.#neighbours.share
  }

  /** The largest resident memory that a broker had after all loads of a setting, MB. */
  get finalRssMb(): PerSubject<BrokerName, number> {
    return this.#finalRssMb
  }

  async run(one: Case): Promise<CaseResults> {
    await this.#startFor(one)
    const running = this.#running
    const measure = (name: BrokerName) => this.#measure(one, name, running.get(name) as LaunchedServer)
    return { case: one, results: await measureRounds([...running.keys()], this.#options.timing.rounds, measure) }
  }

  async close(): Promise<void> {
    await this.#stopBrokers()
    await this.#plans.close()
  }

  async #startFor(one: Case): Promise<void> {
    const setting = settingOf(one)
    if (this.#setting === settingKey(setting)) return
    await this.#stopBrokers()
    this.#setting = settingKey(setting)
    const { owner } = this.#closer
    const nameServer = `127.0.0.1:${(await startOurs(owner)).port}`
    const topics = setting.manyTopics ? [...usualTopics, ...manyTopics] : usualTopics
    for (const subject of this.#options.subjects) {
      const start = { nameServer, setting, topics, profileTo: this.#options.profileTo }
      this.#running.set(subject.name, await subject.start(owner, start))
    }
  }

  async #stopBrokers(): Promise<void> {
    for (const [name, { pid }] of this.#running) {
      this.#finalRssMb[name] = Math.max(this.#finalRssMb[name] ?? 0, rssMbOf(pid))
    }
    // Node writes its profile when it ends in order.
    if (this.#options.profileTo !== undefined) for (const server of this.#running.values()) await server.stop()
    this.#running = new Map()
    this.#setting = ''
    const closing = this.#closer
    this.#closer = closer()
    await closing.close()
    // What the system has not written yet would slow the next brokers down.
    await run('sync')
  }

  async #measure(one: Case, name: BrokerName, server: LaunchedServer): Promise<Result> {
    const warmMs = this.#warmMs(one, name, server)
    const waiting = one.waiting > 0 ? await this.#holdPulls(server, one.waiting) : undefined
    try {
      return await this.#load(one, server, { warmMs, runMs: this.#options.timing.runMs })
    } finally {
      waiting?.stop()
      await waiting?.figures
      await sleep(SETTLE_MS)
      await this.#neighbours.rest(SETTLE_MS)
    }
  }

  #warmMs({ work, topics }: Case, name: BrokerName, { pid }: LaunchedServer): number {
    const { warmMs, jvmWarmMs } = this.#options.timing
    const kind = `${pid} ${work} ${topics}`
    // The first message of each topic makes files, whatever the broker.
    if ((name === 'ours' && topics === 1) || this.#warm.has(kind)) return warmMs
    this.#warm.add(kind)
    return jvmWarmMs
  }

  async #load(one: Case, server: LaunchedServer, times: Pick<Load, 'warmMs' | 'runMs'>): Promise<Result> {
    const shape = { connections: one.connections, inFlight: one.inFlight, ...times }
    if (one.work === 'pull') {
      const windows = await this.#filledWindows(server, one.bytes)
      return resultOf(server, [await this.#drive(server, pullPlan(windows, 0), shape)])
    }
    const topics = one.topics > 1 ? manyTopics.slice(0, one.topics) : [topicOf(one.bytes)]
    const queues = topics.flatMap(queuesOf)
    const sends = sendPlan(queues, one.bytes)
    if (one.work === 'send') return resultOf(server, [await this.#drive(server, sends, shape)])
    const ends = await Promise.all(queues.map(async queue => ({ queue, first: await maxOffsetOf(server, queue) })))
    const behind = await this.#start(server, pullPlan(ends, SUSPEND_MS), {
      ...times,
      connections: CONSUMERS,
      inFlight: 1,
    })
    await behind.primed
    const sent = await this.#drive(server, sends, shape)
    return resultOf(server, [sent, await behind.figures])
  }

  /** The newest messages of each queue of a topic. Sends some first if there are too few. */
  async #filledWindows(server: LaunchedServer, bytes: number): Promise<Window[]> {
    const queues = queuesOf(topicOf(bytes))
    for (let fills = 0; ; fills++) {
      const ends = await Promise.all(queues.map(queue => maxOffsetOf(server, queue)))
      const least = Math.min(...ends)
      if (least >= WINDOW || fills === MOST_FILLS) {
        return queues.map((queue, i) => ({ queue, first: Math.max(0, (ends[i] ?? 0) - WINDOW), end: ends[i] ?? 0 }))
      }
      await this.#drive(server, sendPlan(queues, bytes), { connections: 16, inFlight: 16, warmMs: 0, runMs: FILL_MS })
    }
  }

  async #holdPulls(server: LaunchedServer, connections: number) {
    const windows = queuesOf(idleTopic).map(queue => ({ queue, first: 0 }))
    const shape = { connections, inFlight: 1, warmMs: 0, runMs: ENDLESS_MS }
    const held = await this.#start(server, pullPlan(windows, SUSPEND_MS), shape)
    await held.primed
    return held
  }

  async #drive(server: LaunchedServer, plan: Plan, shape: Shape): Promise<Figures> {
    return (await this.#start(server, plan, shape)).figures
  }

  async #start({ port, pid }: LaunchedServer, plan: Plan, shape: Shape) {
    const planPath = await this.#plans.add(plan)
    return startBrokerLoad(this.#options.driver, { planPath, port, serverPid: pid, ...shape })
  }
}

type Shape = Omit<Load, 'planPath' | 'port' | 'serverPid'>

/** Adds the messages of all drivers. The times are those of the first. */
function resultOf({ pid }: LaunchedServer, all: readonly [Figures, ...Figures[]]): Result {
  const messages = all.reduce((sum, each) => sum + each.messages, 0)
  if (messages === 0) throw new Error('no message succeeded')
  const [{ ms, p50Us, p99Us, p999Us, serverCpuMs }] = all
  const driverCpuMs = all.reduce((sum, each) => sum + each.driverCpuMs, 0)
  return {
    perSecond: (messages * 1000) / ms,
    p50Us,
    p99Us,
    p999Us,
    cpuUs: (serverCpuMs * 1000) / messages,
    driverCpuUs: (driverCpuMs * 1000) / messages,
    rssMb: rssMbOf(pid),
    peakRssMb: peakRssMbOf(pid),
  }
}
