import type { FoundOptions, OptionName, OptionSet } from '@gantrymq/daemon'
import type { Logger } from '@gantrymq/remoting'
import type { LogLevel } from './log-text.ts'

/** The options that a program itself uses; every kind of server has them. */
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

/**
 * An option of Apache's program of the same name. The options h, p, m and c mean help, print, print the important options, and config
 * file.
 */
export interface ApacheOption<O> {
  readonly short: string
  readonly long: string
  readonly takesValue: boolean
  readonly meaning: string
  /** The option of the table that its value sets. */
  readonly sets?: OptionName<O>
}

/** What a program needs from a running server. */
export interface RunningServer {
  /** The open port. */
  readonly port: number
  /** The line that Apache's program prints when its port is open. */
  readonly bootLine: string
  /** The current options: some may change at run time. */
  readonly options: Pick<ProgramOptions, 'enableShutdownGracefully' | 'shutdownWaitTimeSeconds' | 'shutdownDrainMillis'>
  close(): Promise<void>
}

/** What is specific to a program that runs a server. `run` does the rest. */
export interface Program<O extends ProgramOptions> {
  /** As operators type it: `mqnamesrv`. */
  readonly name: string
  /** What messages call its server: `name server`. */
  readonly role: string
  readonly options: OptionSet<O>
  /** In the order of Apache's help. */
  readonly apacheOptions: readonly ApacheOption<O>[]
  /** What -m prints. Default: nothing. */
  readonly importantOptions?: readonly OptionName<O>[]
  /** Starts the server and opens its port. An error ends the program. */
  start(found: FoundOptions<O>, log: Logger): Promise<RunningServer>
}

/** What a program uses of its process; tests replace it. */
export interface Surroundings {
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The user's home folder. */
  readonly home: string
  /** Writes a line to standard output. */
  readonly print: (line: string) => void
  /** Writes a line to standard error. */
  readonly complain: (line: string) => void
}

/** Exit codes of Apache's programs besides 0. A shell shows Java's -1 as 255. */
export const exitCodes = { badUsage: 1, failed: 255 } as const
