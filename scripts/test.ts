// Runs all tests. `npm test -- packages/remoting` runs those of a folder or a file; options go to node's test runner.
import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const all = ['{packages,benchmarks,docs,examples,scripts}/**/*.test.ts']

/** One more than there are processors: some tests wait for other processes. */
const PROCESSES = availableParallelism() + 1

function testsIn(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? `${path}/**/*.test.ts` : path
}

/** Whether a file tests a whole package, which takes long. */
const isLong = (file: string) => /^packages\/\w+\/test\//.test(file)

/**
 * Deals the tests to files that import them, the long ones first. Each file runs in a process; a process for every test file
 * would load and optimize the same packages again and again.
 */
function deal(tests: readonly string[], folder: string): string[] {
  const sorted = [...tests.filter(isLong), ...tests.filter(file => !isLong(file))]
  const count = Math.min(sorted.length, PROCESSES)
  return Array.from({ length: count }, (_, part) => {
    const dealt = sorted.filter((_file, index) => index % count === part)
    const path = join(folder, `part-${part + 1}.js`)
    writeFileSync(path, dealt.map(file => `import '${pathToFileURL(file).href}'\n`).join(''))
    return path
  })
}

const given = process.argv.slice(2)
const options = given.filter(word => word.startsWith('-'))
const paths = given.filter(word => !word.startsWith('-')).map(testsIn)
const tests = globSync(paths.length > 0 ? paths : all, { exclude: ['**/node_modules'] }).toSorted()
if (tests.length === 0) throw new Error(`No test file matches ${given.join(' ')}.`)

mkdirSync('.cache', { recursive: true })
const folder = mkdtempSync(resolve('.cache/test-'))
const limits = [`--test-concurrency=${PROCESSES}`, '--test-timeout=120000']
const { status, error } = spawnSync(process.execPath, ['--test', ...limits, ...options, ...deal(tests, folder)], {
  // Tests start many processes, and each would compile the same sources.
  env: { NODE_COMPILE_CACHE: resolve('.cache/compiled'), ...process.env },
  stdio: 'inherit',
  timeout: 600_000,
})
rmSync(folder, { recursive: true })
// Nothing forces a process to end before this timeout, so that an open handle is noticed.
if (error) console.error(`The run did not end by itself; a test has left something open. (${error.message})`)
process.exitCode = status ?? 1
