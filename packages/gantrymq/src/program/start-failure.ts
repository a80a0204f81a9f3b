import type { OptionSet } from '@gantrymq/daemon'
import type { Program, ProgramOptions } from './program.ts'

type SystemError = Partial<Pick<NodeJS.ErrnoException, 'code' | 'syscall'>> & {
  readonly port?: number
  readonly address?: string
}

/** One sentence that says why a server could not start and what to do. */
export function whyNotStarted<O extends ProgramOptions>(
  error: unknown,
  { role, options: table }: Pick<Program<O>, 'role' | 'options'>,
  options: O,
): string {
  const { code, syscall, port, address } = systemErrorIn(error)
  const message = error instanceof Error ? error.message : String(error)
  if (syscall !== 'listen' && syscall !== 'getaddrinfo') return `the ${role} could not start: ${message}`
  const place = `${address ?? options.bindAddress}:${port ?? options.listenPort}`
  const flags = `--${flagOf(port ?? options.listenPort, table, options)}`
  switch (code) {
    case 'EADDRINUSE':
      return `the port ${place} is in use by another program: end it or choose another port with ${flags}`
    case 'EACCES':
      return `this user may not open the port ${place}: choose one above 1023 with ${flags}`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${place} is not an address of this machine: choose another with --bind-address`
    default:
      return `the port ${place} could not be opened: ${message}`
  }
}

/** A broker's second port is this far below its first one, unless fastListenPort is set. */
const FAST_PORT_DISTANCE = 2

/** The flag that chooses a port: that of the option with its number, or of the port that it follows. */
function flagOf<O extends ProgramOptions>(port: number, table: OptionSet<O>, options: O): string {
  const ports = table.names.filter(name => name.endsWith('Port'))
  const own = ports.find(name => options[name] === port)
  if (own !== undefined) return table.flag(own)
  const fast = ports.find(name => name === 'fastListenPort')
  const leader = ports.find(name => options[name] === port + FAST_PORT_DISTANCE)
  const found = leader === undefined ? undefined : (fast ?? leader)
  return found === undefined ? 'listen-port' : table.flag(found)
}

/** The error of the operating system, which may be the cause of the cause. */
function systemErrorIn(error: unknown): SystemError {
  const { cause } = error as Error
  return cause instanceof Error ? systemErrorIn(cause) : (error as SystemError)
}
