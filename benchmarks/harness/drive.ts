import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const measureHeader = new URL('measure.h', import.meta.url)

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
  /** Requests in flight on each connection. */
  readonly inFlight: number
  /** Requests a second of all connections together. Default: as fast as answers arrive. Only the driver of name servers has it. */
  readonly perSecond?: number
  readonly warmMs: number
  readonly runMs: number
  /** The process whose CPU time is measured. */
  readonly serverPid: number
}

/** What the drivers print: the figures between warm-up and end. */
export interface Figures {
  readonly driver: DriverKind
  readonly ms: number
  /** Answers with a good code; only of those are the times. */
  readonly answers: number
  /** Messages that a broker has accepted or delivered. */
  readonly messages: number
  readonly answerBytes: number
  readonly refused: number
  /** Those of the warm-up. */
  readonly refusedBefore: number
  /** Requests at a fixed rate that were not sent, because too many were in flight. */
  readonly missed: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  readonly driverCpuMs: number
  readonly serverCpuMs: number
  /** What the driver wrote to standard error, for example the first refusal. */
  readonly complaint?: string
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
  for (const file of [source, measureHeader]) hash.update(await readFile(file))
  const folder = new URL('../.cache/', import.meta.url).pathname
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
 * @param home The folder of driver.c and driver.ts.
 * @throws Error if the wanted C driver does not compile
 */
export async function findDriver(home: URL, wanted?: DriverKind): Promise<Driver> {
  const program = wanted === 'node' ? undefined : await compiled(home)
  if (program !== undefined) return { kind: 'c', command: program, args: [] }
  if (wanted === 'c') throw new Error('driver.c does not compile on this machine: it needs cc and Linux')
  return { kind: 'node', command: process.execPath, args: [new URL('driver.ts', home).pathname] }
}

/** A load that runs until its time is up or it is stopped. */
export interface RunningLoad {
  /** Resolves when all connections are open and the load starts. */
  readonly primed: Promise<void>
  readonly figures: Promise<Figures>
  /** Ends the load early. `figures` then has those until now. */
  stop(): void
}

/** How much longer than its load a driver may take. Its connections open one after the other, each with a first answer. */
const GRACE_MS = 120_000

/** Starts a driver process. It is killed when it takes `graceMs` longer than its load: the server does not answer then. */
export function startLoad(driver: Driver, load: Load, graceMs = GRACE_MS): RunningLoad {
  const { planPath, port, connections, inFlight, perSecond, warmMs, runMs, serverPid } = load
  const numbers = [connections, inFlight, warmMs, runMs, serverPid, ...(perSecond === undefined ? [] : [perSecond])]
  const args = [...driver.args, planPath, '127.0.0.1', String(port), ...numbers.map(String)]
  const child = spawn(driver.command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: warmMs + runMs + graceMs,
    killSignal: 'SIGKILL',
  })
  const { promise: primed, resolve: nowPrimed, reject: neverPrimed } = Promise.withResolvers<void>()
  const figures = outcome(child, nowPrimed)
  figures.catch(neverPrimed)
  primed.catch(() => {})
  return { primed, figures, stop: () => void child.kill('SIGTERM') }
}

function outcome(child: ChildProcess, onPrimed: () => void): Promise<Figures> {
  return new Promise((resolve, reject) => {
    let out = ''
    let errors = ''
    child.stdout?.on('data', text => {
      out += String(text)
      if (out.startsWith('primed')) onPrimed()
    })
    child.stderr?.on('data', text => (errors += String(text)))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const last = out.trim().split('\n').at(-1) ?? ''
      if (code === 0 && last.startsWith('{')) resolve({ ...(JSON.parse(last) as Figures), complaint: errors.trim() })
      else if (signal === 'SIGKILL')
        reject(new Error('the driver was killed, because the server left requests unanswered'))
      else reject(new Error(errors.trim() || `the driver ended with code ${code}`))
    })
  })
}
