import type { EventEmitter } from 'node:events'
import { constants } from 'node:os'
import type { Logger } from '@gantrymq/remoting'
import { exitCodes } from './program.ts'

export interface ShutdownOptions {
  /** Ends what runs. */
  readonly close: () => Promise<void>
  /** How long `close` may take, milliseconds; then the process ends all the same. */
  readonly deadlineMs: number
  readonly log: Logger
  /** Where signals come from and how the process ends; the process itself, but for tests. */
  readonly process?: Pick<EventEmitter, 'on'> & { exit(code: number): void }
}

/** Closes at the first SIGTERM or SIGINT and ends the process: with 0, or at once at a second signal, as if that had killed it. */
export function closeOnSignal({ close, deadlineMs, log, process: owner = process }: ShutdownOptions): void {
  let signals = 0
  const begin = async () => {
    const started = Date.now()
    const late = setTimeout(() => {
      log.error({ deadlineMs }, 'shutdown took too long and was cut short')
      owner.exit(exitCodes.failed)
    }, deadlineMs)
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
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    owner.on(signal, () => {
      signals++
      log.info({ signal, times: signals }, 'shutdown hook was invoked')
      if (signals === 1) void begin()
      else owner.exit(128 + constants.signals[signal])
    })
  }
}
