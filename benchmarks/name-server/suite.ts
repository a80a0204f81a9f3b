import { setTimeout as sleep } from 'node:timers/promises'
import { type Driver, type DriverKind, type Figures, findDriver, type Load, startLoad } from '../harness/drive.ts'
import type { Neighbours } from '../harness/neighbours.ts'
import { PlanFolder } from '../harness/plan-folder.ts'
import { peakRssMbOf, rssMbOf } from '../harness/process-stats.ts'
import { type CaseResults as CaseResultsOf, measureRounds, median } from '../harness/rounds.ts'
import { applies, type Case, type Workload } from './cases.ts'
import { type Population, type Plan, registerPlan, routePlan, writePlan } from './plan.ts'
import { registerBrokers } from './registered-brokers.ts'
import type { RunningSubject, Subject, SubjectName } from './subjects.ts'

/** The figures of a case with one server. CPU times are microseconds for each answer. */
export interface Result {
  readonly driver: DriverKind
  readonly answers: number
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  readonly serverCpuUs: number
  readonly driverCpuUs: number
  readonly bytesPerAnswer: number
  /** Resident memory right after the load, and its peak since the process started; MB. */
  readonly rssMb: number
  readonly peakRssMb: number
}

/** The figures of the start of a server. */
export interface StartResult {
  /** Time from spawning the process to the first answer, milliseconds; the median of several starts. */
  readonly startMs: number
  readonly rssMb: number
}

export type CaseResults = CaseResultsOf<Case, SubjectName, Result>

export interface Timing {
  /** Before the first round of a case with a server on Node. */
  readonly warmMs: number
  readonly runMs: number
  /** How often each case is measured. The median by requests a second counts. */
  readonly rounds: number
}

// The JVM compiles while it serves; after this time Apache has its full speed. Later, too, it needs more CPU for the first requests
// on new connections: after a third of a second a quarter more.
const JVM_WARM_MS = 10_000
const JVM_REWARM_MS = 2_000
// V8 keeps its code from round to round. After this time ours and bare Node need the CPU that they need after two seconds, within 3 %.
const REWARM_MS = 300
const SETTLE_MS = 200
const REST_MS = 100
const IDLE_MS = 1_000
const ENDLESS_MS = 3_600_000
/** A background load of which the server missed more than this part was another load. */
const MOST_MISSED = 0.01

export function findNameServerDriver(wanted?: DriverKind): Promise<Driver> {
  return findDriver(new URL('.', import.meta.url), wanted)
}

export interface SuiteOptions {
  readonly subjects: readonly Subject[]
  readonly driver: Driver
  readonly timing: Timing
  /** Measures between the cases. */
  readonly neighbours: Neighbours
}

/** Owns the name servers and runs cases with them in turn. */
export class NameServerSuite {
  readonly #options: SuiteOptions
  readonly #plans: PlanFolder<Plan>
  readonly #paths = new Map<string, Promise<string>>()
  readonly #running = new Map<SubjectName, RunningSubject>()
  readonly #warm = new Set<string>()

  private constructor(options: SuiteOptions, plans: PlanFolder<Plan>) {
    this.#options = options
    this.#plans = plans
  }

  static async create(options: SuiteOptions): Promise<NameServerSuite> {
    return new NameServerSuite(options, await PlanFolder.create(writePlan))
  }

  async run(one: Case): Promise<CaseResults> {
    const { subjects, timing } = this.#options
    const named = new Map(subjects.filter(({ name }) => applies(one, name)).map(subject => [subject.name, subject]))
    const rounds = one.runMs === undefined ? timing.rounds : 1
    const results = await measureRounds([...named.keys()], rounds, name =>
      this.#measure(one, named.get(name) as Subject),
    )
    return { case: one, results }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map(server => server.close()))
    this.#running.clear()
    await this.#plans.close()
  }

  async #serverOf(subject: Subject): Promise<RunningSubject> {
    const running = this.#running.get(subject.name)
    if (running?.alive()) return running
    const server = await subject.start()
    this.#running.set(subject.name, server)
    return server
  }

  async #measure(one: Case, subject: Subject): Promise<Result> {
    const server = await this.#serverOf(subject)
    const brokers = await this.#brokersFor(one, server)
    try {
      const { connections, inFlight, runMs = this.#options.timing.runMs } = one
      const load = { connections, inFlight, warmMs: this.#warmMs(one, server), runMs }
      const figures = await (await this.#startLoad(one, server, load)).figures
      return resultOf(figures, server)
    } finally {
      await brokers.close()
      await sleep(SETTLE_MS)
      await this.#options.neighbours.rest(REST_MS)
    }
  }

  #warmMs({ id, workload }: Case, { name, pid }: RunningSubject): number {
    const { warmMs } = this.#options.timing
    // For Apache a registration that changes nothing is the beginning of one that does.
    const kind = `${pid} ${name === 'apache' ? (workload === 'route' ? 'query' : 'registration') : id}`
    const isWarm = this.#warm.has(kind)
    this.#warm.add(kind)
    if (name === 'apache') return isWarm ? JVM_REWARM_MS : JVM_WARM_MS
    return isWarm ? REWARM_MS : warmMs
  }

  async #startLoad(
    { population, workload }: Pick<Case, 'population' | 'workload'>,
    { port, pid }: RunningSubject,
    load: Omit<Load, 'planPath' | 'port' | 'serverPid'>,
  ) {
    const planPath = await this.#planOf(workload, population)
    return startLoad(this.#options.driver, { planPath, port, serverPid: pid, ...load })
  }

  /** The path of a plan, which is written at its first use. */
  #planOf(workload: Workload, population: Population): Promise<string> {
    const key = `${workload} ${population.topics} ${population.brokers}`
    const make = () => (workload === 'route' ? routePlan(population) : registerPlan(population, workload))
    const path = this.#paths.get(key) ?? this.#plans.add(make())
    this.#paths.set(key, path)
    return path
  }

  /** The brokers of route queries: idle, or registering at the rate of the background load. */
  async #brokersFor(
    { workload, population, background }: Case,
    server: RunningSubject,
  ): Promise<{ close(): Promise<void> | void }> {
    if (workload !== 'route') return { close() {} }
    if (!background) return registerBrokers(server.port, population)
    const { perSecond } = background
    const load = await this.#startLoad({ population, workload: background.workload }, server, {
      connections: population.brokers,
      inFlight: 1,
      perSecond,
      warmMs: 0,
      runMs: ENDLESS_MS,
    })
    await load.primed
    return {
      async close() {
        load.stop()
        const { answers, missed } = checked(await load.figures)
        if (missed > MOST_MISSED * (answers + missed))
          throw new Error(`the server was too slow for ${missed} of ${answers + missed} registrations`)
      },
    }
  }
}

/** @throws Error if the server refused a request, or answered none */
function checked(figures: Figures): Figures {
  const refused = figures.refused + figures.refusedBefore
  if (refused > 0) throw new Error(`the server refused requests (${refused} of those that were checked)`)
  if (figures.answers === 0) throw new Error('the server answered no request')
  return figures
}

function resultOf(figures: Figures, { pid }: RunningSubject): Result {
  const { driver, ms, answers, answerBytes, p50Us, p99Us, p999Us, maxUs, serverCpuMs, driverCpuMs } = checked(figures)
  return {
    driver,
    answers,
    perSecond: (answers * 1000) / ms,
    p50Us,
    p99Us,
    p999Us,
    maxUs,
    serverCpuUs: (serverCpuMs * 1000) / answers,
    driverCpuUs: (driverCpuMs * 1000) / answers,
    bytesPerAnswer: answerBytes / answers,
    rssMb: rssMbOf(pid),
    peakRssMb: peakRssMbOf(pid),
  }
}

/** Measures several starts of a subject. */
export async function measureStart(subject: Subject, times: number): Promise<StartResult> {
  const results: StartResult[] = []
  for (let i = 0; i < times; i++) {
    const server = await subject.start()
    await sleep(IDLE_MS)
    results.push({ startMs: server.startMs, rssMb: rssMbOf(server.pid) })
    await server.close()
  }
  return median(results, result => result.startMs)
}
