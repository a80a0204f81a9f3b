import type { ProgramOptions } from './program.ts'

type SystemError = Partial<Pick<NodeJS.ErrnoException, 'code' | 'syscall'>> & {
  readonly port?: number
  readonly address?: string
}

/** One sentence that says why a server could not start and what to do. */
export function whyNotStarted(error: unknown, role: string, options: ProgramOptions): string {
  const { code, syscall, port, address } = systemErrorIn(error)
  const message = error instanceof Error ? error.message : String(error)
  if (syscall !== 'listen' && syscall !== 'getaddrinfo') return `the ${role} could not start: ${message}`
  const place = `${address ?? options.bindAddress}:${port ?? options.listenPort}`
  const flags = port === undefined || port === options.listenPort ? '--listen-port' : '--http-port'
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

/** The error of the operating system, which may be the cause of the cause. */
function systemErrorIn(error: unknown): SystemError {
  const { cause } = error as Error
  return cause instanceof Error ? systemErrorIn(cause) : (error as SystemError)
}
