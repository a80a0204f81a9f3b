import type { Logger } from '@gantrymq/remoting'

/** A logger of the user's that may throw: what it logs is lost then, and nothing else. */
export function guardedLog(log: Logger): Logger {
  const guarded =
    (level: keyof Logger) =>
    (fields: object, text: string): void => {
      try {
        log[level](fields, text)
      } catch {
        // A log line is not worth a connection, nor the process.
      }
    }
  return { debug: guarded('debug'), info: guarded('info'), warn: guarded('warn'), error: guarded('error') }
}
