import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { clusterSkipReason, standingCluster } from '../interop/src/launch/standing-cluster.ts'

const run = promisify(execFile)
const examples = globSync('examples/[0-9]*.ts').sort()
const needsBroker = (example: string) => readFileSync(example, 'utf8').includes('NAMESRV_ADDR')
const onOldNode =
  Number(process.versions.node.split('.')[0]) < 24 ? 'the examples say `await using`, which is for Node 24' : false
const withoutBroker = onOldNode || (await clusterSkipReason())

for (const example of examples.filter(each => !needsBroker(each))) {
  test(`${example} runs and ends by itself`, { skip: onOldNode }, async () => {
    await run(process.execPath, [example], { timeout: 30_000 })
  })
}

// They wait more than they work.
describe('with a broker of Apache', { skip: withoutBroker, concurrency: 6 }, () => {
  for (const example of examples.filter(needsBroker)) {
    test(`${example} runs and ends by itself`, async () => {
      const env = { ...process.env, NAMESRV_ADDR: await standingCluster() }
      await run(process.execPath, [example], { env, timeout: 60_000 })
    })
  }
})

test('the list in the folder names every example', () => {
  const listed = [...readFileSync('examples/README.md', 'utf8').matchAll(/^\| \[(.+?)\]/gm)].map(match => match[1])
  assert.deepEqual(
    listed,
    examples.map(example => example.replace('examples/', '')),
  )
})
