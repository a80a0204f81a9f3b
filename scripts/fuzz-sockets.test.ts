import assert from 'node:assert/strict'
import { test } from 'node:test'
import { targets as ofDaemon } from '../packages/daemon/test/fuzz-targets.ts'
import { targets as ofRemoting } from '../packages/remoting/test/fuzz-targets.ts'
import { fuzzSockets } from './fuzz-sockets.ts'

test('the name server serves others while random bytes arrive on many connections, and its memory comes back', async () => {
  const { answered, bytes } = await fuzzSockets([...ofRemoting, ...ofDaemon], 500, 1)
  assert.ok(answered > 10 && bytes > 100_000, `${answered} answers, ${bytes} bytes`)
})
