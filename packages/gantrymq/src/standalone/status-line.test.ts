import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import { StatusLine, statusText } from './status-line.ts'

test('the line says how many messages came and went in the last second, and how many wait', () => {
  const before = { stored: 10, delivered: 5, backlog: 0 }
  assert.equal(
    statusText(before, { stored: 1_244, delivered: 5, backlog: 1_239 }),
    'in 1.2k/s   out 0/s   backlog 1.2k',
  )
  assert.equal(
    statusText(before, { stored: 52_010, delivered: 1_000_005, backlog: 999 }),
    'in 52k/s   out 1.0M/s   backlog 999',
  )
})

test('a terminal gets the line when it changes, and loses it at the end', () => {
  const clock = new ManualClock()
  const written: string[] = []
  let stored = 0
  const line = new StatusLine(
    { write: text => written.push(text) },
    () => ({ stored, delivered: 0, backlog: 0 }),
    clock,
  )
  assert.deepEqual(written, [], 'what a program prints first must stay readable')
  clock.advance(3000)
  assert.deepEqual(written, ['\r\u001b[2Kin 0/s   out 0/s   backlog 0'])
  stored = 7
  clock.advance(1000)
  assert.equal(written.at(-1), '\r\u001b[2Kin 7/s   out 0/s   backlog 0')
  line[Symbol.dispose]()
  assert.equal(written.at(-1), '\r\u001b[2K')
  assert.equal(clock.timers, 0)
})
