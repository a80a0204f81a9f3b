import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { findOptions, isAlive, type OptionName, VERSION } from '@gantrymq/daemon'
import { readPids } from './pid-file.ts'
import { exitCodes, type Program, type ProgramOptions, type Surroundings } from './program.ts'

/** A kind of server that mqshutdown can end. */
export interface Stoppable {
  /** The argument that means it: `namesrv`. */
  readonly word: string
  /** Its program: `mqnamesrv`. */
  readonly program: string
  /** The file with the ids of its processes; null if there is none. */
  readonly pidFile: (flag: string | undefined, surroundings: Surroundings) => string | null
}

/** Describes a program for mqshutdown, which finds it by the pid file of its options. */
export function stoppable<O extends ProgramOptions>(word: string, { name, options }: Program<O>): Stoppable {
  const pidFile: Stoppable['pidFile'] = (flag, { environment, home }) => {
    const flags = new Map<OptionName<O>, string>(flag === undefined ? [] : [['pidFile', flag]])
    return findOptions(options, { flags, environment, home }).options.pidFile
  }
  return { word, program: name, pidFile }
}

const DEFAULT_TIMEOUT = '60'
/** How often mqshutdown checks whether a process has ended, milliseconds. */
const CHECK_INTERVAL_MS = 50

/**
 * Runs `mqshutdown`, with the output of Apache's script. It finds processes by the pid file that their program writes
 * and, unlike Apache's script, waits until they have ended.
 * @returns the exit code: 0 if all processes have ended.
 */
export async function shutDown(servers: readonly Stoppable[], surroundings: Surroundings): Promise<number> {
  const { print, complain } = surroundings
  if (surroundings.args.includes('--version')) {
    print(`mqshutdown ${VERSION} (Gantry)`)
    return 0
  }
  const parsed = readArguments(servers, surroundings)
  if (parsed === null) {
    print(`Usage: mqshutdown ${servers.map(({ word }) => word).join(' | ')} [--pid-file FILE] [--timeout SECONDS]`)
    return exitCodes.badUsage
  }
  const { program } = parsed
  const pids = await processesOf(program, parsed.pidFile)
  if (pids.length === 0) {
    print(`No ${program} running.`)
    return 1
  }
  for (const pid of pids) {
    print(`The ${program}(${pid}) is running...`)
    try {
      process.kill(pid, 'SIGTERM')
      print(`Send shutdown request to ${program}(${pid}) OK`)
    } catch (error) {
      complain(`Send shutdown request to ${program}(${pid}) failed: ${(error as Error).message}`)
    }
  }
  const late = await stillAlive(pids, parsed.timeoutMs)
  for (const pid of late) complain(`The ${program}(${pid}) has not ended after ${parsed.timeoutMs / 1000} seconds.`)
  return late.length === 0 ? 0 : 1
}

interface ShutdownArguments {
  readonly program: string
  readonly pidFile: string
  readonly timeoutMs: number
}

/** Null if the arguments are invalid. */
function readArguments(servers: readonly Stoppable[], surroundings: Surroundings): ShutdownArguments | null {
  try {
    const options = { 'pid-file': { type: 'string' }, timeout: { type: 'string', default: DEFAULT_TIMEOUT } } as const
    const { values, positionals } = parseArgs({ args: [...surroundings.args], options, allowPositionals: true })
    const server = positionals.length === 1 ? servers.find(({ word }) => word === positionals[0]) : undefined
    if (server === undefined || !/^\d{1,6}$/.test(values.timeout)) return null
    const pidFile = server.pidFile(values['pid-file'], surroundings)
    return pidFile === null ? null : { program: server.program, pidFile, timeoutMs: Number(values.timeout) * 1000 }
  } catch {
    return null
  }
}

// A process may have ended without removing its id, which may belong to another process by now.
async function processesOf(program: string, pidFile: string): Promise<number[]> {
  const pids = await readPids(pidFile)
  const ours = await Promise.all(pids.map(async pid => (await commandOf(pid, program)).includes(program)))
  return pids.filter((_, index) => ours[index])
}

/** The command line of a process, empty if it cannot be read; on Windows always the name of the program. */
async function commandOf(pid: number, program: string): Promise<string> {
  if (process.platform === 'win32') return program
  // Small containers have no ps.
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return promisify(execFile)('ps', ['-p', String(pid), '-o', 'args=']).then(
    ({ stdout }) => stdout,
    () => '',
  )
}

async function stillAlive(pids: readonly number[], timeoutMs: number): Promise<number[]> {
  const deadline = Date.now() + timeoutMs
  let alive = pids.filter(isAlive)
  while (alive.length > 0 && Date.now() < deadline) {
    await pause(CHECK_INTERVAL_MS)
    alive = alive.filter(isAlive)
  }
  return alive
}
