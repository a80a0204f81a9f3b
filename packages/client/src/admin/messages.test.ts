import assert from 'node:assert/strict'
import { test } from 'node:test'
import { consumeRequests, encodeMessage, offsetMessageId, queryRequests } from '@gantrymq/protocol'
import { ResponseError } from '@gantrymq/remoting'
import { startAdmin, brokerData, nameServerOf, serving } from '../../test/admin-servers.ts'

const A = 'a:10911'

test('a message that is not found by one kind of id is looked up by the other', async t => {
  const { QUERY_MESSAGE, VIEW_MESSAGE_BY_ID } = queryRequests
  const asked: string[] = []
  const broker = serving(
    { QUERY_MESSAGE, VIEW_MESSAGE_BY_ID },
    {
      QUERY_MESSAGE({ header }) {
        asked.push(`query ${header._UNIQUE_KEY_QUERY} ${header.endTimestamp}`)
        throw new ResponseError(22, 'can not find message')
      },
      VIEW_MESSAGE_BY_ID({ header }) {
        asked.push(`view ${header.offset}`)
        throw new ResponseError(1, 'can not find message by the offset')
      },
    },
  )
  const one = nameServerOf([brokerData('broker-a', '10.0.0.1:10911')])
  const { admin } = await startAdmin(t, { 'ns-1:9876': one, '10.0.0.1:10911': broker })
  const id = offsetMessageId({ ip: '10.0.0.1', port: 10911 }, 42)
  assert.equal(await admin.messages.byId('T', id), undefined)
  assert.deepEqual(asked, ['view 42', 'query true 9223372036854775807'])
  assert.deepEqual(await admin.messages.byKey('T', 'k'), [])
})

test('messages of a time range are pulled queue by queue, without those outside of it', async t => {
  const { GET_MIN_OFFSET, GET_MAX_OFFSET, SEARCH_OFFSET_BY_TIMESTAMP } = queryRequests
  const { PULL_MESSAGE } = consumeRequests
  const stored = (queueId: number, queueOffset: number) =>
    encodeMessage({
      topic: 'T',
      body: Buffer.from(`${queueId}/${queueOffset}`),
      properties: new Map(),
      queueId,
      flag: 0,
      sysFlag: 0,
      queueOffset,
      physicalOffset: queueOffset,
      bornTimestamp: 0,
      bornHost: { ip: '10.0.0.9', port: 1 },
      storeTimestamp: queueOffset * 10,
      storeHost: { ip: '10.0.0.1', port: 10911 },
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      bodyCrc: 0,
    })
  const broker = serving(
    { GET_MIN_OFFSET, GET_MAX_OFFSET, SEARCH_OFFSET_BY_TIMESTAMP, PULL_MESSAGE },
    {
      GET_MIN_OFFSET: () => ({ header: { offset: 1 } }),
      GET_MAX_OFFSET: () => ({ header: { offset: 9 } }),
      SEARCH_OFFSET_BY_TIMESTAMP: ({ header }) => ({ header: { offset: Math.round(Number(header.timestamp) / 10) } }),
      PULL_MESSAGE({ header: { queueId, queueOffset } }) {
        const header = { suggestWhichBrokerId: 0, minOffset: 1, maxOffset: 9 }
        // The filter drops half of the messages.
        if (queueOffset % 2 === 1) return { code: 20, header: { ...header, nextBeginOffset: queueOffset + 1 } }
        return { header: { ...header, nextBeginOffset: queueOffset + 1 }, body: stored(queueId, queueOffset) }
      },
    },
  )
  const { admin } = await startAdmin(t, { 'ns-1:9876': nameServerOf([brokerData('broker-a', A)]), [A]: broker })
  const bodies = async (query: object) => {
    const found: string[] = []
    for await (const message of admin.messages.between('T', query)) found.push(message.body.toString())
    return found
  }
  assert.deepEqual(await bodies({ from: new Date(34), to: new Date(80) }), ['0/4', '0/6', '0/8', '1/4', '1/6', '1/8'])
  assert.deepEqual(await bodies({ to: new Date(25), queue: { topic: 'T', brokerName: 'broker-a', queueId: 1 } }), [
    '1/2',
  ])
  assert.equal((await bodies({})).length, 8)
})
