import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const here = new URL('.', import.meta.url)

export type DriverKind = 'c' | 'node'

/** How to start a load driver. */
export interface Driver {
  readonly kind: DriverKind
  readonly command: string
  readonly args: readonly string[]
}

/** One load on one server. */
export interface Load {
  readonly planPath: string
  readonly port: number
  readonly connections: number
  readonly inFlight: number
  /** Frames a second of all connections together. 0: as fast as answers arrive. */
  readonly perSecond: number
  readonly warmMs: number
  readonly runMs: number
  /** The process whose CPU time is measured. */
  readonly serverPid: number
}

/** The figures of a driver between warm-up and end. CPU times are microseconds for each answer. */
export interface Measured {
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
}

/** The JSON that the drivers print. */
interface Printed {
  readonly driver: DriverKind
  readonly ms: number
  readonly answers: number
  readonly answerBytes: number
  readonly refused: number
  readonly missed: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  readonly driverCpuMs: number
  readonly serverCpuMs: number
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Compiles the driver.c of a folder once. Undefined without a compiler or epoll. */
async function compiled(home: URL): Promise<string | undefined> {
  const source = new URL('driver.c', home).pathname
  const hash = createHash('sha256')
  for (const file of [source, new URL('measure.h', here).pathname]) hash.update(await readFile(file))
  const folder = new URL('../.cache/', here).pathname
  const program = `${folder}driver-${process.arch}-${hash.digest('hex').slice(0, 12)}`
  if (await exists(program)) return program
  await mkdir(folder, { recursive: true })
  return run('cc', ['-O2', '-o', program, source]).then(
    () => program,
    () => undefined,
  )
}

/**
 * Finds the wanted driver or, by default, the best one.
 * @param home Folder of driver.c and driver.ts, by default those for name servers.
 * @throws Error if the wanted C driver does not compile
 */
export async function findDriver(wanted?: DriverKind, home = here): Promise<Driver> {
  const program = wanted === 'node' ? undefined : await compiled(home)
  if (program !== undefined) return { kind: 'c', command: program, args: [] }
  if (wanted === 'c') throw new Error('driver.c does not compile on this machine: it needs cc and Linux')
  return { kind: 'node', command: process.execPath, args: [new URL('driver.ts', home).pathname] }
}

/** A load that runs until its time is up or it is stopped. */
export interface RunningLoad {
  /** Resolves when every connection has received its first answer. */
  readonly primed: Promise<void>
  readonly result: Promise<Measured>
  /** Ends the load early. `result` then has the figures until now. */
  stop(): void
}

/** Starts a driver process. */
export function startLoad(driver: Driver, load: Load): RunningLoad {
  const { planPath, port, connections, inFlight, perSecond, warmMs, runMs, serverPid } = load
  const numbers = [port, connections, inFlight, perSecond, warmMs, runMs, serverPid].map(String)
  const [portText = '', ...rest] = numbers
  const running = startDriver<Printed>(driver, [planPath, '127.0.0.1', portText, ...rest])
  const result = running.printed.then(summarize)
  result.catch(() => {})
  return { primed: running.primed, result, stop: () => running.stop() }
}

/** A driver process. `T` is the JSON that it prints at its end. */
export interface RunningDriver<T> {
  /** Resolves when it is connected and the load starts. */
  readonly primed: Promise<void>
  readonly printed: Promise<T>
  /** Ends the load early. */
  stop(): void
}

export function startDriver<T>(driver: Driver, args: readonly string[]): RunningDriver<T> {
  const child = spawn(driver.command, [...driver.args, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const { promise: primed, resolve: nowPrimed, reject: neverPrimed } = Promise.withResolvers<void>()
  const printed = outcome<T>(child, nowPrimed)
  printed.catch(neverPrimed)
  primed.catch(() => {})
  return { primed, printed, stop: () => void child.kill('SIGTERM') }
}

function outcome<T>(child: ChildProcess, onPrimed: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let out = ''
    let errors = ''
    child.stdout?.on('data', text => {
      out += String(text)
      if (out.startsWith('primed')) onPrimed()
    })
    child.stderr?.on('data', text => (errors += String(text)))
    child.on('error', reject)
    child.on('close', code => {
      const last = out.trim().split('\n').at(-1) ?? ''
      if (code === 0 && last.startsWith('{')) resolve(JSON.parse(last) as T)
      else reject(new Error(errors.trim() || `the driver ended with code ${code}`))
    })
  })
}

function summarize(printed: Printed): Measured {
  if (printed.refused > 0)
    throw new Error(`the server refused requests (${printed.refused} of those that were checked)`)
  const answers = Math.max(1, printed.answers)
  return {
    driver: printed.driver,
    answers: printed.answers,
    perSecond: (printed.answers * 1000) / printed.ms,
    p50Us: printed.p50Us,
    p99Us: printed.p99Us,
    p999Us: printed.p999Us,
    maxUs: printed.maxUs,
    serverCpuUs: (printed.serverCpuMs * 1000) / answers,
    driverCpuUs: (printed.driverCpuMs * 1000) / answers,
    bytesPerAnswer: printed.answerBytes / answers,
  }
}
