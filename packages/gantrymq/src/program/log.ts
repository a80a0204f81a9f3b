import type { Logger } from '@gantrymq/remoting'
import { type LogLevel, logLevels, logLine } from './log-text.ts'

export interface LogOptions {
  readonly format: 'text' | 'json'
  readonly level: LogLevel
}

/** The program's log, on standard output. */
export async function openLog({ format, level }: LogOptions): Promise<Logger> {
  return format === 'json' ? jsonLog(level) : textLog(level, line => process.stdout.write(line))
}

/** A log of text lines. */
export function textLog(least: LogLevel, write: (line: string) => unknown): Logger {
  const at = (level: LogLevel) => {
    if (logLevels.indexOf(level) < logLevels.indexOf(least)) return () => {}
    return (fields: object, text: string) => void write(logLine(Date.now(), level, fields, text))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

// Loaded only here: pino takes longer to load than the rest of the start.
async function jsonLog(level: LogLevel): Promise<Logger> {
  const { pino } = await import('pino')
  const options = {
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const log: Logger = pino(options, pino.destination({ dest: 1, sync: true }))
  return log
}
