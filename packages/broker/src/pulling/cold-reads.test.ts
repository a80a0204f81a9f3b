import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import { AnswerTurns } from './answer-turns.ts'
import { type ColdReadLimits, ColdReads } from './cold-reads.ts'

interface Answer {
  readonly bytes: number
}

const LIMITS: ColdReadLimits = { requests: 4, requestsPerConnection: 3, ms: 5000 }

function coldReads(limits: ColdReadLimits = LIMITS) {
  const clock = new ManualClock()
  const reads = new ColdReads({ limits: () => limits, turns: new AnswerTurns(setImmediate), clock })
  const pull = (peerId: number, loading: Promise<void>, read: () => Answer | Promise<void> = () => ({ bytes: 1 })) =>
    reads.answer(peerId, loading, read, ({ bytes }) => bytes)
  return { clock, reads, pull }
}

const never = new Promise<never>(() => {})

test('a pull is read again until nothing more must be loaded', async () => {
  const { reads, pull } = coldReads()
  const needs = [Promise.resolve(), Promise.resolve()]
  assert.deepEqual(await pull(1, Promise.resolve(), () => needs.pop() ?? { bytes: 7 }), { bytes: 7 })
  assert.equal(reads.size, 0)
  await assert.rejects(pull(1, Promise.reject(new Error('EIO'))), /EIO/)
  const failing = () => {
    throw new Error('deleted')
  }
  await assert.rejects(pull(1, Promise.resolve(), failing), /deleted/)
  assert.equal(reads.size, 0)
})

test('four queries read at the same time; one that waited too long is told to stop, and another takes its turn', async () => {
  const { clock, reads } = coldReads({ requests: 10, requestsPerConnection: 10, ms: 5000 })
  const begun: AbortSignal[] = []
  const work = (signal: AbortSignal): Promise<string> => {
    begun.push(signal)
    const { promise, reject } = Promise.withResolvers<string>()
    signal.addEventListener('abort', () => reject(new Error('stopped')))
    return promise
  }
  const early = Array.from({ length: 5 }, () => reads.query(1, work))
  for (const each of early) each.catch(() => {})
  clock.advance(3000)
  const late = reads.query(2, async () => 'found')
  await turn()
  assert.deepEqual([begun.length, reads.size], [4, 6])
  clock.advance(2000)
  for (const each of early) await assert.rejects(each, { responseCode: 2 })
  assert.equal(await late, 'found')
  assert.deepEqual([begun.length, reads.size], [4, 0], 'the fifth did not begin, because no one waited for it any more')
  assert.ok(begun.every(({ aborted }) => aborted))
})

test('queries and pulls that wait count together', async () => {
  const { reads, pull } = coldReads()
  for (let count = 0; count < 2; count++) pull(1, never).catch(() => {})
  reads.query(1, () => never).catch(() => {})
  await assert.rejects(
    reads.query(1, () => Promise.resolve()),
    { responseCode: 2 },
  )
  reads.close()
})

test('one connection may have only a part of the pulls that wait, and all together no more than the limit', async t => {
  const { reads, pull } = coldReads()
  t.after(() => reads.close())
  for (let count = 0; count < 3; count++) pull(1, never).catch(() => {})
  assert.equal(reads.mayWait(1), false)
  assert.equal(reads.mayWait(2), true)
  pull(2, never).catch(() => {})
  assert.equal(reads.mayWait(3), false)
  reads.drop(1)
  assert.equal(reads.size, 1)
})

test('a request that was refused counts until the disk has read for it, but not as one of its connection', async t => {
  const { clock, reads, pull } = coldReads({ requests: 3, requestsPerConnection: 2, ms: 5000 })
  t.after(() => reads.close())
  const { promise: disk, resolve: goOn } = Promise.withResolvers<void>()
  const refused = [pull(1, disk), pull(1, disk)].map(each => assert.rejects(each, { responseCode: 2 }))
  clock.advance(5000)
  await Promise.all(refused)
  assert.deepEqual([reads.size, reads.mayWait(1)], [0, true])
  const look = assert.rejects(
    reads.look(1, () => disk),
    { responseCode: 2 },
  )
  assert.equal(reads.mayWait(2), false, 'the disk reads for three')
  clock.advance(5000)
  await look
  assert.equal(reads.mayWait(2), false)
  goOn()
  await turn()
  assert.equal(reads.mayWait(2), true)
})

test('a query that is refused before its turn is forgotten, and one whose disk does not read keeps its turn', async () => {
  const { clock, reads } = coldReads({ requests: 6, requestsPerConnection: 6, ms: 5000 })
  const { promise: disk, resolve: goOn } = Promise.withResolvers<string>()
  const queries = Array.from({ length: 6 }, () =>
    assert.rejects(
      reads.query(1, () => disk),
      { responseCode: 2 },
    ),
  )
  clock.advance(5000)
  await Promise.all(queries)
  assert.equal(reads.mayWait(1), true, 'the disk reads for four')
  const next = reads.query(1, async () => 'next')
  goOn('late')
  assert.equal(await next, 'next')
})

test('work that looks for a few bytes begins at once, whatever waits', async () => {
  const { reads } = coldReads({ requests: 10, requestsPerConnection: 10, ms: 5000 })
  for (let count = 0; count < 9; count++) reads.query(1, () => never).catch(() => {})
  assert.equal(await reads.look(1, async () => 7), 7)
  await assert.rejects(
    reads.look(1, () => Promise.reject(new Error('EIO'))),
    /EIO/,
  )
  reads.close()
})

test('a pull that the disk does not serve in time is refused with SYSTEM_BUSY, in the words of Apache', async () => {
  const { clock, reads, pull } = coldReads()
  let answers = 0
  const loaded = Promise.withResolvers<void>()
  const first = pull(1, loaded.promise, () => ({ bytes: ++answers }))
  clock.advance(3000)
  const second = pull(2, never)
  second.catch(() => {})
  clock.advance(2000)
  await assert.rejects(first, {
    responseCode: 2,
    remark:
      '[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 5000ms, size of queue: 1',
  })
  assert.equal(reads.size, 1)
  loaded.resolve()
  await turn()
  assert.equal(answers, 0)
  reads.close()
  await assert.rejects(second, { responseCode: 2 })
})

test('pulls that waited for the same block are answered in several turns, so that their answers do not fill the memory', async () => {
  const { pull } = coldReads({ requests: 1000, requestsPerConnection: 1000, ms: undefined })
  const loaded = Promise.withResolvers<void>()
  const answered: Answer[] = []
  const all = Array.from({ length: 100 }, async () => {
    answered.push(await pull(1, loaded.promise, () => ({ bytes: 1 << 20 })))
  })
  loaded.resolve()
  let most = 0
  let before = 0
  while (answered.length < 100) {
    await turn()
    most = Math.max(most, answered.length - before)
    before = answered.length
  }
  await Promise.all(all)
  // Two turns of the broker may fall between two looks.
  assert.ok(most <= 8, `${most} MiB in a turn`)
})
