import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultGroupConfig, pullFlags, stringHash, subscriptionOf, type TopicConfig } from '@gantrymq/protocol'
import type { ConsumerGroup } from '../clients/client-registry.ts'
import { checkPull, type PullRules } from './pull-checks.ts'
import type { PullHeader } from './pull-reply.ts'

const FAQ = '\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'

const topic: TopicConfig = {
  topicName: 'Orders',
  readQueueNums: 4,
  writeQueueNums: 4,
  perm: 6,
  topicFilterType: 'SINGLE_TAG',
  topicSysFlag: 0,
  order: false,
}
const consumers: ConsumerGroup = {
  name: 'g',
  consumeType: 'CONSUME_PASSIVELY',
  messageModel: 'CLUSTERING',
  consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
  clients: new Map(),
  subscriptions: new Map([['Orders', subscriptionOf('Orders', 'new || paid', 7)]]),
}
const rules: PullRules = {
  brokerPermission: 6,
  brokerIp: '10.0.0.5',
  group: defaultGroupConfig('g'),
  topic,
  consumers,
  isForbidden: false,
  consumer: '1.2.3.4:5',
}
const header: PullHeader = {
  consumerGroup: 'g',
  topic: 'Orders',
  queueId: 0,
  queueOffset: 0,
  maxMsgNums: 32,
  sysFlag: 0,
  commitOffset: 0,
  suspendTimeoutMillis: 0,
  subVersion: 7,
}

const REFUSALS: readonly [
  what: string,
  header: Partial<PullHeader>,
  rules: Partial<PullRules>,
  code: number,
  remark: string,
  forbiddenType?: number,
][] = [
  [
    'the broker may not be read',
    {},
    { brokerPermission: 2, group: undefined },
    16,
    'the broker[10.0.0.5] pulling message is forbidden',
    1,
  ],
  [
    'the group does not exist',
    {},
    { group: undefined, topic: undefined },
    26,
    `subscription group [g] does not exist, ${FAQ}`,
  ],
  [
    'the group is disabled',
    {},
    { group: { ...defaultGroupConfig('g'), consumeEnable: false } },
    16,
    'subscription group no permission, g',
    2,
  ],
  ['the topic does not exist', {}, { topic: undefined }, 17, `topic[Orders] not exist, apply first please! ${FAQ}`],
  [
    'the topic may not be read',
    {},
    { topic: { ...topic, perm: 2 } },
    16,
    'the topic[Orders] pulling message is forbidden',
    3,
  ],
  [
    'the queue does not exist',
    { queueId: 4 },
    {},
    29,
    'queueId[4] is illegal, topic:[Orders] topicConfig.readQueueNums:[4] consumer:[/1.2.3.4:5]',
  ],
  [
    'the queue is negative',
    { queueId: -1 },
    {},
    29,
    'queueId[-1] is illegal, topic:[Orders] topicConfig.readQueueNums:[4] consumer:[/1.2.3.4:5]',
  ],
  [
    'the given expression names no tag',
    { sysFlag: pullFlags.subscription, subscription: '||' },
    {},
    23,
    "parse the consumer's subscription failed",
  ],
  ['the group is not online', {}, { consumers: undefined }, 24, `the consumer's group info not exist${FAQ}`],
  [
    'the group may not broadcast',
    {},
    {
      group: { ...defaultGroupConfig('g'), consumeBroadcastEnable: false },
      consumers: { ...consumers, messageModel: 'BROADCASTING' },
    },
    16,
    'the consumer group[g] can not consume by broadcast way',
    4,
  ],
  [
    'the group is forbidden to read the topic',
    {},
    { isForbidden: true },
    16,
    'the consumer group[g] is forbidden for topic[Orders]',
    5,
  ],
  [
    'the group does not subscribe to the topic',
    {},
    { consumers: { ...consumers, subscriptions: new Map() } },
    24,
    `the consumer's subscription not exist${FAQ}`,
  ],
  ['the consumer has a newer subscription', { subVersion: 8 }, {}, 25, "the consumer's subscription not latest"],
  [
    'the expression is SQL',
    { sysFlag: pullFlags.subscription, subscription: 'a > 1', expressionType: 'SQL92' },
    {},
    1,
    'The broker does not support consumer to filter message by SQL92',
  ],
]

for (const [what, ofHeader, ofRules, code, remark, forbiddenType] of REFUSALS) {
  test(`a pull is refused in the words of Apache if ${what}`, () => {
    const refused = { code, remark, ...(forbiddenType !== undefined && { forbiddenType }) }
    assert.deepEqual(checkPull({ ...header, ...ofHeader }, { ...rules, ...ofRules }), refused)
  })
}

function acceptsOf(given: Partial<PullHeader>) {
  const allowed = checkPull({ ...header, ...given }, rules)
  assert.ok('accepts' in allowed)
  return allowed.accepts
}

test('a pull gets the tags of the registered subscription, or of the one that it brings', () => {
  assert.equal(acceptsOf({})?.(stringHash('paid')), true)
  assert.equal(acceptsOf({})?.(stringHash('old')), false)
  const own = acceptsOf({ sysFlag: pullFlags.subscription, subscription: 'old' })
  assert.equal(own?.(stringHash('old')), true)
  assert.equal(own?.(stringHash('paid')), false)
})

test('a message whose tags are not known passes, and everything does without tags', () => {
  assert.equal(acceptsOf({})?.(undefined), true)
  assert.equal(acceptsOf({ sysFlag: pullFlags.subscription, subscription: '*' }), undefined)
  assert.equal(acceptsOf({ sysFlag: pullFlags.subscription, subscription: '' }), undefined)
})

test('of a code beyond 32 bits the low ones count, as in Java', () => {
  const code = stringHash('new')
  assert.equal(acceptsOf({})?.(code + 2 ** 33), true)
})

test('any number of tags is told apart, also by their negative codes', () => {
  const tags = Array.from({ length: 5000 }, (_, n) => `tag${n}`)
  assert.ok(stringHash('tag1') !== stringHash('tag2') && tags.some(tag => stringHash(tag) < 0))
  for (const count of [1, 2, 3, 5000]) {
    const taken = tags.slice(0, count)
    const codes = new Set(taken.map(stringHash))
    const accepts = acceptsOf({ sysFlag: pullFlags.subscription, subscription: taken.join('||') })
    for (const tag of [...tags, 'other']) assert.equal(accepts?.(stringHash(tag)), codes.has(stringHash(tag)), tag)
  }
})
