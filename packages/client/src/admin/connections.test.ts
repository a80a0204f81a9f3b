import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientNotices, connectionRequests, groupRequests, topicRequests } from '@gantrymq/protocol'
import { ResponseError } from '@gantrymq/remoting'
import { startAdmin, brokerData, nameServerOf, serving } from '../../test/admin-servers.ts'
import type { FoundMessage } from './found-message.ts'

const A = 'a:10911'
const B = 'b:10911'
const both = nameServerOf([brokerData('broker-a', A, 'a-slave:10911'), brokerData('broker-b', B)])
const { QUERY_TOPIC_CONSUME_BY_WHO } = topicRequests

const MESSAGE: FoundMessage = {
  messageId: 'id',
  offsetMessageId: 'offset-id',
  topic: 'T',
  queueId: 0,
  queueOffset: 0,
  body: Buffer.alloc(0),
  tags: undefined,
  keys: [],
  properties: new Map(),
  flag: 0,
  sysFlag: 0,
  reconsumeTimes: 0,
  bornTimestamp: 0,
  bornHost: 'x:1',
  storeTimestamp: 0,
  storeHost: B,
  physicalOffset: 0,
  preparedTransactionOffset: 0,
}

test('a consumer is asked through a broker that knows it, and tracks say what each group did with a message', async t => {
  const { GET_CONSUMER_CONNECTION_LIST } = connectionRequests
  const { GET_CONSUMER_RUNNING_INFO } = clientNotices
  const { GET_CONSUME_STATS } = groupRequests
  const info = { properties: new Map([['k', 'v']]), subscriptionSet: [], mqTable: [], statusTable: new Map() }
  const broker = (name: string, connected: readonly string[]) =>
    serving(
      {
        GET_CONSUMER_CONNECTION_LIST,
        GET_CONSUMER_RUNNING_INFO,
        GET_CONSUME_STATS,
        QUERY_TOPIC_CONSUME_BY_WHO,
      },
      {
        QUERY_TOPIC_CONSUME_BY_WHO: () => ({ body: ['done', 'filtered', 'behind', 'gone', 'missing'] }),
        GET_CONSUMER_CONNECTION_LIST({ header: { consumerGroup } }) {
          if (consumerGroup === 'gone' || connected.length === 0) throw new ResponseError(206, 'not online')
          const tag = consumerGroup === 'filtered' ? 'other' : 'a'
          const subscription = { topic: 'T', subString: tag, expressionType: 'TAG', codeSet: [], subVersion: 1 }
          return {
            body: {
              connections: connected.map(id => ({ clientId: id, clientAddr: 'x:1', language: 'JAVA', version: 1 })),
              subscriptions: new Map([['T', { ...subscription, tagsSet: [tag] }]]),
              consumeType: 'CONSUME_PASSIVELY' as const,
              messageModel: 'CLUSTERING' as const,
              consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET' as const,
            },
          }
        },
        GET_CONSUMER_RUNNING_INFO({ header: { clientId } }) {
          if (!connected.includes(clientId)) throw new ResponseError(1, `The Consumer <g> <${clientId}> not online`)
          return { body: info }
        },
        GET_CONSUME_STATS({ header: { consumerGroup } }) {
          const consumerOffset = consumerGroup === 'behind' ? 7 : 8
          const queue = { topic: 'T', brokerName: name, queueId: 0 }
          return {
            body: { queues: [{ queue, brokerOffset: 9, consumerOffset, lastTimestamp: 0 }], consumeTps: 0 },
          }
        },
      },
    )
  const { admin } = await startAdmin(t, {
    'ns-1:9876': both,
    [A]: broker('broker-a', []),
    [B]: broker('broker-b', ['c1', 'c2']),
  })
  const { connections } = await admin.consumers.connections('done')
  assert.deepEqual(
    connections.map(({ clientId }) => clientId),
    ['c1', 'c2'],
  )
  await assert.rejects(admin.consumers.connections('gone'), { code: 'NOT_FOUND', responseCode: 206 })
  assert.equal((await admin.consumers.runningInfo('done', 'c2')).properties.get('k'), 'v')
  await assert.rejects(admin.consumers.runningInfo('done', 'c3'), { code: 'BROKER_REFUSED', message: /c3> not online/ })
  const tracks = await admin.tracks.of({ ...MESSAGE, topic: 'T', storeHost: B, queueOffset: 7, tags: 'a' })
  assert.deepEqual(
    tracks.map(({ group, type }) => [group, type]),
    [
      ['behind', 'NOT_CONSUME_YET'],
      ['done', 'CONSUMED'],
      ['filtered', 'CONSUMED_BUT_FILTERED'],
      ['gone', 'NOT_ONLINE'],
      ['missing', 'UNKNOWN'],
    ],
  )
})
