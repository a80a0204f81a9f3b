// Checks types, lint, format, layers and dead code concurrently. Prints a line for each, and the output of those that failed.
import { spawn } from 'node:child_process'

interface Check {
  readonly name: string
  readonly command: readonly string[]
}

const checks: readonly Check[] = [
  { name: 'types', command: ['tsc'] },
  { name: 'browser', command: ['tsc', '-p', 'packages/daemon/browser'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'format', command: ['biome', 'format'] },
  { name: 'layers', command: [process.execPath, 'scripts/layers.ts'] },
  { name: 'dead code', command: ['knip', '--no-progress', '--no-config-hints'] },
]

/** Runs a check and prints its line. True if it succeeded. */
function run({ name, command: [program = '', ...args] }: Check): Promise<boolean> {
  const started = performance.now()
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const collect = (chunk: string) => void (output += chunk)
  child.stdout.setEncoding('utf8').on('data', collect)
  child.stderr.setEncoding('utf8').on('data', collect)
  child.on('error', error => collect(`${error.message}. Start this with npm run check.\n`))
  child.on('close', code => {
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const clean = code === 0
    console.log(`${clean ? 'ok    ' : 'FAILED'}  ${name.padEnd(10)} ${seconds} s`)
    if (!clean) console.log(output.trimEnd())
    resolve(clean)
  })
  return promise
}

const results = await Promise.all(checks.map(run))
if (results.includes(false)) process.exitCode = 1
