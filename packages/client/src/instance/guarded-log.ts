import type { Logger } from '@gantrymq/remoting'

/** Wraps the user's logger: when it throws, the line is lost and the client goes on. */
export function guardedLog(log: Logger): Logger {
  const guarded =
    (level: keyof Logger) =>
    (fields: object, text: string): void => {
      try {
        log[level](fields, text)
      } catch {
        // A failing logger must end neither a connection nor the process.
      }
    }
  return { debug: guarded('debug'), info: guarded('info'), warn: guarded('warn'), error: guarded('error') }
}
