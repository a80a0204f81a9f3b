import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InflationLimit } from './inflation-limit.ts'

test('no more tasks run at a time than allowed, in the order of the calls, and a failure makes room', async () => {
  const limit = new InflationLimit(2)
  const begun: number[] = []
  const ends: PromiseWithResolvers<void>[] = []
  const runs = [0, 1, 2, 3].map(task =>
    limit.run(() => {
      begun.push(task)
      const end = Promise.withResolvers<void>()
      ends.push(end)
      return end.promise
    }),
  )
  const outcomes = Promise.allSettled(runs)
  await Promise.resolve()
  assert.deepEqual(begun, [0, 1])
  ends[1]?.reject(new Error('not a zlib stream'))
  await assert.rejects(runs[1] as Promise<void>, /not a zlib stream/)
  assert.deepEqual(begun, [0, 1, 2])
  ends[0]?.resolve()
  await runs[0]
  assert.deepEqual(begun, [0, 1, 2, 3])
  for (const end of ends) end.resolve()
  const statuses = (await outcomes).map(({ status }) => status)
  assert.deepEqual(statuses, ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
  await limit.run(() => Promise.resolve())
})
