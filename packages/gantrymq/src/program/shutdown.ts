import type { EventEmitter } from 'node:events'
import { constants } from 'node:os'
import type { Logger } from '@gantrymq/remoting'
import { exitCodes } from './program.ts'

export interface ShutdownOptions {
  /** Closes the server. */
  readonly close: () => Promise<void>
  /** How long `close` may take, milliseconds, asked when it begins. After that the process exits anyway. */
  readonly deadlineMs: () => number
  readonly log: Logger
  /** The source of signals and the way to exit: the process itself, except in tests. */
  readonly process?: Pick<EventEmitter, 'on'> & { exit(code: number): void }
}

/**
 * At the first SIGTERM, SIGINT or SIGHUP, closes the server and exits with 0; at a second one, exits at once as if it had
 * killed the process.
 */
export function closeOnSignal({ close, deadlineMs, log, process: owner = process }: ShutdownOptions): void {
  let signals = 0
  const begin = async () => {
    const started = Date.now()
    const limit = deadlineMs()
    const late = setTimeout(() => {
      log.error({ deadlineMs: limit }, 'shutdown took too long and was cut short')
      owner.exit(exitCodes.failed)
    }, limit)
    try {
      await close()
      log.info({ ms: Date.now() - started }, 'shutdown hook done')
      owner.exit(0)
    } catch (error) {
      log.error({ err: error }, 'shutdown hook callback invoked failure.')
      owner.exit(exitCodes.failed)
    } finally {
      clearTimeout(late)
    }
  }
  // A JVM ends in order on these three signals; without a handler Node ends at once on SIGHUP.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    owner.on(signal, () => {
      signals++
      log.info({ signal, times: signals }, 'shutdown hook was invoked')
      if (signals === 1) void begin()
      else owner.exit(128 + constants.signals[signal])
    })
  }
}
