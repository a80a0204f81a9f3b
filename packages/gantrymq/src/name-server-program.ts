import { readFile } from 'node:fs/promises'
import { findOptions, type FoundOptions } from '@gantrymq/daemon'
import { type NameServerOptions, nameServerOptions } from '@gantrymq/namesrv'
import { type Logger, readProperties } from '@gantrymq/remoting'
import { type CommandLine, readCommandLine, UsageError } from './command-line.ts'
import { apacheHelp, fullHelp } from './help.ts'
import { openLog } from './log.ts'
import { timestamp } from './log-text.ts'
import { addPid, removePid } from './pid-file.ts'
import { closeOnSignal, FAILED } from './shutdown.ts'
import { whyNotStarted } from './start-failure.ts'

/** What the program needs of a name server. */
export interface RunningServer {
  /** The port that is open. */
  readonly port: number
  close(): Promise<void>
}

/** What surrounds the program; the process, but for tests. */
export interface Surroundings {
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The user's home folder. */
  readonly home: string
  /** Standard output, one line. */
  readonly print: (line: string) => void
  /** Standard error, one line. */
  readonly complain: (line: string) => void
  readonly start: (found: FoundOptions<NameServerOptions>, log: Logger) => Promise<RunningServer>
  readonly process?: Parameters<typeof closeOnSignal>[0]['process']
}

/** Something said that ends the program with this code. */
class Ending extends Error {
  readonly exitCode: number

  constructor(exitCode: number, message = '', options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** Longest time beyond the drain that closing may take, milliseconds. */
const CLOSING = 5000

/**
 * Runs `mqnamesrv` as Apache's NamesrvStartup does.
 * @returns the exit code, or null when the server runs: signals end it then.
 */
export async function runNameServer(surroundings: Surroundings): Promise<number | null> {
  try {
    await run(surroundings)
    return null
  } catch (error) {
    if (!(error instanceof Ending)) throw error
    if (error.message !== '') surroundings.complain(error.message)
    return error.exitCode
  }
}

async function run(surroundings: Surroundings): Promise<void> {
  const { print, complain } = surroundings
  const line = readArguments(surroundings)
  if (line.help) return end(fullHelp(), print)
  const found = await readOptions(line, surroundings)
  if (line.configFile !== null) print(`load config properties file OK, ${line.configFile}`)
  if (line.print) {
    for (const { text } of found.problems) complain(`warning: ${text}`)
    return end(
      itemLines(found.options)
        .map(item => `${timestamp(Date.now())} INFO main - ${item}\n`)
        .join(''),
      print,
    )
  }
  const log = await openLog({ format: found.options.logFormat, level: found.options.logLevel })
  for (const { text } of found.problems) log.warn({}, text)
  logItems(found, log)
  await serve(surroundings, found, log)
}

function end(text: string, print: (line: string) => void): never {
  print(text.replace(/\n$/, ''))
  throw new Ending(0)
}

function readArguments({ args, print }: Surroundings): CommandLine {
  try {
    return readCommandLine(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    print(`${apacheHelp()}Every other option is shown by mqnamesrv -h.`)
    throw new Ending(1, error.message)
  }
}

async function readOptions(
  line: CommandLine,
  { environment, home }: Surroundings,
): Promise<FoundOptions<NameServerOptions>> {
  const path = line.configFile
  const file = path === null ? {} : { file: { path, entries: await readEntries(path) } }
  const found = findOptions(nameServerOptions, { flags: line.flags, environment, home, ...file })
  const errors = found.problems.filter(({ level }) => level === 'error')
  if (errors.length > 0) throw new Ending(FAILED, errors.map(({ text }) => text).join('\n'))
  return found
}

async function readEntries(path: string) {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'there is no such file' : error.message
    throw new Ending(FAILED, `the config file ${path} cannot be read: ${reason}`)
  })
  try {
    return readProperties(bytes)
  } catch (error) {
    throw new Ending(FAILED, `the config file ${path} cannot be read: ${(error as Error).message}`)
  }
}

/** `key=value` of every option in the order of the table, as Apache prints and logs them. */
function itemLines(options: NameServerOptions): string[] {
  return nameServerOptions.names.map(
    name => `${nameServerOptions.property(name)}=${nameServerOptions.shown(options, name) ?? ''}`,
  )
}

// Apache logs all of them at INFO; here those that somebody has set.
function logItems({ options, origins }: FoundOptions<NameServerOptions>, log: Logger): void {
  for (const [index, item] of itemLines(options).entries()) {
    const origin = origins.get(nameServerOptions.names[index]!)
    if (origin === 'default') log.debug({}, item)
    else log.info({ origin }, item)
  }
}

async function serve(surroundings: Surroundings, found: FoundOptions<NameServerOptions>, log: Logger): Promise<void> {
  const { options } = found
  const server = await surroundings.start(found, log).catch((error: unknown) => {
    throw new Ending(FAILED, whyNotStarted(error, options), { cause: error })
  })
  const close = async () => {
    await server.close()
    if (options.pidFile !== null) await removePid(options.pidFile, process.pid)
  }
  const graceful = options.enableShutdownGracefully ? options.shutdownWaitTimeSeconds * 1000 : 0
  const deadlineMs = graceful + options.shutdownDrainMillis + CLOSING
  closeOnSignal({ close, deadlineMs, log, ...(surroundings.process && { process: surroundings.process }) })
  if (options.pidFile !== null) await writePid(options.pidFile, log)
  const boot = `The Name Server boot success. serializeType=${options.serializeType}, address ${options.bindAddress}:${server.port}`
  surroundings.print(boot)
}

async function writePid(path: string, log: Logger): Promise<void> {
  await addPid(path, process.pid).catch((error: unknown) => {
    log.warn(
      { path, reason: (error as Error).message },
      'no pid file was written, mqshutdown will not find this process',
    )
  })
}
