import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakePeer } from '@gantrymq/remoting/testing'
import type { BrokerContext } from '../context.ts'
import { queryHandlers } from './query.ts'

test('a query that finds nothing says how far the index reaches', async () => {
  const found = { records: [], lastUpdate: 1_700_000_000_000, lastPosition: 4096 }
  const context = {
    store: { queryKey: async () => found },
    settings: { options: { defaultQueryMaxNum: 32, maxMsgsNumBatch: 64 } },
    coldReads: { query: (_peerId: number, search: () => unknown) => search() },
  } as unknown as BrokerContext
  const header = { topic: 'Orders', key: 'k', maxNum: 32, beginTimestamp: 0, endTimestamp: 1 }
  const call = { header, peer: fakePeer({ id: 1 }) } as unknown as Parameters<typeof queryHandlers.QUERY_MESSAGE>[0]
  assert.deepEqual(await queryHandlers.QUERY_MESSAGE(call, context), {
    code: 22,
    remark: 'can not find message, maybe time range not correct',
    header: { indexLastUpdateTimestamp: 1_700_000_000_000, indexLastUpdatePhyoffset: 4096 },
  })
})
