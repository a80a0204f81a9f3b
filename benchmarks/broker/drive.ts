import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Driver, type DriverKind, findDriver, startDriver } from '../load/drive.ts'
import { type Plan, writePlan } from './plan.ts'

/** One load on one broker. */
export interface Load {
  readonly planPath: string
  readonly port: number
  readonly connections: number
  /** Requests in flight on each connection. */
  readonly inFlight: number
  readonly warmMs: number
  readonly runMs: number
  /** The process whose CPU time is measured. */
  readonly serverPid: number
}

/** What the drivers print: the figures between warm-up and end. */
export interface Figures {
  readonly driver: DriverKind
  readonly ms: number
  /** Answers with code 0; only of those are the times. */
  readonly answers: number
  /** Messages that the broker has accepted or delivered. */
  readonly messages: number
  readonly answerBytes: number
  readonly refused: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  readonly driverCpuMs: number
  readonly serverCpuMs: number
}

export interface RunningLoad {
  /** Resolves when all connections are open. */
  readonly primed: Promise<void>
  /** @throws Error if the broker refuses more than one request in a hundred */
  readonly figures: Promise<Figures>
  /** Ends the load early. `figures` then has those until now. */
  stop(): void
}

const MOST_REFUSED = 0.01

export function findBrokerDriver(wanted?: DriverKind): Promise<Driver> {
  return findDriver(wanted, new URL('.', import.meta.url))
}

export function startLoad(driver: Driver, load: Load): RunningLoad {
  const { planPath, port, connections, inFlight, warmMs, runMs, serverPid } = load
  const numbers = [port, connections, inFlight, warmMs, runMs, serverPid].map(String)
  const [portText = '', ...rest] = numbers
  const running = startDriver<Figures>(driver, [planPath, '127.0.0.1', portText, ...rest])
  const figures = running.printed.then(checked)
  figures.catch(() => {})
  return { primed: running.primed, figures, stop: () => running.stop() }
}

function checked(figures: Figures): Figures {
  const { refused, answers } = figures
  if (refused > MOST_REFUSED * (answers + refused))
    throw new Error(`the broker refused ${refused} of ${answers + refused} requests`)
  return figures
}

/** Plans on disk, each written at its first use. */
export class PlanFolder {
  readonly #folder: string
  #plans = 0

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async create(): Promise<PlanFolder> {
    return new PlanFolder(await mkdtemp(join(tmpdir(), 'gantry-plans-')))
  }

  /** Writes a plan and returns its path. */
  async write(plan: Plan): Promise<string> {
    const path = join(this.#folder, `plan-${this.#plans++}`)
    await writePlan(plan, path)
    return path
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}
