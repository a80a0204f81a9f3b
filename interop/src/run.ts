/**
 * `npm run interop`: runs the suites against ours and both Apache releases and prints a table of what ran. Arguments select
 * test files by words in their names.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { classPath, RELEASES, skipReason } from './launch/apache.ts'

/** Files at a time: the suites mostly wait. */
const CONCURRENCY = 3
const root = join(import.meta.dirname, '..', '..')
const testFolder = join(root, 'interop', 'test')
const reporter = import.meta.resolve('./table-reporter.ts')

const skip = await skipReason()
// Downloaded and compiled once, before several processes need the classes.
if (skip === false) await Promise.all(RELEASES.map(classPath))
else console.log(`Cases that need Apache are skipped: ${skip}`)

const words = process.argv.slice(2)
const files = readdirSync(testFolder)
  .filter(name => name.endsWith('.test.ts') && (words.length === 0 || words.some(word => name.includes(word))))
  .toSorted()
  .map(name => join(testFolder, name))
const flags = [
  '--test',
  `--test-concurrency=${CONCURRENCY}`,
  `--test-reporter=${reporter}`,
  '--test-reporter-destination=stdout',
]
const { status } = spawnSync(process.execPath, [...flags, ...files], {
  cwd: root,
  // The suites start many processes, which would compile the same sources each.
  env: { NODE_COMPILE_CACHE: join(root, '.cache/compiled'), ...process.env },
  stdio: 'inherit',
})
process.exitCode = status ?? 1
