import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRecallHandle, writeRecallHandle } from './recall-handle.ts'

const handle = { topic: 'T', brokerName: 'broker-a', deliverTime: '1700000000000', messageId: 'C0A8000105DC18B4AAC2' }

test('a recall handle has the text of Java, padded', () => {
  const text = writeRecallHandle(handle)
  assert.equal(text, 'djEgVCBicm9rZXItYSAxNzAwMDAwMDAwMDAwIEMwQTgwMDAxMDVEQzE4QjRBQUMy')
  assert.deepEqual(readRecallHandle(text), handle)
  const padded = writeRecallHandle({ ...handle, topic: 'To' })
  assert.ok(padded.endsWith('=='))
  assert.deepEqual(readRecallHandle(padded.slice(0, -2)), { ...handle, topic: 'To' })
})

test('an invalid handle is refused with the message of Java', () => {
  const texts = [
    '',
    '*',
    'djEg',
    Buffer.from('v2 T b 1 id').toString('base64url'),
    Buffer.from('v1 T b 1').toString('base64url'),
  ]
  for (const text of texts) {
    assert.throws(() => readRecallHandle(text), { code: 'BAD_OPTION', message: 'recall handle is invalid' }, text)
  }
})
