// Runs all tests. `npm test -- packages/remoting` runs those of a folder or a file; options go to node's test runner.
import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * The parts of the suite, the longest first. Each part runs in one process, because a process for every file would load all
 * packages for every file. As many parts run at a time as there are processors. A file belongs to the first part that matches.
 */
const suite: Readonly<Record<string, readonly string[]>> = {
  'client-as-a-whole': ['packages/client/test/{every-call,close-at-every-step}.test.ts'],
  client: ['packages/client/**/*.test.ts'],
  packages: ['packages/**/*.test.ts'],
  repository: ['{benchmarks,docs,examples,scripts}/**/*.test.ts'],
}

const folder = resolve('.cache/test')

function testsIn(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? `${path}/**/*.test.ts` : path
}

/** Writes a file for each part, which imports its tests. */
function writeParts(parts: Readonly<Record<string, readonly string[]>>): string[] {
  mkdirSync(folder, { recursive: true })
  const written = new Set<string>()
  return Object.entries(parts).map(([name, patterns]) => {
    const found = globSync(patterns, { exclude: ['**/node_modules'] })
    const tests = found.filter(path => !written.has(path)).toSorted()
    if (tests.length === 0) throw new Error(`No test file matches ${patterns.join(' ')}.`)
    for (const path of tests) written.add(path)
    const file = join(folder, `${name}.js`)
    writeFileSync(file, tests.map(path => `import '${pathToFileURL(path).href}'\n`).join(''))
    return file
  })
}

const given = process.argv.slice(2)
const options = given.filter(word => word.startsWith('-'))
const paths = given.filter(word => !word.startsWith('-')).map(testsIn)
const files = writeParts(paths.length > 0 ? { 'chosen-tests': paths } : suite)

const limits = [`--test-concurrency=${availableParallelism()}`, '--test-timeout=120000']
const { status, error } = spawnSync(process.execPath, ['--test', ...limits, ...options, ...files], {
  // Tests start many processes, and each would compile the same sources.
  env: { NODE_COMPILE_CACHE: resolve('.cache/compiled'), ...process.env },
  stdio: 'inherit',
  timeout: 600_000,
})
// Nothing forces a process to end before this timeout, so that an open handle is noticed.
if (error) console.error(`The run did not end by itself; a test has left something open. (${error.message})`)
process.exitCode = status ?? 1
