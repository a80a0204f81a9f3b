import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killRounds } from './kv-kills.ts'

test('a kill -9 in the middle of KV updates leaves a whole file, and everything acknowledged is there after the next start', async () => {
  const moments = [0, 0.3, 0.9, 0.1]
  const { acknowledged } = await killRounds(moments.length, () => moments.pop() ?? 0)
  assert.ok(acknowledged >= 4)
})
