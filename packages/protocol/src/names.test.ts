import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unwrapNamespace, wrapNamespace } from './namespace.ts'
import { OUR_VERSION, V3_0_11, V4_9_4, V4_9_8, V5_0_0, V5_3_1, V5_5_0, versionName, versionNumber } from './release.ts'
import {
  deadLetterTopicOf,
  groupProblem,
  isClosedTopic,
  isDeadLetterTopic,
  isRetryTopic,
  isSystemTopic,
  retryTopicOf,
  topicProblem,
} from './topic-name.ts'

test('versions have the names of MQVersion', () => {
  const names = new Map([
    [0, 'V3_0_0_SNAPSHOT'],
    [15, 'V3_0_0_FINAL'],
    [V3_0_11, 'V3_0_11'],
    [28, 'V3_0_7_SNAPSHOT'],
    [62, 'V3_1_8_SNAPSHOT'],
    [121, 'V3_4_9'],
    [211, 'V3_9_9'],
    [212, 'V4_0_0_SNAPSHOT'],
    [213, 'V4_0_0'],
    [232, 'V4_1_0_SNAPSHOT'],
    [V4_9_4, 'V4_9_4'],
    [V4_9_8, 'V4_9_8'],
    [V5_0_0, 'V5_0_0'],
    [V5_3_1, 'V5_3_1'],
    [V5_5_0, 'V5_5_0'],
    [611, 'V5_9_9'],
    [612, 'HIGHER_VERSION'],
    [9999, 'HIGHER_VERSION'],
    [-1, 'UNKNOWN'],
  ])
  for (const [version, name] of names) assert.equal(versionName(version), name, String(version))
})

test('the number of a release equals its constant', () => {
  assert.equal(versionNumber(4, 9, 8), V4_9_8)
  assert.equal(versionNumber(5, 3, 1), V5_3_1)
  assert.equal(OUR_VERSION, versionNumber(5, 5, 0))
})

test('topics have at most 127 letters, digits and %|_-, retry topics 255', () => {
  assert.equal(topicProblem('Topic_Test-1'), null)
  assert.equal(topicProblem('x'.repeat(127)), null)
  assert.match(topicProblem('x'.repeat(128)) ?? '', /longer than 127/)
  assert.equal(topicProblem(retryTopicOf('x'.repeat(248))), null)
  assert.match(topicProblem(deadLetterTopicOf('x'.repeat(251))) ?? '', /longer than 255/)
  assert.match(topicProblem(' \t') ?? '', /blank/)
  for (const topic of ['a b', 'a.b', 'ä', 'a\nb', '__proto__\u0000', '中']) {
    assert.match(topicProblem(topic) ?? '', /characters other than/, topic)
  }
  assert.equal(topicProblem('__proto__'), null)
})

test('groups have at most 255 such characters', () => {
  assert.equal(groupProblem('g'.repeat(255)), null)
  assert.match(groupProblem('g'.repeat(256)) ?? '', /the group is longer than 255/)
  assert.match(groupProblem('a b') ?? '', /the group "a b"/)
})

test('system topics are recognised by name and by prefix, and some of them accept messages', () => {
  assert.ok(isSystemTopic('TBW102') && !isClosedTopic('TBW102'))
  assert.ok(isSystemTopic('SCHEDULE_TOPIC_XXXX') && isClosedTopic('SCHEDULE_TOPIC_XXXX'))
  assert.ok(isSystemTopic('rmq_sys_anything') && !isClosedTopic('rmq_sys_anything'))
  assert.ok(!isSystemTopic('TopicTest'))
  assert.ok(isRetryTopic('%RETRY%g') && !isDeadLetterTopic('%RETRY%g') && isDeadLetterTopic('%DLQ%g'))
})

test('a namespace is put behind the retry prefix and removed again', () => {
  for (const [name, wrapped] of [
    ['T', 'ns%T'],
    ['nsT', 'ns%nsT'],
    ['%RETRY%g', '%RETRY%ns%g'],
    ['%DLQ%g', '%DLQ%ns%g'],
  ] as const) {
    assert.equal(wrapNamespace('ns', name), wrapped)
    assert.equal(wrapNamespace('ns', wrapped), wrapped)
    assert.equal(unwrapNamespace('ns', wrapped), name)
    assert.equal(unwrapNamespace('other', wrapped), wrapped)
  }
  for (const name of ['TBW102', 'rmq_sys_x', 'CID_RMQ_SYS_TRANS', '']) assert.equal(wrapNamespace('ns', name), name)
  assert.equal(wrapNamespace('', 'T'), 'T')
  assert.equal(unwrapNamespace('', '%T'), '%T')
})
