import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectionRequests, topicRequests } from '@gantrymq/protocol'
import { startAdmin, brokerData, nameServerOf, serving } from '../../test/admin-servers.ts'
import { ClientError } from '../errors.ts'
import type { FoundMessage } from './found-message.ts'

const A = 'a:10911'
const { QUERY_TOPIC_CONSUME_BY_WHO } = topicRequests
const { GET_CONSUMER_CONNECTION_LIST } = connectionRequests

for (const end of ['ABORTED', 'CLOSED'] as const) {
  test(`a look at who consumed a message ends with ${end}, not with groups of which nothing is known`, async t => {
    const asked = Promise.withResolvers<void>()
    const broker = serving(
      { QUERY_TOPIC_CONSUME_BY_WHO, GET_CONSUMER_CONNECTION_LIST },
      {
        QUERY_TOPIC_CONSUME_BY_WHO: () => ({ body: ['one', 'two'] }),
        GET_CONSUMER_CONNECTION_LIST: () => {
          asked.resolve()
          return new Promise<never>(() => {})
        },
      },
    )
    const { admin } = await startAdmin(t, { 'ns-1:9876': nameServerOf([brokerData('broker-a', A)]), [A]: broker })
    const stop = new AbortController()
    const tracks = admin.tracks.of({ topic: 'T' } as FoundMessage, { signal: stop.signal })
    tracks.catch(() => {})
    await asked.promise
    if (end === 'ABORTED') stop.abort()
    else await admin.close()
    await assert.rejects(tracks, (error: unknown) => error instanceof ClientError && error.code === end)
  })
}
