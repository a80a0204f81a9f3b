import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOffset } from './start-offset.ts'

const noon = new Date('2026-05-01T12:00:00Z')

test('a stored offset takes precedence over every setting', () => {
  for (const from of ['last', 'first', noon] as const) {
    assert.equal(startOffset(0, from, 'Orders'), 'stored')
    assert.equal(startOffset(77, from, '%RETRY%billing'), 'stored')
  }
})

test('a group whose offset could not be read is not treated as new', () => {
  for (const from of ['last', 'first', noon] as const) {
    assert.equal(startOffset(-2, from, 'Orders'), 'unknown')
    assert.equal(startOffset(-3, from, '%RETRY%billing'), 'unknown')
  }
})

test('a new group starts where `consumeFrom` says, and in its retry topic as in Java', () => {
  const rows = [
    ['last', 'max', 'zero'],
    ['first', 'zero', 'zero'],
    [noon, { time: noon.getTime() }, 'max'],
  ] as const
  for (const [from, topic, retryTopic] of rows) {
    assert.deepEqual(startOffset(-1, from, 'Orders'), topic)
    assert.deepEqual(startOffset(-1, from, '%RETRY%billing'), retryTopic)
  }
})
