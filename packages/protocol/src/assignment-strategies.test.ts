import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type AssignmentStrategy,
  averagely,
  averagelyByCircle,
  byMachineRoom,
  configured,
  consistentHash,
  machineRoomNearby,
  sortClientIds,
  sortQueues,
} from './assignment-strategies.ts'
import type { MessageQueue } from './bodies/message-queue.ts'

const group = 'g'

function queuesOf(brokerName: string, count: number): MessageQueue[] {
  return Array.from({ length: count }, (_, queueId) => ({ topic: 'TopicTest', brokerName, queueId }))
}

function ids(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `CID-${at}`)
}

/** The indexes of the queues that each member gets, as `0,1/2/`. */
function shares(strategy: AssignmentStrategy, queues: MessageQueue[], clientIds: string[]): string {
  return clientIds
    .map(clientId =>
      strategy
        .assign({ group, clientId, queues, clientIds })
        .map(queue => queues.indexOf(queue))
        .join(),
    )
    .join('/')
}

test('queues are assigned as the Java client assigns them', () => {
  const sizes = [
    [10, 3],
    [8, 3],
    [3, 5],
  ] as const
  const expected = [
    [averagely, '0,1,2,3/4,5,6/7,8,9', '0,1,2/3,4,5/6,7', '0/1/2//'],
    [averagelyByCircle, '0,3,6,9/1,4,7/2,5,8', '0,3,6/1,4,7/2,5', '0/1/2//'],
    [consistentHash(), '3,5,6,8,9/2,4,7/0,1', '3,5,6/2,4,7/0,1', '//1/0,2/'],
  ] as const
  for (const [strategy, ...rows] of expected) {
    for (const [at, [queues, members]] of sizes.entries()) {
      assert.equal(shares(strategy, queuesOf('broker-a', queues), ids(members)), rows[at], strategy.name)
    }
  }
})

// Computed by the classes of 4.9.7 and 5.5.0, which agree: topic number, queues, ids, virtual nodes, assigned queues.
const javaRings = `
0 17 3 10 0,2,3,4,5,7,9,12,13,15/8,10,16/1,6,11,14
1 5 5 11 1,3,4/0,2///
2 9 6 7 /4/6/0,1,5/7/2,3,8
4 9 2 8 2,3,5,8/0,1,4,6,7
6 8 4 11 7/0,3/2/1,4,5,6
8 19 3 4 4,6/5,8,10,16/0,1,2,3,7,9,11,12,13,14,15,17,18
11 12 4 9 0,5,6,7,9,11///1,2,3,4,8,10`

test('consistent hashing has the same ring as Java, over several brokers and alphabets', () => {
  const brokers = ['broker-a', 'broker-b', 'broker-c', 'Z']
  for (const row of javaRings.trim().split('\n')) {
    const [k = '', q, n, nodes, expected] = row.split(' ')
    const queues = Array.from({ length: Number(q) }, (_, at) => ({
      topic: `Tü${k}`,
      brokerName: brokers[at % 4] ?? '',
      queueId: Math.floor(at / 4),
    }))
    const clientIds = Array.from({ length: Number(n) }, (_, at) => `10.0.0.${(at * 37) % 11}@${at * 991}#${at}`)
    assert.equal(shares(consistentHash(Number(nodes)), sortQueues(queues), sortClientIds(clientIds)), expected, row)
  }
})

test('byMachineRoom assigns only queues of the named rooms', () => {
  const queues = [
    ...queuesOf('room1@broker-a', 7),
    ...queuesOf('room2@broker-b', 2),
    ...queuesOf('room1', 2),
    ...queuesOf('room1@a@b', 1),
  ]
  assert.equal(shares(byMachineRoom(['room1']), queues, ids(3)), '0,1,6/2,3/4,5')
})

test('a configured list is assigned as it is', () => {
  const queues = queuesOf('broker-a', 4)
  assert.equal(shares(configured(queues.slice(1, 3)), queues, ids(2)), '1,2/1,2')
})

const rooms = {
  ofQueue: (queue: MessageQueue) => queue.brokerName.split('@')[0] ?? '',
  ofClient: (id: string) => id.split('@')[0] ?? '',
}

test('members get the queues of their own room, and all members share the queues of rooms without members', () => {
  const queues = sortQueues([...queuesOf('r1@a', 4), ...queuesOf('r2@b', 2), ...queuesOf('r3@c', 3)])
  const nearby = machineRoomNearby(averagely, rooms)
  assert.equal(nearby.name, 'MACHINE_ROOM_NEARBY-AVG')
  assert.equal(shares(nearby, queues, ['r1@x', 'r1@y', 'r2@z']), '0,1,6/2,3,7/4,5,8')
})

test('an unknown room is an error that names the client or queue without a room', () => {
  const nearby = machineRoomNearby(averagely, { ...rooms, ofClient: () => '' })
  assert.throws(() => shares(nearby, queuesOf('r1@a', 1), ids(1)), { code: 'BAD_OPTION', message: /client CID-0/ })
})

test('a client that is not in the list gets no queues, and empty lists are refused', () => {
  const queues = queuesOf('a', 2)
  for (const strategy of [averagely, averagelyByCircle, consistentHash(), byMachineRoom(['a'])]) {
    assert.deepEqual(strategy.assign({ group, clientId: 'other', queues, clientIds: ids(2) }), [])
    assert.throws(() => strategy.assign({ group, clientId: '', queues, clientIds: ids(2) }), { code: 'BAD_OPTION' })
    assert.throws(() => strategy.assign({ group, clientId: 'x', queues: [], clientIds: ids(2) }), {
      code: 'BAD_OPTION',
    })
    assert.throws(() => strategy.assign({ group, clientId: 'x', queues, clientIds: [] }), { code: 'BAD_OPTION' })
  }
  assert.throws(() => consistentHash(-1), { code: 'BAD_OPTION', message: /virtualNodes/ })
})

test('every queue belongs to exactly one member', () => {
  const strategies = [averagely, averagelyByCircle, consistentHash(), machineRoomNearby(averagely, rooms)]
  const queues = fc.uniqueArray(fc.tuple(fc.constantFrom('r1@a', 'r2@b', 'r3@c'), fc.nat(20)), {
    selector: String,
    minLength: 1,
  })
  const clientIds = fc.uniqueArray(fc.stringMatching(/^r[12]@[a-z]{1,3}$/), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(fc.constantFrom(...strategies), queues, clientIds, (strategy, pairs, members) => {
      const all = sortQueues(pairs.map(([brokerName, queueId]) => ({ topic: 'T', brokerName, queueId })))
      const clientIds = sortClientIds(members)
      const given = clientIds.flatMap(clientId => strategy.assign({ group, clientId, queues: all, clientIds }))
      assert.deepEqual(sortQueues(given), all)
    }),
  )
})

test('consistent hashing moves only the queues of a member that leaves', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 2, max: 8 }),
      fc.nat(),
      (count, members, leaving) => {
        const queues = queuesOf('a', count)
        const before = ids(members)
        const after = before.toSpliced(leaving % members, 1)
        for (const clientId of after) {
          const kept = new Set(consistentHash().assign({ group, clientId, queues, clientIds: after }))
          assert.ok(
            consistentHash()
              .assign({ group, clientId, queues, clientIds: before })
              .every(q => kept.has(q)),
          )
        }
      },
    ),
  )
})

test('queues and ids sort as in Java', () => {
  const [a, b, c, d] = [
    { topic: 'B', brokerName: 'x', queueId: 10 },
    { topic: 'B', brokerName: 'x', queueId: 9 },
    { topic: 'B', brokerName: 'X', queueId: 11 },
    { topic: 'a', brokerName: 'A', queueId: 0 },
  ] as const
  assert.deepEqual(sortQueues([d, a, b, c]), [c, b, a, d])
  assert.deepEqual(sortClientIds(['b', '😀', '\uffff', 'B', 'a10', 'a9']), ['B', 'a10', 'a9', 'b', '😀', '\uffff'])
})
