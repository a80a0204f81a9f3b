import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { silent } from '@gantrymq/remoting'
import { closeOnSignal } from './shutdown.ts'

/** A process that only records its exit. */
class FakeProcess extends EventEmitter {
  readonly ended = Promise.withResolvers<number>()

  exit(code: number): void {
    this.ended.resolve(code)
  }
}

function under(close: () => Promise<void>, deadlineMs = 10_000) {
  const process = new FakeProcess()
  closeOnSignal({ close, deadlineMs: () => deadlineMs, log: silent, process })
  return process
}

test('the first signal closes and then ends with 0', async () => {
  const closing = Promise.withResolvers<void>()
  let closed = 0
  const process = under(() => {
    closed++
    return closing.promise
  })
  process.emit('SIGTERM')
  assert.equal(closed, 1)
  closing.resolve()
  assert.equal(await process.ended.promise, 0)
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  // biome-ignore format: one line
  test(`a second signal, ${signal}, ends at once with ${code}`, async t => {
    const closing = Promise.withResolvers<void>()
    t.after(() => closing.resolve())
    const process = under(() => closing.promise)
    process.emit('SIGTERM')
    process.emit(signal)
    assert.equal(await process.ended.promise, code)
  })
}

test('a close that does not end is cut short at the deadline', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const process = under(() => new Promise(() => {}), 5000)
  process.emit('SIGTERM')
  t.mock.timers.tick(5000)
  assert.equal(await process.ended.promise, 255)
})

test('a close that fails ends with 255', async () => {
  const process = under(() => Promise.reject(new Error('no')))
  process.emit('SIGINT')
  assert.equal(await process.ended.promise, 255)
})
