import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BodyCodec } from '@gantrymq/remoting'
import { golden } from '../../test/golden.ts'
import { aclBody, aclListBody, plainAccessTableBody, userBody, userListBody } from './access.ts'
import { brokerStatsBody } from './broker-stats.ts'
import { consumerConnectionBody, producerConnectionBody, producerTableBody } from './client-connections.ts'
import { consumeQueueBody } from './consume-queue.ts'
import { consumeStatsBody, consumeStatsListBody, topicStatsBody } from './consume-stats.ts'
import { consumeTimeSpansBody } from './consume-time-spans.ts'
import { groupForbiddenBody, groupListBody, topicSubscriptionBody } from './groups.ts'
import { consumerOffsetsBody, correctionOffsetsBody, delayOffsetsBody } from './offset-tables.ts'
import {
  defaultGroupConfig,
  groupConfigBody,
  groupConfigListBody,
  subscriptionGroupTableBody,
} from './subscription-group.ts'
import { topicConfigBody, topicConfigListBody } from './topic-config-list.ts'

type Line = '4.9.7' | '5.5.0'
const BOTH: readonly Line[] = ['4.9.7', '5.5.0']

/** Decodes the bytes of a line and checks that encoding gives the same bytes. */
function isAsInJava<T>(codec: BodyCodec<T>, name: string, line: Line = '5.5.0'): T {
  const bytes = golden(line, name)
  const value = codec.decode(bytes)
  assert.equal(Buffer.from(codec.encode(value)).toString(), bytes.toString())
  return value
}

/** As `isAsInJava`, for bodies whose bytes differ in number format or in omitted members: the value must be the same. */
function comesBack<T>(codec: BodyCodec<T>, name: string, line: Line = '5.5.0'): T {
  const value = codec.decode(golden(line, name))
  assert.deepEqual(codec.decode(Buffer.from(codec.encode(value))), value)
  return value
}

const queue = { topic: 'TopicTest', brokerName: 'broker-a', queueId: 1 }
const subscription = {
  topic: 'TopicTest',
  subString: 'TagA',
  expressionType: 'TAG',
  tagsSet: ['TagA'],
  codeSet: [2598919],
  subVersion: 1700000000000,
  classFilterMode: false,
}

test('offsets of a topic and of a group are read from both lines', () => {
  for (const line of BOTH) {
    const modern = line === '5.5.0'
    assert.deepEqual(comesBack(topicStatsBody, 'topic-stats.json', line), {
      queues: [{ queue, minOffset: 5, maxOffset: 100, lastUpdateTimestamp: 1700000000000 }],
      putTps: modern ? 1.5 : 0,
    })
    const stats = {
      queues: [
        {
          queue,
          brokerOffset: 100,
          consumerOffset: 90,
          ...(modern && { pullOffset: 95 }),
          lastTimestamp: 1700000000000,
        },
      ],
      consumeTps: 0.25,
    }
    assert.deepEqual(isAsInJava(consumeStatsBody, 'consume-stats.json', line), stats)
    assert.deepEqual(isAsInJava(consumeStatsListBody, 'consume-stats-list.json', line), {
      brokerAddr: '10.0.0.1:10911',
      groups: [{ group: 'g1', topics: [stats] }],
      totalDiff: 10,
      ...(modern && { totalInflightDiff: 5 }),
    })
  }
})

test('time spans of a group are read without their local texts', () => {
  assert.deepEqual(comesBack(consumeTimeSpansBody, 'consume-time-spans.json'), [
    {
      queue,
      minTimestamp: 1700000000000,
      maxTimestamp: 1700000001000,
      consumeTimestamp: 1700000000500,
      delayMs: 500,
    },
  ])
})

test('a consume queue keeps all 64 bits of a tag code', () => {
  const view = isAsInJava(consumeQueueBody, 'consume-queue.json')
  assert.deepEqual(view.entries, [
    { physicOffset: 1, physicSize: 232, tagsCode: -9223372036854775803n, eval: true, msg: 'm' },
  ])
  assert.deepEqual([view.minQueueIndex, view.maxQueueIndex], [2, 9])
  assert.equal(view.filterData, 'g1@TopicTest is not online!')
  assert.deepEqual(view.subscription, subscription)
})

test('counters that Java could not compute are 0', () => {
  assert.deepEqual(comesBack(brokerStatsBody, 'broker-stats.json'), {
    statsMinute: { sum: 0, tps: 12345678.9, avgpt: 0 },
    statsHour: { sum: 9, tps: 0, avgpt: 0 },
    statsDay: { sum: 10, tps: 0.17, avgpt: 1 },
  })
})

test('connections of clients have the bytes of both lines', () => {
  const connections = [{ clientId: '10.0.0.9@4321#1', clientAddr: '10.0.0.9:51234', language: 'JAVA', version: 407 }]
  for (const line of BOTH) {
    assert.deepEqual(isAsInJava(producerConnectionBody, 'producer-connection.json', line), connections)
    assert.deepEqual(isAsInJava(consumerConnectionBody, 'consumer-connection.json', line), {
      connections,
      subscriptions: new Map([['TopicTest', subscription]]),
      consumeType: 'CONSUME_PASSIVELY',
      messageModel: 'CLUSTERING',
      consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
    })
    const producer = {
      clientId: 'c1',
      remoteIP: '10.0.0.9:51234',
      language: 'GO',
      version: 407,
      lastUpdateTimestamp: 1700000000000,
    }
    assert.deepEqual(isAsInJava(producerTableBody, 'producer-table.json', line), new Map([['pg', [producer]]]))
  }
})

test('the configuration of a 4.9 group has no members of 5.x, and is written without them', () => {
  const group = isAsInJava(groupConfigBody, 'group-config.json', '4.9.7')
  assert.deepEqual(group, { ...defaultGroupConfig('g1'), retryMaxTimes: 3, consumeBroadcastEnable: false })
  const table = subscriptionGroupTableBody.decode(golden('4.9.7', 'group-table.json'))
  assert.deepEqual(table.groups, new Map([['g1', group]]))
  assert.equal(table.forbidden.size, 0)
})

test('the configuration of a 5.x group has the bytes of 5.5.0', () => {
  const group = isAsInJava(groupConfigBody, 'group-config.json')
  assert.deepEqual(group.groupRetryPolicy, {
    type: 'EXPONENTIAL',
    exponential: { initial: 1000, max: 60000, multiplier: 3 },
    customized: { next: [1000, 5000] },
  })
  assert.deepEqual(group.subscriptions, [
    { topic: 'TopicTest', expressionType: 'TAG', expression: 'a || b', version: 7 },
  ])
  assert.equal(group.consumeMessageOrderly, true)
  assert.deepEqual(group.attributes, new Map([['k', 'v']]))
  assert.deepEqual(isAsInJava(groupConfigListBody, 'group-config-list.json'), [group])
  const table = isAsInJava(subscriptionGroupTableBody, 'group-table.json')
  assert.deepEqual(table.groups.get('g1'), group)
  assert.deepEqual(table.forbidden, new Map([['g1', new Map([['TopicTest', 1]])]]))
})

test('a group without a name gets the name of its key', () => {
  const table = subscriptionGroupTableBody.decode(Buffer.from('{"subscriptionGroupTable":{"g2":{"retryMaxTimes":1}}}'))
  assert.deepEqual(table.groups.get('g2'), { ...defaultGroupConfig('g2'), retryMaxTimes: 1 })
})

test('offset tables with bare keys are read from both lines', () => {
  const offsets = new Map([
    [0, 90],
    [1, 88],
  ])
  for (const line of BOTH) {
    assert.deepEqual(
      consumerOffsetsBody.decode(golden(line, 'consumer-offsets.json')),
      new Map([['TopicTest@g1', offsets]]),
    )
  }
  isAsInJava(consumerOffsetsBody, 'consumer-offsets.json', '4.9.7')
  assert.equal(isAsInJava(correctionOffsetsBody, 'correction-offsets.json').get(0), 42)
  assert.deepEqual(delayOffsetsBody.decode(Buffer.from('{"offsetTable":{3:12,4:7}}')).get(4), 7)
})

test('an offset beyond 2^53 is an error that names it', () => {
  const bytes = Buffer.from('{"offsetTable":{"T@g":{0:9223372036854775807}}}')
  assert.throws(() => consumerOffsetsBody.decode(bytes), { code: 'BAD_BODY', message: /offsetTable.*2\^53/ })
})

test('group lists, permissions to read and subscriptions have the bytes of 5.5.0', () => {
  assert.deepEqual(isAsInJava(groupListBody, 'group-list.json'), ['g1'])
  assert.equal(isAsInJava(groupForbiddenBody, 'group-forbidden.json').readable, false)
  assert.deepEqual(isAsInJava(topicSubscriptionBody, 'topic-subscription.json').subscription, subscription)
  assert.equal('subscription' in topicSubscriptionBody.decode(Buffer.from('{"group":"g","topic":"t"}')), false)
})

test('lists of topics have the bytes of 5.5.0', () => {
  const [topic] = isAsInJava(topicConfigListBody, 'topic-config-list.json')
  assert.deepEqual(topic?.attributes, new Map([['+message.type', 'FIFO']]))
  assert.equal(topic?.writeQueueNums, 8)
  assert.equal(topicConfigBody.decode(Buffer.from('{"topicName":"T","mappingDetail":{"x":{1:2}}}')).topicName, 'T')
})

test('users and their permissions have the bytes of 5.5.0', () => {
  const user = { username: 'u1', password: 'p1', userType: 'Normal', userStatus: 'enable' }
  assert.deepEqual(isAsInJava(userBody, 'user.json'), user)
  assert.deepEqual(isAsInJava(userListBody, 'user-list.json'), [user, { username: 'u2' }])
  const acl = isAsInJava(aclBody, 'acl.json')
  assert.deepEqual(acl, {
    subject: 'User:u1',
    policies: [
      {
        policyType: 'Custom',
        entries: [
          { resource: 'Topic:TopicTest', actions: ['Pub', 'Sub'], sourceIps: ['10.0.0.0/8'], decision: 'Allow' },
        ],
      },
    ],
  })
  assert.deepEqual(isAsInJava(aclListBody, 'acl-list.json'), [acl])
  assert.throws(() => userListBody.decode(Buffer.from('{}')), { code: 'BAD_BODY' })
})

test('accounts of 4.9 are read', () => {
  assert.deepEqual(comesBack(plainAccessTableBody, 'plain-access.json', '4.9.7'), {
    globalWhiteAddrs: ['10.10.103.*'],
    accounts: [
      { accessKey: 'rocketmq2', secretKey: '12345678', admin: true, topicPerms: ['topicA=DENY'], groupPerms: [] },
    ],
  })
})
