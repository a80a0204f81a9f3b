// Runs the examples that need no broker. `npm run interop` runs the others.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const examples = globSync('examples/[0-9]*.ts').sort()
const needsBroker = (example: string) => readFileSync(example, 'utf8').includes('NAMESRV_ADDR')
const skip =
  Number(process.versions.node.split('.')[0]) < 24 ? 'the examples use `await using`, which needs Node 24' : false

for (const example of examples.filter(each => !needsBroker(each))) {
  test(`${example} runs and ends by itself`, { skip }, async () => {
    await run(process.execPath, [example], { timeout: 30_000 })
  })
}

test('the README of the folder lists every example', () => {
  const listed = [...readFileSync('examples/README.md', 'utf8').matchAll(/^\| \[(.+?)\]/gm)].map(match => match[1])
  assert.deepEqual(
    listed,
    examples.map(example => example.replace('examples/', '')),
  )
})
