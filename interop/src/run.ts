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

const words = process.argv.slice(2)
const suites = readdirSync(testFolder)
  .filter(name => name.endsWith('.test.ts'))
  .toSorted()
const selected = suites.filter(name => words.length === 0 || words.some(word => name.includes(word)))
// Without a file, Node would look for tests itself and run all that it finds.
if (selected.length === 0) {
  const names = suites.map(name => `  ${name.replace('.test.ts', '')}`).join('\n')
  console.log(
    `npm run interop [-- words]\nRuns the suites whose names have one of the words; without words all of them:\n${names}`,
  )
  process.exit(words.includes('--help') ? 0 : 1)
}

const skip = await skipReason()
// Downloaded and compiled once, before several processes need the classes.
if (skip === false) await Promise.all(RELEASES.map(classPath))
else console.log(`Cases that need Apache are skipped: ${skip}`)

const files = selected.map(name => join(testFolder, name))
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
