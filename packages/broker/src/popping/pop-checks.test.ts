import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultGroupConfig, stringHash, type TopicConfig } from '@gantrymq/protocol'
import { checkAck, checkChange, checkPeek, checkPop, type PopHeader, type PopRules } from './pop-checks.ts'

const FAQ = '\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'
const NOW = 1_700_000_000_000
const topic: TopicConfig = {
  topicName: 'Orders',
  readQueueNums: 4,
  writeQueueNums: 4,
  perm: 6,
  topicFilterType: 'SINGLE_TAG',
  topicSysFlag: 0,
  order: false,
}
const rules: PopRules = {
  brokerPermission: 6,
  brokerIp: '10.0.0.5',
  group: defaultGroupConfig('g'),
  topic,
  consumer: '1.2.3.4:5',
}
const header: PopHeader = {
  topic: 'Orders',
  consumerGroup: 'g',
  queueId: -1,
  maxMsgNums: 32,
  bornTime: NOW,
  pollTime: 1000,
}
const illegalQueue = 'queueId[4] is illegal, topic:[Orders] topicConfig.readQueueNums:[4] consumer:[/1.2.3.4:5]'

const REFUSALS: readonly [
  what: string,
  header: Partial<PopHeader>,
  rules: Partial<PopRules>,
  code: number,
  remark: string,
][] = [
  [
    'it comes too late',
    { bornTime: NOW - 1501 },
    { brokerPermission: 2 },
    210,
    'the broker[10.0.0.5] pop message is timeout too much',
  ],
  [
    'the broker may not be read',
    { maxMsgNums: 99 },
    { brokerPermission: 2 },
    16,
    'the broker[10.0.0.5] pop message is forbidden',
  ],
  [
    'it asks for too many messages',
    { maxMsgNums: 33 },
    { topic: undefined },
    29,
    "the broker[10.0.0.5] pop message's num is greater than 32",
  ],
  [
    'the topic does not exist',
    {},
    { topic: undefined, group: undefined },
    17,
    `topic[Orders] not exist, apply first please! ${FAQ}`,
  ],
  [
    'the topic may not be read',
    {},
    { topic: { ...topic, perm: 2 } },
    16,
    'the topic[Orders] peeking message is forbidden',
  ],
  ['the queue does not exist', { queueId: 4 }, { group: undefined }, 29, illegalQueue],
  ['the group does not exist', {}, { group: undefined }, 26, `subscription group [g] does not exist, ${FAQ}`],
  [
    'the group is disabled',
    {},
    { group: { ...defaultGroupConfig('g'), consumeEnable: false } },
    16,
    'subscription group no permission, g',
  ],
  ['the expression names no tag', { exp: '||' }, {}, 23, "parse the consumer's subscription failed"],
  [
    'the expression is SQL',
    { exp: 'a > 1', expType: 'SQL92' },
    {},
    1,
    'The broker does not support consumer to filter message by SQL92',
  ],
]

for (const [what, ofHeader, ofRules, code, remark] of REFUSALS) {
  test(`a pop is refused in the words of Apache if ${what}`, () => {
    assert.deepEqual(checkPop({ ...header, ...ofHeader }, { ...rules, ...ofRules }, NOW), { code, remark })
  })
}

test('a pop whose retry topic could not be stored is refused, so that no message is lost', () => {
  const refused = checkPop({ ...header, consumerGroup: 'g'.repeat(120) }, rules, NOW)
  assert.ok('code' in refused)
  assert.match(refused.remark, /too long together/)
})

test('a pop gets the messages with its tags, or all', () => {
  const allowed = checkPop({ ...header, exp: 'new || paid', expType: 'TAG' }, rules, NOW)
  assert.ok('accepts' in allowed)
  assert.deepEqual(
    ['paid', 'old'].map(tag => allowed.accepts?.(stringHash(tag))),
    [true, false],
  )
  for (const exp of [undefined, '', '*']) {
    const all = checkPop({ ...header, exp }, rules, NOW)
    assert.ok('accepts' in all && all.accepts === undefined)
  }
})

test('a request that only looks is refused in its own words', () => {
  assert.deepEqual(checkPeek(header, { ...rules, brokerPermission: 2 }), {
    code: 16,
    remark: 'the broker[10.0.0.5] peeking message is forbidden',
  })
})

test('an acknowledgement must name a queue and an offset that exist', () => {
  const range = { minOffset: 2, maxOffset: 9 }
  const check = (queueId: number, offset: number) => checkAck({ topic: 'Orders', queueId, offset }, topic, range, '1.2.3.4:5') // biome-ignore format: one thought
  assert.equal(check(3, 2), undefined)
  assert.equal(check(3, 9), undefined)
  assert.deepEqual(check(4, 2), { code: 13, remark: illegalQueue })
  assert.deepEqual(check(3, 10), { code: 208, remark: 'offset is illegal, key:Orders@3, commit:10, store:2~9' })
  assert.equal(check(-1, 2)?.code, 13)
  assert.equal(checkAck({ topic: 'Orders', queueId: 0, offset: 2 }, undefined, range, '')?.code, 17)
  assert.equal(checkChange({ topic: 'Orders', queueId: 3, offset: 9 }, topic, range, '')?.code, 208)
  assert.equal(checkChange({ topic: 'Orders', queueId: 3, offset: 8 }, topic, range, ''), undefined)
})
