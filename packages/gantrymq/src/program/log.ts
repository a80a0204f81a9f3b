import type { Writable } from 'node:stream'
import { type Logger, printableLines } from '@gantrymq/remoting'
import { LogSink } from './log-sink.ts'
import { type LogLevel, logLevels, logLine } from './log-text.ts'

export interface LogOptions {
  readonly format: 'text' | 'json'
  readonly level: LogLevel
}

/** The program's log, on standard output. A reader that does not read it neither stops the program nor fills its memory. */
export async function openLog({ format, level }: LogOptions, stream: Writable = process.stdout): Promise<Logger> {
  const sink: LogSink = new LogSink(stream, {
    onDropped: lines => log.error({ lines }, 'log lines were dropped: the reader of standard output had stalled'),
  })
  const write = (line: string) => sink.write(line)
  const log: Logger = format === 'json' ? await jsonLog(level, write) : textLog(level, write)
  return log
}

/** A log of text lines. */
export function textLog(least: LogLevel, write: (line: string) => void): Logger {
  const at = (level: LogLevel) => {
    if (logLevels.indexOf(level) < logLevels.indexOf(least)) return () => {}
    return (fields: object, text: string) => write(logLine(Date.now(), level, fields, text))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

// Loaded only here: pino takes longer to load than the rest of the start.
async function jsonLog(level: LogLevel, write: (line: string) => void): Promise<Logger> {
  const { pino } = await import('pino')
  const options = {
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  // JSON escapes only some of the characters that a terminal obeys or hides.
  const log: Logger = pino(options, { write: line => write(printableLines(line)) })
  return log
}
