import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bodyCrc, type CorruptMessage, encodeMessage } from '@gantrymq/protocol'
import { readPopReply } from './reply.ts'

function stored(queueId: number, queueOffset: number, topic = 'Orders', popCk?: string): Buffer {
  const body = Buffer.from(`${queueId}/${queueOffset}`)
  const host = { ip: '10.0.0.1', port: 10911 }
  const times = { bornTimestamp: 1, storeTimestamp: 2, bornHost: host, storeHost: host }
  const rest = { flag: 0, sysFlag: 0, physicalOffset: 0, reconsumeTimes: 3, preparedTransactionOffset: 0 }
  const properties = new Map(popCk === undefined ? [] : [['POP_CK', popCk]])
  return encodeMessage({ topic, body, properties, queueId, queueOffset, ...times, ...rest, bodyCrc: bodyCrc(body) })
}

function read(bodies: readonly Buffer[], startOffsetInfo: string, msgOffsetInfo: string, orderCountInfo?: string) {
  const header = { popTime: 100, invisibleTime: 60_000, reviveQid: 4, restNum: 0 }
  const tables = { startOffsetInfo, msgOffsetInfo, ...(orderCountInfo === undefined ? {} : { orderCountInfo }) }
  const corrupt: unknown[] = []
  const reply = { header: { ...header, ...tables }, body: Buffer.concat(bodies) }
  const found = readPopReply(reply, 'broker-a', each => corrupt.push(each))
  return { found, corrupt: corrupt as (CorruptMessage | { reason: string })[] }
}

test('receipts are built from the tables of the reply, queue by queue', () => {
  const { found } = read([stored(0, 7), stored(0, 9), stored(2, 3)], '0 0 7;0 2 3', '0 0 7,9;0 2 3')
  assert.deepEqual(
    found.map(({ receipt }) => [receipt.queueId, receipt.startOffset, receipt.queueOffset]),
    [
      [0, 7, 7],
      [0, 7, 9],
      [2, 3, 3],
    ],
  )
  assert.deepEqual(found[1]?.receipt, {
    startOffset: 7,
    popTime: 100,
    invisibleMs: 60_000,
    reviveQueueId: 4,
    retry: '0',
    brokerName: 'broker-a',
    queueId: 0,
    queueOffset: 9,
  })
})

test('a redelivered message contains its receipt, with or without the offset', () => {
  const [full, short] = [
    stored(0, 5, 'Orders', '5 90 60000 1 1 broker-b 0 5'),
    stored(0, 6, 'Orders', '6 90 60000 1 2 broker-b 0'),
  ]
  const { found } = read([full, short], '1 0 5;2 0 6', '1 0 5;2 0 6')
  assert.deepEqual(
    found.map(({ receipt }) => [receipt.retry, receipt.brokerName, receipt.popTime, receipt.queueOffset]),
    [
      ['1', 'broker-b', 90, 5],
      ['2', 'broker-b', 90, 6],
    ],
  )
})

test('a message whose topic is the retry topic is found in the tables of that topic', () => {
  const { found } = read(
    [stored(0, 5, '%RETRY%g_Orders'), stored(0, 6, '%RETRY%g+Orders')],
    '1 0 5;2 0 6',
    '1 0 5;2 0 6',
  )
  assert.deepEqual(
    found.map(({ receipt }) => receipt.retry),
    ['1', '2'],
  )
})

test('reconsumeTimes is taken from the message, not from the counts of ordered pops', () => {
  const { found } = read([stored(0, 7)], '0 0 7', '0 0 7', '0 0 0')
  assert.equal(found[0]?.view.reconsumeTimes, 3)
})

test('a message that is missing from the tables is left out and reported, and the others are returned', () => {
  const { found, corrupt } = read([stored(0, 7), stored(1, 1), stored(0, 8, 'Orders', 'garbage')], '0 0 7', '0 0 7')
  assert.equal(found.length, 1)
  assert.deepEqual(
    corrupt.map(({ reason }) => /do not contain 0@1, offset 1|receipt cannot be read/.test(reason)),
    [true, true],
  )
})

test('tables that cannot be parsed are an error', () => {
  assert.throws(() => read([stored(0, 7)], '0 0', ''), /startOffsetInfo cannot be read/)
})
