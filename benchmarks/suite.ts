import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { applies, type Case, type Workload } from './cases.ts'
import { registerBrokers } from './fixture.ts'
import { type Driver, type Measured, type RunningLoad, startLoad } from './load/drive.ts'
import { type Plan, type Population, registerPlan, routePlan, writePlan } from './load/plan.ts'
import { Neighbours } from './neighbours.ts'
import { peakRssMbOf, rssMbOf } from './process-stats.ts'
import type { RunningSubject, Subject, SubjectName } from './subjects.ts'

/** The figures of a case with one server. */
export interface Result extends Measured {
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

export interface Failure {
  readonly error: string
}

export type PerSubject<T> = Partial<Record<SubjectName, T>>

export interface CaseResults {
  readonly case: Case
  readonly results: PerSubject<Result | Failure>
}

export interface Timing {
  readonly warmMs: number
  readonly runMs: number
  /** How often each case is measured. The median by requests a second counts. */
  readonly rounds: number
}

// The JVM compiles while it serves; after this time Apache has its full speed.
const JVM_WARM_MS = 10_000
const SETTLE_MS = 500
const IDLE_MS = 1_000
const ENDLESS_MS = 3_600_000

function median<T>(values: readonly T[], by: (value: T) => number): T {
  return values.toSorted((a, b) => by(a) - by(b))[values.length >> 1] as T
}

/** Plans on disk, each written at its first use. */
class PlanFolder {
  readonly #folder: string
  readonly #paths = new Map<string, Promise<string>>()

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async create(): Promise<PlanFolder> {
    return new PlanFolder(await mkdtemp(join(tmpdir(), 'gantry-plans-')))
  }

  pathOf(workload: Workload, population: Population): Promise<string> {
    const name = `${workload}-${population.topics}-${population.brokers}`
    const path = this.#paths.get(name) ?? this.#write(join(this.#folder, name), workload, population)
    this.#paths.set(name, path)
    return path
  }

  async #write(path: string, workload: Workload, population: Population): Promise<string> {
    const plan: Plan = workload === 'route' ? routePlan(population) : registerPlan(population, workload)
    await writePlan(plan, path)
    return path
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Owns the name servers and runs cases with them in turn. */
export class NameServerSuite {
  readonly #driver: Driver
  readonly #plans: PlanFolder
  readonly #running = new Map<Subject, RunningSubject>()
  readonly #warm = new Set<string>()
  readonly #neighbours: Neighbours

  private constructor(driver: Driver, plans: PlanFolder, neighbours: Neighbours) {
    this.#driver = driver
    this.#plans = plans
    this.#neighbours = neighbours
  }

  /** @param neighbours Measures between the cases. */
  static async create(driver: Driver, neighbours = new Neighbours()): Promise<NameServerSuite> {
    return new NameServerSuite(driver, await PlanFolder.create(), neighbours)
  }

  /** Measures a case with all subjects in each round, so that other load on the machine affects all of them. */
  async run(one: Case, subjects: readonly Subject[], timing: Timing): Promise<CaseResults> {
    const results: PerSubject<Result | Failure> = {}
    const rounds = one.runMs === undefined ? timing.rounds : 1
    const seen = new Map<Subject, Result[]>()
    for (let round = 0; round < rounds; round++) {
      for (const subject of subjects) {
        if (!applies(one, subject.name) || results[subject.name]) continue
        const result = await this.#measure(one, subject, timing).catch(asFailure)
        if ('error' in result) results[subject.name] = result
        else seen.set(subject, [...(seen.get(subject) ?? []), result])
      }
    }
    for (const [subject, all] of seen) results[subject.name] ??= median(all, result => result.perSecond)
    return { case: one, results }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map(server => server.close()))
    this.#running.clear()
    await this.#plans.close()
  }

  async #serverOf(subject: Subject): Promise<RunningSubject> {
    const running = this.#running.get(subject)
    if (running?.alive()) return running
    const server = await subject.start()
    this.#running.set(subject, server)
    return server
  }

  async #measure(one: Case, subject: Subject, timing: Timing): Promise<Result> {
    const server = await this.#serverOf(subject)
    const brokers = await this.#brokersFor(one, server)
    try {
      const load = await this.#startLoad(one, server, {
        warmMs: this.#warmUp(one, server, timing),
        runMs: one.runMs ?? timing.runMs,
      })
      const measured = await load.result
      return { ...measured, rssMb: rssMbOf(server.pid), peakRssMb: peakRssMbOf(server.pid) }
    } finally {
      await brokers.close()
      await sleep(SETTLE_MS)
      await this.#neighbours.rest(SETTLE_MS)
    }
  }

  #warmUp(one: Case, server: RunningSubject, { warmMs }: Timing): number {
    const kind = `${server.pid} ${one.workload}`
    if (server.name !== 'apache' || this.#warm.has(kind)) return warmMs
    this.#warm.add(kind)
    return Math.max(warmMs, JVM_WARM_MS)
  }

  async #startLoad(one: Case, server: RunningSubject, { warmMs, runMs }: Pick<Timing, 'warmMs' | 'runMs'>) {
    const planPath = await this.#plans.pathOf(one.workload, one.population)
    const { connections, inFlight } = one
    return startLoad(this.#driver, {
      planPath,
      port: server.port,
      serverPid: server.pid,
      connections,
      inFlight,
      perSecond: 0,
      warmMs,
      runMs,
    })
  }

  /** The brokers of route queries: idle, or registering at the rate of the background load. */
  async #brokersFor(one: Case, server: RunningSubject): Promise<{ close(): unknown }> {
    if (one.workload !== 'route') return { close() {} }
    if (!one.background) return registerBrokers(server.port, one.population)
    const { workload, perSecond } = one.background
    const load = startLoad(this.#driver, {
      planPath: await this.#plans.pathOf(workload, one.population),
      port: server.port,
      serverPid: server.pid,
      connections: one.population.brokers,
      inFlight: 1,
      perSecond,
      warmMs: 0,
      runMs: ENDLESS_MS,
    })
    await load.primed
    return { close: () => endBackground(load) }
  }
}

async function endBackground(load: RunningLoad): Promise<void> {
  load.stop()
  await load.result
}

function asFailure(error: unknown): Failure {
  return { error: error instanceof Error ? error.message : String(error) }
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

/** Runs a case once with Node's profiler, which writes a .cpuprofile to `folder`. */
export async function profile(one: Case, subject: Subject, driver: Driver, timing: Timing, folder: string) {
  const suite = await NameServerSuite.create(driver)
  const profiled: Subject = { ...subject, start: () => subject.start({ profileTo: folder }) }
  try {
    return await suite.run(one, [profiled], { ...timing, rounds: 1 })
  } finally {
    await suite.close()
  }
}
