import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type MessageQueue, queueKey } from '../../message/message.ts'
import { type CurrentQueue, isBalanced, planRebalance } from './plan.ts'

function queue(queueId: number): MessageQueue {
  return { topic: 'T', brokerName: 'a', queueId }
}

function byNumber(a: number, b: number): number {
  return a - b
}

function held(...queueIds: number[]): CurrentQueue[] {
  return queueIds.map(queueId => ({ queue: queue(queueId), isStale: false }))
}

test('queues that are no longer assigned are dropped, and new ones are added', () => {
  const plan = planRebalance(held(1, 2), [queue(2), queue(3)])
  assert.deepEqual(plan, { drop: [{ queue: queue(1), reason: 'not assigned' }], add: [queue(3)] })
  assert.equal(isBalanced(plan), false)
})

test('a stale queue is dropped and added again', () => {
  const plan = planRebalance([{ queue: queue(1), isStale: true }, ...held(2)], [queue(1), queue(2)])
  assert.deepEqual(plan, { drop: [{ queue: queue(1), reason: 'stale' }], add: [queue(1)] })
})

test('a plan changes nothing if the assigned queues are held already', () => {
  assert.equal(isBalanced(planRebalance(held(1, 2), [queue(2), queue(1)])), true)
  assert.equal(isBalanced(planRebalance([], [])), true)
})

test('after a plan exactly the assigned queues are held, and the next plan changes nothing', () => {
  const ids = fc.uniqueArray(fc.nat(20))
  fc.assert(
    fc.property(ids, ids, fc.func(fc.boolean()), (heldIds, assignedIds, expired) => {
      const before = heldIds.map(id => ({ queue: queue(id), isStale: expired(id) }))
      const plan = planRebalance(before, assignedIds.map(queue))
      const dropped = new Set(plan.drop.map(({ queue }) => queueKey(queue)))
      const kept = before.filter(({ queue }) => !dropped.has(queueKey(queue))).map(({ queue }) => queue)
      const after = [...kept, ...plan.add]
      assert.deepEqual(after.map(queue => queue.queueId).sort(byNumber), assignedIds.toSorted(byNumber))
      const again = after.map(queue => ({ queue, isStale: false }))
      assert.equal(isBalanced(planRebalance(again, assignedIds.map(queue))), true)
    }),
  )
})
