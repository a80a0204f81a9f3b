import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicConfig } from '@gantrymq/protocol'
import { queueOf, refusedBeforeTopic, type SendRules, topicSysFlagOf } from './send-checks.ts'

const rules: SendRules = { brokerPermission: 6, startAcceptSendRequestTimeStamp: 0, brokerIp: '10.0.0.5', now: 1000 }
const topic: TopicConfig = {
  topicName: 'Orders',
  readQueueNums: 2,
  writeQueueNums: 4,
  perm: 6,
  topicFilterType: 'SINGLE_TAG',
  topicSysFlag: 0,
  order: false,
}

test('a message to a topic with a valid name passes', () => {
  assert.equal(refusedBeforeTopic('Orders', undefined, rules), undefined)
  assert.equal(refusedBeforeTopic('%RETRY%a|b-c_D9', undefined, rules), undefined)
})

test('before its time the broker refuses all messages, whatever else is wrong', () => {
  const refused = refusedBeforeTopic('', undefined, { ...rules, startAcceptSendRequestTimeStamp: new Date(2026, 0, 2, 3, 4, 5, 6).getTime() }) // biome-ignore format: one thought
  assert.deepEqual(refused, { code: 1, remark: 'broker unable to service, until 2026-01-02 03:04:05,006' })
})

test('without write permission a broker refuses ordered topics only, as Apache does', () => {
  const readOnly = { ...rules, brokerPermission: 4 }
  assert.equal(refusedBeforeTopic('Orders', topic, readOnly), undefined)
  assert.deepEqual(refusedBeforeTopic('Orders', { ...topic, order: true }, readOnly), {
    code: 16,
    remark: 'the broker[10.0.0.5] sending message is forbidden',
  })
})

for (const [name, code, remark] of [
  ['', 29, 'The specified topic is blank.'],
  [' ', 29, 'The specified topic is blank.'],
  ['a/b', 29, 'The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$'],
  ['..', 29, 'The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$'],
  ['a\n', 29, 'The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$'],
  ['x'.repeat(128), 29, 'The specified topic is longer than topic max length.'],
  ['SCHEDULE_TOPIC_XXXX', 16, 'Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden.'],
] as const) {
  test(`a message to the topic ${JSON.stringify(name.slice(0, 20))} is refused in the words of Apache`, () => {
    assert.deepEqual(refusedBeforeTopic(name, undefined, rules), { code, remark })
  })
}

test('a queue must exist for reading or writing; a negative one means any queue to write', () => {
  assert.equal(queueOf(3, topic, 'x', 0), 3)
  assert.equal(queueOf(-1, topic, 'x', 0.999), 3)
  assert.equal(queueOf(-1, topic, 'x', 0), 0)
  assert.deepEqual(queueOf(4, topic, '1.2.3.4:5', 0), {
    code: 29,
    remark:
      'request queueId[4] is illegal, TopicConfig [topicName=Orders, readQueueNums=2, writeQueueNums=4, perm=RW-, ' +
      'topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={}] Producer: 1.2.3.4:5',
  })
})

test('a topic without queues to write takes no message for any queue', () => {
  const refused = queueOf(-1, { ...topic, writeQueueNums: 0 }, 'x', 0)
  assert.deepEqual(refused, { code: 1, remark: 'topic[Orders] has no queue to write' })
})

test('a topic that a client of a unit creates is marked', () => {
  assert.equal(topicSysFlagOf({ topic: 'Orders' }), 0)
  assert.equal(topicSysFlagOf({ topic: 'Orders', unitMode: true }), 1)
  assert.equal(topicSysFlagOf({ topic: '%RETRY%g', unitMode: true }), 2)
})
