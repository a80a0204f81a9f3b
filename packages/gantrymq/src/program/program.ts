import type { FoundOptions, OptionSet } from '@gantrymq/daemon'
import type { Logger } from '@gantrymq/remoting'
import type { LogLevel } from './log-text.ts'

/** What a program does with the options of its server; every kind of server has these. */
export interface ProgramOptions {
  readonly bindAddress: string
  readonly listenPort: number
  readonly enableShutdownGracefully: boolean
  readonly shutdownWaitTimeSeconds: number
  readonly shutdownDrainMillis: number
  readonly pidFile: string | null
  readonly logFormat: 'text' | 'json'
  readonly logLevel: LogLevel
}

/** An option that Apache's program of the same name has. Those called h, p and c mean help, printing and the file. */
export interface ApacheOption {
  readonly short: string
  readonly long: string
  readonly takesValue: boolean
  readonly meaning: string
}

/** What a program needs of a running server. */
export interface RunningServer {
  /** The port that is open. */
  readonly port: number
  close(): Promise<void>
}

/** A program that runs a server: what is particular to it. `run` does the rest. */
export interface Program<O extends ProgramOptions> {
  /** As operators type it: `mqnamesrv`. */
  readonly name: string
  /** What it runs, in sentences: `name server`. */
  readonly role: string
  readonly options: OptionSet<O>
  /** In the order of Apache's help. */
  readonly apacheOptions: readonly ApacheOption[]
  /** Starts the server and opens its port. What it throws ends the program. */
  start(found: FoundOptions<O>, log: Logger): Promise<RunningServer>
  /** What Apache's program prints when its port is open. */
  bootLine(options: O, port: number): string
}

/** What surrounds a program: the process, but for tests. */
export interface Surroundings {
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The user's home folder. */
  readonly home: string
  /** Standard output, one line. */
  readonly print: (line: string) => void
  /** Standard error, one line. */
  readonly complain: (line: string) => void
}

/** Exit codes of Apache's programs, beside 0. A shell shows Java's -1 as 255. */
export const exitCodes = { badUsage: 1, failed: 255 } as const
