import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Logger, silent } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { RefusalLog } from './refusal-log.ts'

function logging() {
  const lines: object[] = []
  const log: Logger = { ...silent, warn: (fields, text) => void lines.push({ ...fields, text }) }
  const clock = new ManualClock()
  return { lines, clock, refusals: new RefusalLog(log, clock) }
}

const refused = { request: 'REGISTER_BROKER', address: '10.0.0.1', reason: 'no_access_key' }

test('equal refusals are logged once a minute, and the next minute says how many were omitted', () => {
  const { lines, clock, refusals } = logging()
  for (let i = 0; i < 5; i++) refusals.note(refused)
  assert.deepEqual(lines, [{ ...refused, text: 'request refused by requireSignature' }])
  clock.advance(60_000)
  refusals.note(refused)
  assert.deepEqual(lines.slice(1), [
    { omitted: 4, text: 'more requests refused by requireSignature' },
    { ...refused, text: 'request refused by requireSignature' },
  ])
})

test('another address, request or reason gets its own line, up to a hundred a minute', () => {
  const { lines, refusals } = logging()
  refusals.note(refused)
  refusals.note({ ...refused, request: 'PUT_KV_CONFIG' })
  refusals.note({ ...refused, reason: 'wrong_signature', accessKey: 'a' })
  assert.equal(lines.length, 3)
  for (let i = 0; i < 1000; i++) refusals.note({ ...refused, address: `10.0.1.${i}` })
  assert.equal(lines.length, 100)
})
