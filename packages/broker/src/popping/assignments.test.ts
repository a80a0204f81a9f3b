import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AssignmentQuestion, assignedQueues } from './assignments.ts'

const queuesOf = (brokerName: string, count: number) =>
  Array.from({ length: count }, (_, queueId) => ({ topic: 'Orders', brokerName, queueId }))

const question: AssignmentQuestion = {
  group: 'billing',
  clientId: 'b',
  strategyName: 'AVG',
  queues: queuesOf('broker-a', 4),
  clientIds: ['c', 'a', 'b'],
  mode: { mode: 'PULL', popShareQueueNum: 0 },
}

function ids(given: Partial<AssignmentQuestion> = {}): string | undefined {
  return assignedQueues({ ...question, ...given })?.map(({ brokerName, queueId }) => `${brokerName} ${queueId}`).join() // biome-ignore format: one thought
}

test('a group that pulls shares the queues by its strategy', () => {
  assert.equal(ids({ clientId: 'a' }), 'broker-a 0,broker-a 1')
  assert.equal(ids(), 'broker-a 2')
  assert.equal(ids({ strategyName: 'AVG_BY_CIRCLE', clientId: 'a' }), 'broker-a 0,broker-a 3')
})

test('in a group that pops every member gets all queues of each broker as one', () => {
  const queues = [...queuesOf('broker-a', 4), ...queuesOf('broker-b', 2)]
  for (const popShareQueueNum of [-1, 0, 2, 5]) {
    assert.equal(ids({ queues, mode: { mode: 'POP', popShareQueueNum } }), 'broker-a -1,broker-b -1')
  }
})

test('members may also pop the queues of some members behind them', () => {
  const mode = { mode: 'POP', popShareQueueNum: 1 } as const
  assert.equal(ids({ mode }), 'broker-a 2,broker-a 3')
  assert.equal(ids({ mode, clientId: 'c' }), 'broker-a 3,broker-a 0,broker-a 1')
  assert.equal(ids({ mode, queues: queuesOf('broker-a', 2) }), 'broker-a 1', 'more members than queues')
})

test('what cannot be assigned is unknown, so that the consumer keeps its queues', () => {
  assert.equal(ids({ strategyName: 'OWN' }), undefined)
  assert.equal(ids({ queues: [] }), undefined)
  assert.equal(ids({ clientIds: [] }), undefined)
  assert.equal(ids({ clientId: 'unknown' }), '', 'a client that has left gets nothing')
})
