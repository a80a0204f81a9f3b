/** What a worker has counted since its last reading. */
export interface Reading {
  readonly messages: number
  readonly failed: number
  readonly ms: number
  /** Of send or of delay; 0 for others. */
  readonly p50Us: number
  readonly p99Us: number
}

/**
 * What a worker says, one JSON object a line after an `@`; other lines are its libraries' talk.
 * running: the work goes on. begun: a drain has skipped what it was to skip. done: it has seen all messages.
 */
export type WorkerEvent =
  | ({ readonly event: 'mark' | 'begun' | 'done' } & Reading)
  | { readonly event: 'running' | 'stopped' | 'filled' }
  | { readonly event: 'error'; readonly text: string }

/** What a worker is told: a word, then `name=value` words; one command a line. The end of the input ends it. */
export type WorkerCommand = 'send' | 'drain' | 'delay' | 'fill' | 'mark' | 'stop'

export type CommandOptions = Readonly<Record<string, string | number>>

export function formatCommand(command: WorkerCommand, options: CommandOptions = {}): string {
  const words = Object.entries(options).map(([name, value]) => `${name}=${value}`)
  return `${[command, ...words].join(' ')}\n`
}

export function parseCommand(line: string): { command: string; options: Record<string, string> } {
  const [command = '', ...words] = line.trim().split(' ')
  const pairs = words.map(word => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] as const)
  return { command, options: Object.fromEntries(pairs) }
}

/** Undefined for a line that is none of ours. */
export function parseEvent(line: string): WorkerEvent | undefined {
  return line.startsWith('@') ? (JSON.parse(line.slice(1)) as WorkerEvent) : undefined
}

export function formatEvent(event: WorkerEvent): string {
  return `@${JSON.stringify(event)}\n`
}
