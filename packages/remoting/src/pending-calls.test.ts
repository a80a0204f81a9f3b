import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from './testing/manual-clock.ts'
import fc from 'fast-check'
import type { Command } from './command.ts'
import { PendingCalls } from './pending-calls.ts'

const reply = (opaque: number): Command => ({
  code: 0,
  language: 'JAVA',
  version: 0,
  opaque,
  flag: 1,
  remark: null,
  extFields: null,
  body: null,
  serializeType: 'JSON',
})

function calling(limit = 100_000, last = 0) {
  const clock = new ManualClock()
  const calls = new PendingCalls(clock, limit, last)
  const sent: number[] = []
  /** What each call ended with: its own opaque, or the code of an error. */
  const ends: (number | string)[] = []
  const open = (timeoutMs = 1_000_000): number => {
    const at = sent.length
    const ended = calls.open('server:1', timeoutMs, undefined, opaque => void (sent[at] = opaque))
    ended.then(
      ({ opaque }) => void (ends[at] = opaque),
      (error: { code: string }) => void (ends[at] = error.code),
    )
    return at
  }
  return { clock, calls, sent, ends, open }
}

test('every call ends with its own reply, however many calls wait and in whatever order the replies arrive', async () => {
  const step = fc.oneof(fc.constant('open' as const), fc.nat({ max: 1000 }))
  // The largest int32 is followed by the smallest, as in Java.
  const last = fc.constantFrom(0, 2 ** 31 - 100, -100)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 600, size: 'max' }), last, async (steps, last) => {
      const { calls, sent, ends, open } = calling(1000, last)
      const waiting: number[] = []
      const settled: number[] = []
      for (const each of steps) {
        if (each === 'open') waiting.push(open())
        else if (waiting.length > 0) {
          const [at = 0] = waiting.splice(each % waiting.length, 1)
          settled.push(at)
          assert.equal(calls.settle(reply(sent[at] ?? 0)), true)
          // The same reply arrives twice.
          assert.equal(calls.settle(reply(sent[at] ?? 0)), false)
        }
        assert.equal(calls.size, waiting.length)
      }
      await Promise.resolve()
      assert.equal(new Set(sent).size, sent.length)
      for (const opaque of sent) assert.equal(opaque, opaque | 0)
      for (const at of settled) assert.equal(ends[at], sent[at])
      for (const at of waiting) assert.equal(ends[at], undefined)
      calls.fail(() => new Error('the end'))
    }),
  )
})

test('a call that waits long keeps its slot while thousands of others come and go', async () => {
  const { calls, sent, ends, open } = calling()
  const long = [open(), open(), open()]
  for (let i = 0; i < 5000; i++) assert.equal(calls.settle(reply(sent[open()] ?? 0)), true)
  assert.equal(calls.size, long.length)
  for (const at of long) assert.equal(calls.settle(reply(sent[at] ?? 0)), true)
  await Promise.resolve()
  assert.deepEqual(ends, sent)
})

test('only the waiting calls whose deadline has passed end', async () => {
  const { clock, calls, ends, open } = calling()
  for (let i = 0; i < 300; i++) open(i % 2 === 0 ? 100 : 10_000)
  clock.advance(200)
  await Promise.resolve()
  assert.equal(calls.size, 150)
  assert.deepEqual(
    ends.filter(end => end !== undefined),
    Array.from({ length: 150 }, () => 'TIMEOUT'),
  )
  calls.fail(() => Object.assign(new Error('the end'), { code: 'CLOSED' }))
  await Promise.resolve()
  assert.equal(ends.filter(end => end === 'CLOSED').length, 150)
  assert.equal(calls.size, 0)
})

test('a call beyond the limit is refused at once, and accepted after another one has ended', async () => {
  const { calls, sent, ends, open } = calling(200)
  for (let i = 0; i < 201; i++) open()
  await Promise.resolve()
  assert.equal(ends[200], 'TOO_MANY_IN_FLIGHT')
  calls.settle(reply(sent[7] ?? 0))
  open()
  await Promise.resolve()
  assert.equal(calls.size, 200)
  assert.equal(ends[201], undefined)
})
