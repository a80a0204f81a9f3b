import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientError } from '../../errors.ts'
import { averagely, averagelyByCircle, byMachineRoom, consistentHash, machineRoomNearby } from './strategies.ts'

const queues = [{ topic: 'T', brokerName: 'r1@a', queueId: 0 }]
const input = { group: 'g', clientId: 'r1@x', queues, clientIds: ['r1@x'] }
const rooms = { ofQueue: () => 'r1', ofClient: () => 'r1' }

function isBadOption(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'BAD_OPTION'
}

test('a strategy that rejects its input throws a ClientError with the reason', () => {
  const all = [
    averagely,
    averagelyByCircle,
    byMachineRoom(['r1']),
    consistentHash(),
    machineRoomNearby(averagely, rooms),
  ]
  for (const strategy of all) {
    assert.deepEqual(strategy.assign(input), queues)
    assert.throws(() => strategy.assign({ ...input, clientIds: [] }), isBadOption)
  }
  assert.throws(() => averagely.assign({ ...input, queues: [] }), { message: 'queues of an assignment are empty' })
  assert.throws(() => consistentHash(-1), isBadOption)
  assert.throws(() => machineRoomNearby(averagely, { ...rooms, ofClient: () => '' }).assign(input), isBadOption)
})

test('an error thrown by a user-defined strategy is passed on unchanged', () => {
  const failure = new TypeError('mine')
  const own = {
    name: 'OWN',
    assign: () => {
      throw failure
    },
  }
  assert.throws(
    () => machineRoomNearby(own, rooms).assign(input),
    error => error === failure,
  )
})
