import { spawnSync } from 'node:child_process'

export interface CommandOptions {
  /** The folder in which it runs. Default: this one. */
  readonly cwd?: string
  /** Default: no limit. */
  readonly timeoutMs?: number
}

/** Runs a command and returns what it printed. @throws Error with all of its output if it fails */
export function run(program: string, args: readonly string[], { cwd, timeoutMs }: CommandOptions = {}): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8', timeout: timeoutMs })
  const output = `${stdout ?? ''}${stderr ?? ''}`
  if (status === 0) return output
  throw new Error(`${program} ${args.join(' ')}\n${error?.message ?? ''}${output}`)
}
