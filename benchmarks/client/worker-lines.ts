/** What a worker has counted since the last reading. */
export interface Reading {
  readonly messages: number
  readonly failed: number
  readonly ms: number
  /** Times of `send` and `delay`; 0 for other commands. */
  readonly p50Us: number
  readonly p99Us: number
}

/**
 * An event of a worker: a line with an `@` and a JSON object. Other lines are output of its libraries.
 * running: the command has started. begun: a drain has skipped the first messages. done: it has received all messages.
 */
export type WorkerEvent =
  | ({ readonly event: 'mark' | 'begun' | 'done' } & Reading)
  | { readonly event: 'running' | 'stopped' | 'filled' }
  | { readonly event: 'error'; readonly text: string }

/** A command to a worker: a line with a word and then words `name=value`. A worker ends at the end of its input. */
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

/** Undefined if the line is not an event. */
export function parseEvent(line: string): WorkerEvent | undefined {
  return line.startsWith('@') ? (JSON.parse(line.slice(1)) as WorkerEvent) : undefined
}

export function formatEvent(event: WorkerEvent): string {
  return `@${JSON.stringify(event)}\n`
}
