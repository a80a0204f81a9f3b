import { printable, printableLines } from '@gantrymq/remoting'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** From the lowest level to the highest. */
export const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/**
 * A line with the layout of Apache's logback files: date, level, thread, message, then the fields. Stacks follow on
 * their own lines.
 */
export function logLine(now: number, level: LogLevel, fields: object, text: string): string {
  let line = `${timestamp(now)} ${level.toUpperCase()} main - ${printable(text)}`
  let stack = ''
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    if (value instanceof Error) stack += `${indented(value)}\n`
    else line += ` ${printable(name)}=${shown(value)}`
  }
  return `${line}\n${stack}`
}

/** `yyyy-MM-dd HH:mm:ss` in the time zone of the machine (Apache always uses GMT+8). */
export function timestamp(now: number): string {
  const date = new Date(now)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

// A peer must not be able to forge a log line.
function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (typeof value === 'string' && /^[\w.:;/@%+*\-[\]{}(),=]+$/.test(value)) return value
  return printable(
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner)) ?? '',
  )
}

function indented(error: Error): string {
  const cause = error.cause instanceof Error ? `\n  caused by ${error.cause.stack ?? error.cause.message}` : ''
  return printableLines(`  ${error.stack ?? error.message}${cause}`).replaceAll('\n', '\n  ')
}
