import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMaster, MASTER_ID } from './broker-id.ts'

test('only the id 0 is a master, as a number or as a bigint', () => {
  assert.deepEqual([MASTER_ID, 0, 0n, 1, 1n, -1].map(isMaster), [true, true, true, false, false, false])
})
