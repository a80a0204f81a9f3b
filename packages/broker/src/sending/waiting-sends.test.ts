import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResponseError } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { APPENDED, type AppendStatus, BUSY } from '@gantrymq/store'
import type { Written } from './message-writer.ts'
import { SEND_RETRY_MS, type SendWaitLimits, WaitingSends } from './waiting-sends.ts'

function written(status: AppendStatus): Written {
  return { status, topic: 'Orders', positions: [], queueOffset: 0, bytes: 0, safe: Promise.resolve() }
}

/** A store that is busy at first; what is sent to it is recorded by name. */
function stage(limits: SendWaitLimits = { sends: 10, ms: 200 }) {
  const clock = new ManualClock()
  const sends = new WaitingSends({ limits: () => limits, clock })
  const store = { isBusy: true, stored: [] as string[] }
  const answers: string[] = []
  const send = (name: string, bytes = 10): void => {
    const write = (): Written => {
      if (store.isBusy) return written(BUSY)
      if (name === 'bad') throw new RangeError('bad')
      store.stored.push(name)
      return written(APPENDED)
    }
    const result = (async () => await sends.write(bytes, write))()
    result.then(
      () => answers.push(`${name} stored`),
      (error: unknown) => answers.push(`${name} ${error instanceof ResponseError ? error.remark : String(error)}`),
    )
  }
  return { clock, sends, store, answers, send }
}

const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

test('a send does not wait for a store that has room', () => {
  const { sends, clock } = stage()
  const result = sends.write(10, () => written(APPENDED))
  assert.equal(result instanceof Promise, false)
  assert.equal(clock.timers, 0)
})

test('sends wait in their order while the store is busy', async () => {
  const { clock, sends, store, answers, send } = stage()
  send('first')
  store.isBusy = false
  send('second')
  assert.deepEqual(store.stored, [])
  clock.advance(SEND_RETRY_MS)
  await turn()
  assert.deepEqual(store.stored, ['first', 'second'])
  assert.deepEqual(answers, ['first stored', 'second stored'])
  assert.equal(sends.size, 0)
  assert.equal(clock.timers, 0)
})

test('a send that has waited for too long is refused', async () => {
  const { clock, sends, answers, send } = stage()
  send('old')
  clock.advance(100)
  send('young')
  clock.advance(100)
  await turn()
  assert.deepEqual(answers, [
    'old [TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 200ms, size of queue: 1',
  ])
  assert.equal(sends.size, 1)
})

test('a send waits without limit if fast failure is off', () => {
  const { clock, sends, send } = stage({ sends: 10, ms: undefined })
  send('patient')
  clock.advance(60_000)
  assert.equal(sends.size, 1)
})

test('more sends than may wait are refused at once, and those with too much to keep', async () => {
  const { sends, answers, send } = stage({ sends: 2, ms: 200 })
  send('first')
  send('large', 64 << 20)
  send('second')
  send('third')
  await turn()
  const remark = '[OVERLOAD]system busy, start flow control for a while'
  assert.deepEqual(answers, [`large ${remark}`, `third ${remark}`])
  sends.close()
  await turn()
  assert.deepEqual(answers.slice(2), [`first ${remark}`, `second ${remark}`])
  assert.equal(sends.size, 0)
})

test('a send that fails when it is tried again does not hold up the others', async () => {
  const { clock, store, answers, send } = stage()
  send('bad')
  send('good')
  store.isBusy = false
  clock.advance(SEND_RETRY_MS)
  await turn()
  assert.deepEqual(answers, ['bad RangeError: bad', 'good stored'])
})
