// Runs the suite. `npm test -- packages/remoting` narrows it to a folder or a file; options go to node's test runner.
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'

const everything = [
  'packages/*/src/**/*.test.ts',
  'packages/*/test/**/*.test.ts',
  'benchmarks/**/*.test.ts',
  'docs/**/*.test.ts',
  'examples/**/*.test.ts',
  'scripts/**/*.test.ts',
]

function testsIn(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? `${path}/**/*.test.ts` : path
}

const given = process.argv.slice(2)
const options = given.filter(word => word.startsWith('-'))
const paths = given.filter(word => !word.startsWith('-')).map(testsIn)

// One process for all files is ten times faster than one each. Node 22 cannot do it well yet.
const together = process.allowedNodeEnvironmentFlags.has('--test-isolation') ? ['--test-isolation=none'] : []
const run = ['--test', ...together, '--test-timeout=120000', ...options]
const { status, error } = spawnSync(process.execPath, [...run, ...(paths.length > 0 ? paths : everything)], {
  stdio: 'inherit',
  timeout: 600_000,
})
// Nothing is ended by force before that: a handle left open is a mistake to be seen.
if (error) console.error(`The run did not end by itself; a test has left something open. (${error.message})`)
process.exitCode = status ?? 1
