/** Runs every suite against ours and both Apaches and prints what ran: `npm run interop`. Arguments choose test files. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { classPath, RELEASES, skipReason } from './launch/apache.ts'

/** Two at a time: the suites wait more than they work. */
const CONCURRENCY = 2
const testFolder = join(import.meta.dirname, '..', 'test')
const reporter = import.meta.resolve('./table-reporter.ts')

const skip = await skipReason()
// Fetched and compiled once, before several processes need it.
if (skip === false) await Promise.all(RELEASES.map(classPath))
else console.log(`Apache is left out: ${skip}`)

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
const { status } = spawnSync(process.execPath, [...flags, ...files], { stdio: 'inherit' })
process.exitCode = status ?? 1
