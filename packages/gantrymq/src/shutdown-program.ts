import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { findOptions, isAlive } from '@gantrymq/daemon'
import { nameServerOptions } from '@gantrymq/namesrv'
import { readPids } from './pid-file.ts'

export interface ShutdownSurroundings {
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The user's home folder. */
  readonly home: string
  readonly print: (line: string) => void
  readonly complain: (line: string) => void
}

const USAGE = 'Usage: mqshutdown namesrv [--pid-file FILE] [--timeout SECONDS]'
const DEFAULT_TIMEOUT = '60'
/** How often a process is looked for that is to end, milliseconds. */
const LOOK_AGAIN = 50

/**
 * Runs `mqshutdown` with the words of Apache's script. It finds processes by the pid file that mqnamesrv writes, and
 * unlike Apache's it waits for their end.
 * @returns the exit code: 0 if all have ended.
 */
export async function shutDown(surroundings: ShutdownSurroundings): Promise<number> {
  const { print, complain } = surroundings
  const asked = readArguments(surroundings)
  if (asked === null) {
    print(USAGE)
    return 1
  }
  const pids = await nameServersIn(asked.pidFile)
  if (pids.length === 0) {
    print('No mqnamesrv running.')
    return 1
  }
  for (const pid of pids) {
    print(`The mqnamesrv(${pid}) is running...`)
    try {
      process.kill(pid, 'SIGTERM')
      print(`Send shutdown request to mqnamesrv(${pid}) OK`)
    } catch (error) {
      complain(`The mqnamesrv(${pid}) was not reached: ${(error as Error).message}`)
    }
  }
  const late = await stillAlive(pids, asked.timeoutMs)
  for (const pid of late) complain(`The mqnamesrv(${pid}) has not ended after ${asked.timeoutMs / 1000} seconds.`)
  return late.length === 0 ? 0 : 1
}

interface Asked {
  readonly pidFile: string
  readonly timeoutMs: number
}

function readArguments({ args, environment, home }: ShutdownSurroundings): Asked | null {
  try {
    const options = { 'pid-file': { type: 'string' }, timeout: { type: 'string', default: DEFAULT_TIMEOUT } } as const
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    const flags = values['pid-file'] === undefined ? new Map() : new Map([['pidFile', values['pid-file']] as const])
    const { pidFile } = findOptions(nameServerOptions, { flags, environment, home }).options
    const isRight = positionals.length === 1 && positionals[0] === 'namesrv' && /^\d{1,6}$/.test(values.timeout)
    return isRight && pidFile !== null ? { pidFile, timeoutMs: Number(values.timeout) * 1000 } : null
  } catch {
    return null
  }
}

// The number of a process that has ended without a word may belong to another by now.
async function nameServersIn(pidFile: string): Promise<number[]> {
  const pids = await readPids(pidFile)
  const ours = await Promise.all(pids.map(async pid => (await commandOf(pid)).includes('mqnamesrv')))
  return pids.filter((_, index) => ours[index])
}

/** The command line of a process; empty if it cannot be found out. */
async function commandOf(pid: number): Promise<string> {
  if (process.platform === 'win32') return 'mqnamesrv'
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
    await pause(LOOK_AGAIN)
    alive = alive.filter(isAlive)
  }
  return alive
}
