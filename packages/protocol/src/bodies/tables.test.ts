import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BodyCodec } from '@gantrymq/remoting'
import { golden } from '../../test/golden.ts'
import { brokerMemberGroupBody, clusterInfoBody } from './cluster-info.ts'
import { dataVersionBody, optionalDataVersionBody } from './data-version.ts'
import { subscriptionGroupTableBody } from './subscription-group.ts'
import { kvTableBody, propertiesBody, topicListBody } from './tables.ts'
import { topicConfigTableBody } from './topic-config-table.ts'

/** Decodes the bytes of 5.5.0 and checks that encoding gives the same bytes. */
function isAsInJava<T>(codec: BodyCodec<T>, name: string): T {
  const bytes = golden('5.5.0', name)
  const value = codec.decode(bytes)
  assert.equal(Buffer.from(codec.encode(value)).toString(), bytes.toString())
  return value
}

test('lists and tables have the bytes of 5.5.0', () => {
  assert.deepEqual(isAsInJava(topicListBody, 'topic-list.json'), { topicList: ['TopicA', 'TopicB'] })
  assert.equal(isAsInJava(topicListBody, 'topic-list-broker.json').brokerAddr, '10.0.0.1:10911')
  assert.deepEqual(isAsInJava(kvTableBody, 'kv-table.json'), new Map([['TopicA', 'broker-a:4;broker-b:4']]))
  assert.deepEqual(isAsInJava(dataVersionBody, 'data-version.json'), {
    stateVersion: 0,
    timestamp: 1700000000000,
    counter: 3,
  })
})

test('clusters and member groups have the bytes of 5.5.0, with bare ids', () => {
  const info = isAsInJava(clusterInfoBody, 'cluster-info.json')
  assert.deepEqual(info.clusterAddrTable, new Map([['DefaultCluster', ['broker-a']]]))
  assert.equal(info.brokerAddrTable.get('broker-a')?.brokerAddrs.get(9007199254740993n), '10.0.0.4:10911')
  const group = isAsInJava(brokerMemberGroupBody, 'member-group.json')
  assert.deepEqual(group, {
    cluster: 'DefaultCluster',
    brokerName: 'broker-a',
    brokerAddrs: new Map([[0, '10.0.0.1:10911']]),
  })
})

test('the topic table of a broker is read from both lines', () => {
  for (const line of ['4.9.7', '5.5.0'] as const) {
    const table = topicConfigTableBody.decode(golden(line, 'topic-config-wrapper.json'))
    assert.deepEqual([...table.topics.keys()], ['TopicTest', '%RETRY%g'])
    assert.deepEqual(
      topicConfigTableBody.decode(Buffer.from(topicConfigTableBody.encode(table))).dataVersion,
      table.dataVersion,
    )
  }
})

test('the tables of a broker keep members of topics and groups that this release does not know', () => {
  const topic =
    '{"attributes":{},"later":{"n":[1,"x",null]},"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"A","topicSysFlag":0,"writeQueueNums":4,"zone":"z"}'
  const topics = `{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":2},"topicConfigTable":{"A":${topic}}}`
  assert.equal(topicConfigTableBody.encode(topicConfigTableBody.decode(Buffer.from(topics))).toString(), topics)
  const group =
    '{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"g","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"later":7,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}'
  const groups = `{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":2},"forbiddenTable":{"g":{"A":4}},"subscriptionGroupTable":{"g":${group}}}`
  const codec = subscriptionGroupTableBody
  assert.equal(codec.encode(codec.decode(Buffer.from(groups))).toString(), groups)
})

test('a data version of 4.9 has state 0, and a missing timestamp equals no version', () => {
  assert.deepEqual(dataVersionBody.decode(golden('4.9.7', 'data-version.json')), {
    stateVersion: 0,
    timestamp: 1700000000000,
    counter: 3,
  })
  assert.equal(optionalDataVersionBody.decode(Buffer.from('null')), null)
  assert.equal(optionalDataVersionBody.encode(null).toString(), 'null')
  assert.equal(optionalDataVersionBody.decode(Buffer.from('{}'))?.timestamp, -1)
  assert.equal(
    optionalDataVersionBody.decode(Buffer.from('{"counter":9223372036854775807}'))?.counter,
    9223372036854775807n,
  )
})

test('missing tables and lists are empty', () => {
  assert.deepEqual(kvTableBody.decode(Buffer.from('{"table":null}')), new Map())
  assert.deepEqual(kvTableBody.decode(Buffer.from('{"table":{"a":1,"b":null}}')), new Map([['a', '1']]))
  assert.deepEqual(topicListBody.decode(Buffer.from('{}')), { topicList: [] })
  assert.deepEqual(clusterInfoBody.decode(Buffer.from('{}')), {
    brokerAddrTable: new Map(),
    clusterAddrTable: new Map(),
  })
  assert.deepEqual(brokerMemberGroupBody.decode(Buffer.from('{}')).brokerAddrs, new Map())
})

test('properties are written and read unchanged', () => {
  const text = 'a=b\\:c\nä=1\n'
  assert.equal(propertiesBody.decode(Buffer.from(propertiesBody.encode(text))), text)
})
