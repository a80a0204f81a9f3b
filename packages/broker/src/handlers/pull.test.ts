import assert from 'node:assert/strict'
import { test } from 'node:test'
import { responseCodes } from '@gantrymq/protocol'
import { fakePeer } from '@gantrymq/remoting/testing'
import type { Found, ReadQuery, ReadStatus } from '@gantrymq/store'
import type { BrokerContext } from '../context.ts'
import { heldPullOf } from '../pulling/held-pull.ts'
import type { PullAnswer, PullHeader } from '../pulling/pull-reply.ts'
import { pullHandlers, tryHeldPull } from './pull.ts'

type Read = (query: ReadQuery, found: Found) => ReadStatus | 'LOADING'

/** A broker of which a held pull only reads: its store answers reads as given. */
function contextOf(read: Read, brokerPermission = 6): BrokerContext {
  const options = { brokerPermission, slaveReadEnable: false, useServerSideResetOffset: false }
  const context = {
    settings: { options },
    host: () => '10.0.1.1',
    groups: { find: () => ({ consumeEnable: true, brokerId: 0 }), isForbidden: () => false },
    topics: { get: () => ({ topicName: 'Orders', perm: 6, readQueueNums: 4, topicSysFlag: 0 }) },
    clients: { consumerGroup: () => undefined },
    counts: { delivered() {}, foundNone() {} },
    coldReads: {
      mayWait: () => true,
      answer: async <T>(_peerId: number, loading: Promise<void>, again: () => T): Promise<T> => {
        await loading
        return again()
      },
    },
    store: { queueFor: () => ({ minOffset: 0, maxOffset: 2000 }), read },
  }
  return context as unknown as BrokerContext
}

const header = { topic: 'Orders', consumerGroup: 'billing', queueId: 0, queueOffset: 0, sysFlag: 4, subscription: 'paid', subVersion: 0 } as PullHeader // biome-ignore format: one thought
const peer = fakePeer({ id: 1 })

test('the answer to a pull that is forbidden says what forbids it', () => {
  const call = { header, peer } as Parameters<typeof pullHandlers.PULL_MESSAGE>[0]
  const answer = pullHandlers.PULL_MESSAGE(
    call,
    contextOf(() => 'FOUND', 2),
  ) as PullAnswer
  assert.equal(answer.code, responseCodes.NO_PERMISSION)
  assert.equal(answer.header?.forbiddenType, 1)
})

test('a held pull that had to read from the disk goes on to the messages behind those that it passed over', async () => {
  const reads: number[] = []
  const read: Read = ({ offset }, found) => {
    reads.push(offset)
    if (reads.length === 1) {
      found.loading = Promise.resolve()
      return 'LOADING'
    }
    found.maxOffset = 2000
    found.nextOffset = offset + 800
    return (found.status = offset < 1600 ? 'NO_MATCHED_MESSAGE' : 'FOUND')
  }
  const pull = heldPullOf(header, peer)
  const answer = await tryHeldPull(pull, 'arrival', contextOf(read))
  assert.equal(answer?.code, responseCodes.SUCCESS)
  assert.deepEqual(reads, [0, 0, 800, 1600])
})
