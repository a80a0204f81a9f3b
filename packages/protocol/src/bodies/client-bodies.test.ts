import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientBodySamples } from '@gantrymq/testkit'
import fc from 'fast-check'
import { golden } from '../../test/golden.ts'
import { batchAckBody } from './batch-ack.ts'
import { consumeDirectlyBody } from './consume-directly.ts'
import { heartbeatBody } from './heartbeat.ts'
import { resetOffsetBody, resetOffsetBodyForC } from './reset-offset.ts'
import { runningInfoBody } from './running-info.ts'

/** Java writes doubles in its own format, and omits a bit set without bits. */
const NOT_BY_BYTE = ['running-info', 'running-info-pop', 'batch-ack']

for (const sample of clientBodySamples) {
  test(`${sample.name}: the bytes of Java's ${sample.className} are read`, () => {
    for (const release of sample.releases) {
      assert.deepEqual(sample.decode(golden(release, `${sample.name}.json`)), sample.value, release)
    }
  })

  test(`${sample.name}: the written bytes are read back, and are those of 5.5.0`, () => {
    assert.deepEqual(sample.decode(sample.encode()), sample.value)
    if (NOT_BY_BYTE.includes(sample.name)) return
    assert.equal(sample.encode().toString(), golden('5.5.0', `${sample.name}.json`).toString())
  })
}

const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 2 }

test('a queue as a key is read as a bare object and as a quoted string', () => {
  const bean = '{"brokerName":"broker-a","queueId":2,"topic":"Orders"}'
  const expected = { offsetTable: [{ queue, offset: 42 }] }
  assert.deepEqual(resetOffsetBody.decode(Buffer.from(`{"offsetTable":{${bean}:42}}`)), expected)
  assert.deepEqual(resetOffsetBody.decode(Buffer.from(`{"offsetTable":{${JSON.stringify(bean)}:42}}`)), expected)
})

test('either codec reads both forms of a reset of offsets, including the one for C', () => {
  const body = { offsetTable: [{ queue, offset: 42 }] }
  assert.deepEqual(resetOffsetBody.decode(Buffer.from(resetOffsetBodyForC.encode(body))), body)
  assert.deepEqual(resetOffsetBodyForC.decode(Buffer.from(resetOffsetBody.encode(body))), body)
})

test('offsets beyond 2^53, keys that are not queues and values that are not tables are refused', () => {
  for (const table of ['{{"queueId":0}:9007199254740992}', '{"no json":1}', '7', '{{"queueId":"x"}:1}', '[7]']) {
    assert.throws(() => resetOffsetBody.decode(Buffer.from(`{"offsetTable":${table}}`)), { code: 'BAD_BODY' }, table)
  }
  assert.deepEqual(resetOffsetBody.decode(Buffer.from('{}')), { offsetTable: [] })
})

test('the members that a heartbeat leaves out have the defaults of Java', () => {
  const body =
    '{"consumerDataSet":[{"groupName":"g","consumeType":"consume_pop","messageModel":0,"consumeFromWhere":"?"}]}'
  assert.deepEqual(heartbeatBody.decode(Buffer.from(body)), {
    clientID: '',
    producerDataSet: [],
    consumerDataSet: [
      {
        groupName: 'g',
        consumeType: 'CONSUME_POP',
        messageModel: 'BROADCASTING',
        consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
        subscriptionDataSet: [],
        unitMode: false,
      },
    ],
    heartbeatFingerprint: 0,
    withoutSub: false,
  })
})

test('numbers that could not be computed are read as zero', () => {
  const status = { pullRT: Number.NaN, pullTPS: 0, consumeRT: 0, consumeOKTPS: 0, consumeFailedTPS: 0 }
  const info = {
    properties: new Map<string, string>(),
    subscriptionSet: [],
    mqTable: [],
    statusTable: new Map([['Orders', { ...status, consumeFailedMsgs: 0 }]]),
  }
  const read = runningInfoBody.decode(Buffer.from(runningInfoBody.encode(info)))
  assert.equal(read.statusTable.get('Orders')?.pullRT, 0)
  assert.deepEqual(read.mqPopTable, [])
})

test('an unknown result is read as CR_RETURN_NULL', () => {
  const read = consumeDirectlyBody.decode(Buffer.from('{"consumeResult":"CR_OF_TOMORROW","spentTimeMills":"3"}'))
  assert.deepEqual(read, { order: false, autoCommit: true, consumeResult: 'CR_RETURN_NULL', spentTimeMills: 3 })
})

const ack = {
  consumerGroup: 'billing',
  topic: 'Orders',
  retry: '0',
  startOffset: 100,
  queueId: 1,
  reviveQueueId: 3,
  popTime: 1700000000000,
  invisibleTime: 60000,
}

test('acknowledged bits are read back in order', () => {
  const bits = fc.uniqueArray(fc.nat(5000), { maxLength: 40 })
  fc.assert(
    fc.property(bits, given => {
      const body = { brokerName: 'broker-a', acks: [{ ...ack, bits: given }] }
      const read = batchAckBody.decode(Buffer.from(batchAckBody.encode(body)))
      assert.deepEqual(
        read.acks[0]?.bits,
        given.toSorted((a, b) => a - b),
      )
    }),
  )
})

test('an acknowledgement with long member names is read too', () => {
  const long = { ...ack, bitSet: 'BQ==' }
  const read = batchAckBody.decode(Buffer.from(JSON.stringify({ brokerName: 'broker-a', acks: [long] })))
  assert.deepEqual(read.acks, [{ ...ack, bits: [0, 2] }])
})

test('an acknowledgement that spans more offsets than any pop is neither written nor read', () => {
  const tooFar = { brokerName: 'broker-a', acks: [{ ...ack, bits: [1 << 20] }] }
  assert.throws(() => batchAckBody.encode(tooFar), RangeError)
  const b = Buffer.alloc((1 << 17) + 1).toString('base64')
  assert.throws(() => batchAckBody.decode(Buffer.from(`{"acks":[{"b":"${b}"}]}`)), { code: 'BAD_BODY' })
})
