import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { type TestContext, test } from 'node:test'
import { ManualClock } from './testing/manual-clock.ts'
import { giveUpAfter, isPromise, pause, upTo, within } from './waits.ts'

/** A clock and a signal; the test fails if a timer or a listener is left at its end. */
function open(t: TestContext) {
  const clock = new ManualClock()
  const stop = new AbortController()
  const left = () => ({ timers: clock.timers, listeners: getEventListeners(stop.signal, 'abort').length })
  t.after(() => assert.deepEqual(left(), { timers: 0, listeners: 0 }))
  return { clock, stop, left, limit: { timeoutMs: 500, signal: stop.signal } }
}

test('work that is done in time returns its result, and leaves neither a timer nor a listener', async t => {
  const { clock, limit, left } = open(t)
  const work = Promise.withResolvers<string>()
  const waiting = within(clock, work.promise, limit, 'the work')
  assert.deepEqual(left(), { timers: 1, listeners: 1 })
  work.resolve('done')
  assert.equal(await waiting, 'done')
})

test('work that fails ends the wait with its own error, unchanged', async t => {
  const { clock, limit } = open(t)
  const failure = new TypeError('no such thing')
  const toError = () => new Error('not of the work')
  await assert.rejects(within(clock, Promise.reject(failure), limit, 'the work', toError), error => error === failure)
})

test('work that takes too long ends with TIMEOUT exactly at the limit, and may fail later', async t => {
  const { clock, limit, left } = open(t)
  const work = Promise.withResolvers<void>()
  const waiting = within(clock, work.promise, limit, 'the work')
  clock.advance(499)
  assert.equal(left().timers, 1)
  clock.advance(1)
  assert.deepEqual(left(), { timers: 0, listeners: 0 })
  const expected = {
    name: 'RemotingError',
    code: 'TIMEOUT',
    message: 'the work took longer than 500 ms',
    retriable: true,
  }
  await assert.rejects(waiting, expected)
  work.reject(new Error('later'))
})

test('an abort ends the wait at once with ABORTED, caused by the reason of the signal', async t => {
  const { clock, stop, limit, left } = open(t)
  const reason = new Error('enough')
  const waiting = within(clock, new Promise(() => {}), limit, 'the work')
  stop.abort(reason)
  assert.deepEqual(left(), { timers: 0, listeners: 0 })
  await assert.rejects(waiting, { code: 'ABORTED', message: 'the work was aborted', cause: reason })
  const failing = Promise.reject(new Error('ignored'))
  await assert.rejects(within(clock, failing, limit, 'the work'), { code: 'ABORTED' })
})

test('a caller can turn TIMEOUT and ABORTED into its own error', async t => {
  const { clock, stop, limit } = open(t)
  const toError = ({ code }: { code: string }) => new Error(`mine: ${code}`)
  const late = within(clock, new Promise(() => {}), { timeoutMs: 100 }, 'the work', toError)
  const cut = within(clock, new Promise(() => {}), limit, 'the work', toError)
  clock.advance(100)
  stop.abort()
  await assert.rejects(late, { message: 'mine: TIMEOUT' })
  await assert.rejects(cut, { message: 'mine: ABORTED' })
})

test('without a timeout only the signal ends a wait', async t => {
  const { clock, stop, left } = open(t)
  const waiting = within(clock, new Promise(() => {}), { signal: stop.signal }, 'the work')
  assert.deepEqual(left(), { timers: 0, listeners: 1 })
  clock.advance(1_000_000)
  stop.abort()
  await assert.rejects(waiting, { code: 'ABORTED' })
})

test('upTo ends with the work, the timeout or the signal, and rejects only if the work fails', async t => {
  const { clock, stop, limit } = open(t)
  await upTo(clock, Promise.resolve(), limit)
  await assert.rejects(upTo(clock, Promise.reject(new Error('broken')), limit), { message: 'broken' })
  const work = Promise.withResolvers<void>()
  const late = upTo(clock, work.promise, limit)
  clock.advance(500)
  await late
  const cut = upTo(clock, work.promise, limit)
  stop.abort()
  await cut
  work.reject(new Error('later'))
})

test('a pause ends after its time or when the signal is aborted, and at once if it was aborted before', async t => {
  const { clock, stop, left } = open(t)
  const whole = pause(clock, 300, stop.signal)
  clock.advance(300)
  assert.deepEqual(left(), { timers: 0, listeners: 0 })
  await whole
  const cut = pause(clock, 300, stop.signal)
  stop.abort()
  await cut
  await pause(clock, 300, stop.signal)
})

test('giveUp is called once, in the same turn, and not after the wait is disposed of', t => {
  const { clock, stop, limit } = open(t)
  const ends: (AbortSignal | undefined)[] = []
  const begin = () => giveUpAfter(clock, limit, aborted => ends.push(aborted))
  begin()[Symbol.dispose]()
  clock.advance(500)
  assert.deepEqual(ends, [])
  begin()
  clock.advance(500)
  assert.deepEqual(ends, [undefined])
  begin()
  stop.abort()
  assert.deepEqual(ends, [undefined, stop.signal])
  begin()
  clock.advance(500)
  assert.deepEqual(ends, [undefined, stop.signal, stop.signal])
})

test('only a value with a method then is a promise', () => {
  assert.equal(isPromise(Promise.resolve()), true)
  for (const value of [undefined, null, 0, 'then', {}]) assert.equal(isPromise<unknown>(value), false)
})
