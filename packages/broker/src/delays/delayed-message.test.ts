import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMessage, encodeMessage, TRANSACTION_COMMIT, TRANSACTION_PREPARED } from '@gantrymq/protocol'
import type { NewMessage } from '../sending/new-message.ts'
import { delayed, delivered } from './delayed-message.ts'

const host = { ip: '10.0.0.1', port: 5000 }

function message(properties: Record<string, string>, sysFlag = 0): NewMessage {
  const bornHost = Buffer.alloc(8)
  const body = Buffer.from('hello')
  return { topic: 'Orders', queueId: 3, body, properties: new Map(Object.entries(properties)), flag: 7, sysFlag, bornTimestamp: 1, bornHost, reconsumeTimes: 2 } // biome-ignore format: one thought
}

function stored(properties: Record<string, string>) {
  const given = { ...message(properties), topic: 'SCHEDULE_TOPIC_XXXX', queueOffset: 1, physicalOffset: 2, bornHost: host, storeHost: host, storeTimestamp: 3, preparedTransactionOffset: 0, bodyCrc: 0 } // biome-ignore format: one thought
  return decodeMessage(encodeMessage(given))
}

test('only messages with a delay level wait, and half messages do not', () => {
  for (const DELAY of ['0', '-1', 'x', '1.5']) assert.equal(delayed(message({ DELAY }), 18).topic, 'Orders')
  assert.equal(delayed(message({}), 18).topic, 'Orders')
  assert.equal(delayed(message({ DELAY: '1' }, TRANSACTION_PREPARED), 18).topic, 'Orders')
  const waiting = delayed(message({ DELAY: '99' }, TRANSACTION_COMMIT), 18)
  assert.deepEqual([waiting.topic, waiting.queueId], ['SCHEDULE_TOPIC_XXXX', 17])
  assert.deepEqual(Object.fromEntries(waiting.properties), { DELAY: '18', REAL_TOPIC: 'Orders', REAL_QID: '3' })
})

test('a delivered message is the one that waited, in its own queue', () => {
  const result = delivered(stored({ DELAY: '2', REAL_TOPIC: 'Orders', REAL_QID: '3' }))
  assert.deepEqual([result?.topic, result?.queueId, result?.flag, result?.reconsumeTimes], ['Orders', 3, 7, 2])
})

test('a message that does not say where it is to go is not delivered', () => {
  assert.equal(delivered(stored({ DELAY: '2' })), undefined)
  assert.equal(delivered(stored({ REAL_TOPIC: 'Orders', REAL_QID: '-1' })), undefined)
  assert.equal(delivered(stored({ REAL_TOPIC: '../..', REAL_QID: '0' })), undefined)
  assert.equal(delivered(stored({ REAL_TOPIC: 'RMQ_SYS_TRANS_HALF_TOPIC', REAL_QID: '0' })), undefined)
})
