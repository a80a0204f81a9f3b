import { readFile } from 'node:fs/promises'
import { findOptions, type FoundOptions, type OptionName, type OptionSet, VERSION } from '@gantrymq/daemon'
import { hasByteOrderMark, type Logger, readProperties } from '@gantrymq/remoting'
import { type CommandLine, readCommandLine, UsageError } from './command-line.ts'
import { apacheHelp, fullHelp } from './help.ts'
import { openLog } from './log.ts'
import { timestamp } from './log-text.ts'
import { addPid, removePid } from './pid-file.ts'
import { exitCodes, type Program, type ProgramOptions, type Surroundings } from './program.ts'
import { closeOnSignal, type ShutdownOptions } from './shutdown.ts'
import { whyNotStarted } from './start-failure.ts'

export interface RunSurroundings extends Surroundings {
  /** The source of signals and the way to exit: the process itself, except in tests. */
  readonly process?: ShutdownOptions['process']
}

/** Ends the program with an exit code; a message, if there is one, goes to standard error. */
class Exit extends Error {
  readonly exitCode: number

  constructor(exitCode: number, message = '', options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** Longest time beyond the drain that closing may take, milliseconds. */
const CLOSE_MARGIN_MS = 5000

/**
 * Runs a program as Apache's startup classes do: arguments, options, log, start, boot line.
 * @returns the exit code, or null if the server runs, which signals then end.
 */
export async function run<O extends ProgramOptions>(
  program: Program<O>,
  surroundings: RunSurroundings,
): Promise<number | null> {
  try {
    await start(program, surroundings)
    return null
  } catch (error) {
    if (!(error instanceof Exit)) throw error
    if (error.message !== '') surroundings.complain(error.message)
    return error.exitCode
  }
}

async function start<O extends ProgramOptions>(program: Program<O>, surroundings: RunSurroundings): Promise<void> {
  const { print, complain } = surroundings
  const line = readArguments(program, surroundings)
  if (line.help) return end(fullHelp(program), print)
  if (line.version) return end(`${program.name} ${VERSION} (Gantry)`, print)
  const found = await readOptions(program, line, surroundings)
  if (line.configFile !== null) print(`load config properties file OK, ${line.configFile}`)
  if (line.print || line.printImportant) {
    for (const { text } of found.problems) complain(`warning: ${text}`)
    const names = line.print ? program.options.names : (program.importantOptions ?? [])
    const items = names.map(name => itemOf(program.options, found.options, name))
    return end(items.map(item => `${timestamp(Date.now())} INFO main - ${item}\n`).join(''), print)
  }
  const log = await openLog({ format: found.options.logFormat, level: found.options.logLevel })
  for (const { text } of found.problems) log.warn({}, text)
  logItems(program.options, found, log)
  await serve(program, surroundings, found, log)
}

function end(text: string, print: (line: string) => void): never {
  print(text.replace(/\n$/, ''))
  throw new Exit(0)
}

function readArguments<O extends ProgramOptions>(program: Program<O>, { args, print }: Surroundings): CommandLine<O> {
  try {
    return readCommandLine(program, args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    print(`${apacheHelp(program)}${program.name} -h shows all other options.`)
    throw new Exit(exitCodes.badUsage, error.message)
  }
}

async function readOptions<O extends ProgramOptions>(
  { options }: Program<O>,
  { configFile: path, flags }: CommandLine<O>,
  { environment, home }: Surroundings,
): Promise<FoundOptions<O>> {
  const file = path === null ? {} : { file: await readConfigFile(path) }
  const found = findOptions(options, { flags, environment, home, ...file })
  const errors = found.problems.filter(({ level }) => level === 'error')
  if (errors.length > 0) throw new Exit(exitCodes.failed, errors.map(({ text }) => text).join('\n'))
  return found
}

async function readConfigFile(path: string) {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'there is no such file' : error.message
    throw new Exit(exitCodes.failed, `the config file ${path} cannot be read: ${reason}`)
  })
  try {
    return { path, entries: readProperties(bytes), hasByteOrderMark: hasByteOrderMark(bytes) }
  } catch (error) {
    throw new Exit(exitCodes.failed, `the config file ${path} cannot be read: ${(error as Error).message}`)
  }
}

/** `key=value`, as Apache prints and logs its options. */
function itemOf<O>(set: OptionSet<O>, options: O, name: OptionName<O>): string {
  return `${set.property(name)}=${set.shown(options, name) ?? ''}`
}

// Apache logs all options at INFO; here only those that are set are at INFO.
function logItems<O>(set: OptionSet<O>, { options, origins }: FoundOptions<O>, log: Logger): void {
  for (const name of set.names) {
    const item = itemOf(set, options, name)
    const origin = origins.get(name)
    if (origin === 'default') log.debug({}, item)
    else log.info({ origin }, item)
  }
}

async function serve<O extends ProgramOptions>(
  program: Program<O>,
  surroundings: RunSurroundings,
  found: FoundOptions<O>,
  log: Logger,
): Promise<void> {
  const { options } = found
  const server = await program.start(found, log).catch((error: unknown) => {
    throw new Exit(exitCodes.failed, whyNotStarted(error, program, options), { cause: error })
  })
  const close = async () => {
    await server.close()
    if (options.pidFile !== null) await removePid(options.pidFile, process.pid)
  }
  const deadlineMs = () => {
    const { enableShutdownGracefully, shutdownWaitTimeSeconds, shutdownDrainMillis } = server.options
    return (enableShutdownGracefully ? shutdownWaitTimeSeconds * 1000 : 0) + shutdownDrainMillis + CLOSE_MARGIN_MS
  }
  closeOnSignal({ close, deadlineMs, log, ...(surroundings.process && { process: surroundings.process }) })
  if (options.pidFile !== null) await writePid(options.pidFile, log)
  surroundings.print(server.bootLine)
}

async function writePid(path: string, log: Logger): Promise<void> {
  await addPid(path, process.pid).catch((error: unknown) => {
    log.warn(
      { path, reason: (error as Error).message },
      'the pid file could not be written; mqshutdown will not find this process',
    )
  })
}
