import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { MessageQueue } from '../message/message.ts'
import { FaultLatency } from './fault-latency.ts'
import { QueuePicker, queueByHash, queueByRandom } from './queue-picker.ts'

function queuesOn(...brokers: string[]): MessageQueue[] {
  return brokers.flatMap(brokerName => [0, 1].map(queueId => ({ topic: 'T', brokerName, queueId })))
}

const now = 0

function names(picker: QueuePicker, queues: MessageQueue[], count: number, rest: object = {}): string[] {
  return Array.from({ length: count }, () => {
    const queue = picker.next(queues, { now, ...rest })
    return queue ? `${queue.brokerName}${queue.queueId}` : 'none'
  })
}

test('queues take turns from a random start', () => {
  const queues = queuesOn('a', 'b')
  assert.deepEqual(names(new QueuePicker(() => 0), queues, 5), ['a1', 'b0', 'b1', 'a0', 'a1'])
  assert.deepEqual(names(new QueuePicker(() => 2 / 2 ** 31), queues, 2), ['b1', 'a0'])
})

test('each array of queues has its own turns', () => {
  const picker = new QueuePicker(() => 0)
  const [one, other] = [queuesOn('a'), queuesOn('b')]
  assert.deepEqual([...names(picker, one, 1), ...names(picker, other, 1), ...names(picker, one, 1)], ['a1', 'b1', 'a0'])
})

test('a retry avoids the broker that failed if there is another', () => {
  const picker = new QueuePicker(Math.random)
  assert.ok(names(picker, queuesOn('a', 'b', 'c'), 20, { lastBroker: 'b' }).every(name => !name.startsWith('b')))
  assert.deepEqual(names(new QueuePicker(() => 0), queuesOn('b'), 3, { lastBroker: 'b' }), ['b1', 'b0', 'b1'])
})

test('without queues nothing is picked', () => {
  const picker = new QueuePicker(() => 0.5)
  assert.equal(picker.next([], { now }), undefined)
  assert.equal(picker.next([], { now, faults: new FaultLatency(), lastBroker: 'a' }), undefined)
  assert.equal(queueByHash([], 'key'), undefined)
  assert.equal(queueByRandom([], Math.random), undefined)
})

test('with fault latency unavailable brokers are skipped, unless all are unavailable', () => {
  const faults = new FaultLatency()
  faults.note('a', { latencyMs: 1, isolate: true }, now)
  const picker = new QueuePicker(Math.random)
  const queues = queuesOn('a', 'b')
  assert.ok(names(picker, queues, 10, { faults }).every(name => name.startsWith('b')))
  // b has just failed and is unreachable, a is unavailable but reachable.
  faults.note('b', { latencyMs: 1, isolate: true, reachable: false }, now)
  assert.ok(names(picker, queues, 10, { faults, lastBroker: 'b' }).every(name => name.startsWith('a')))
  assert.ok(names(picker, queues, 10, { faults }).every(name => name.startsWith('a')))
})

test('a retry with fault latency avoids the broker that failed, even for an unreachable one', () => {
  const picker = new QueuePicker(Math.random)
  const queues = queuesOn('a', 'b')
  const faults = new FaultLatency()
  assert.ok(names(picker, queues, 10, { faults, lastBroker: 'a' }).every(name => name.startsWith('b')))
  // Both are unavailable; b is slower, so that only its being reachable decides.
  faults.note('a', { latencyMs: 1, isolate: true, reachable: false }, now)
  faults.note('b', { latencyMs: 900, isolate: true }, now)
  assert.ok(names(picker, queues, 10, { faults }).every(name => name.startsWith('b')))
  assert.ok(names(picker, queues, 10, { faults, lastBroker: 'a' }).every(name => name.startsWith('b')))
})

test('when no broker is available, the better one is picked', () => {
  const faults = new FaultLatency()
  faults.note('a', { latencyMs: 3000, isolate: true, reachable: false }, now)
  faults.note('b', { latencyMs: 20, isolate: true, reachable: false }, now)
  const picker = new QueuePicker(Math.random)
  assert.ok(names(picker, queuesOn('a', 'b'), 10, { faults }).every(name => name.startsWith('b')))
})

test('even when all brokers are down, a retry goes to another one than the last', () => {
  const faults = new FaultLatency()
  for (const broker of ['a', 'b']) faults.note(broker, { latencyMs: 20, isolate: true, reachable: false }, now)
  const picker = new QueuePicker(Math.random)
  const queues = queuesOn('a', 'b')
  assert.ok(names(picker, queues, 10, { faults, lastBroker: 'b' }).every(name => name.startsWith('a')))
  assert.ok(names(picker, queues, 10, { faults, lastBroker: 'a' }).every(name => name.startsWith('b')))
})

test('a key gets the same queue as in Java', () => {
  const queues = queuesOn('a', 'b')
  assert.equal(queueByHash(queues, 'order-1001'), queues[3])
  assert.equal(queueByHash(queues, -3), queues[3])
})

test('queueByHash and queueByRandom stay in range', () => {
  const queues = fc.array(fc.record({ topic: fc.constant('T'), brokerName: fc.string(), queueId: fc.nat(9) }), {
    minLength: 1,
  })
  fc.assert(fc.property(queues, fc.string(), (queues, key) => new Set<unknown>(queues).has(queueByHash(queues, key))))
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(fc.property(queues, chance, (queues, p) => queueByRandom(queues, () => p) !== undefined))
})

test('in a full round every queue is picked once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(2 ** 31 - 1), (count, start) => {
      const queues = Array.from({ length: count }, (_, queueId) => ({ topic: 'T', brokerName: 'a', queueId }))
      const picker = new QueuePicker(() => start / 2 ** 31)
      const picked = new Set(queues.map(() => picker.next(queues, { now })))
      assert.equal(picked.size, count)
    }),
  )
})
