import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** `node --expose-gc packages/client/test/programs/soak.ts 2000000` for a longer look. */
const COUNT = 60_000
const MIB = 1 << 20

interface Sample {
  readonly sent: number
  readonly received: number
  readonly heapUsed: number
  readonly arrayBuffers: number
}

test('memory stays flat over many messages sent, consumed and delivered again', async () => {
  const file = fileURLToPath(new URL('programs/soak.ts', import.meta.url))
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--expose-gc', file, String(COUNT)])
  assert.equal(stderr, '')
  const lines = stdout.trim().split('\n')
  assert.equal(lines.at(-1), '{"timersLeft":0}')
  const samples = lines.slice(0, -1).map(line => JSON.parse(line) as Sample)
  assert.equal(samples.at(-1)?.received, COUNT)
  // The first three tenths warm up: code is compiled, tables find their size.
  const [early, late] = [samples[2], samples[9]]
  assert.ok(early !== undefined && late !== undefined)
  const grown = late.heapUsed - early.heapUsed
  assert.ok(grown < MIB, `the heap grew by ${grown} bytes over ${late.sent - early.sent} messages`)
  assert.ok(late.arrayBuffers - early.arrayBuffers < MIB, 'buffers are kept')
})
