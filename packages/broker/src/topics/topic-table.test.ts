import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TopicConfig, topicConfigTableBody } from '@gantrymq/protocol'
import { type TopicSettings, TopicTable } from './topic-table.ts'

const settings: TopicSettings = {
  brokerClusterName: 'DefaultCluster',
  brokerName: 'broker-a',
  defaultTopicQueueNums: 8,
  autoCreateTopicEnable: true,
  clusterTopicEnable: true,
  brokerTopicEnable: true,
  traceTopicEnable: false,
  msgTraceTopicName: 'RMQ_SYS_TRACE_TOPIC',
  storePathRootDir: '/store',
}
const START = 1_700_000_000_000

function tableWith(given: Partial<TopicSettings> = {}): TopicTable {
  return new TopicTable(() => ({ ...settings, ...given }), START)
}

const ofSend = { topic: 'Orders', defaultTopic: 'TBW102', queueNums: 4, sysFlag: 0 }

const orders: TopicConfig = {
  topicName: 'Orders',
  readQueueNums: 4,
  writeQueueNums: 4,
  perm: 6,
  topicFilterType: 'SINGLE_TAG',
  topicSysFlag: 0,
  order: false,
}

// As captured from Apache 5.5.0, without the topics of pop, timers and slaves.
test('a new broker has the topics of Apache', () => {
  const shown = [...tableWith().all.values()].map(each => `${each.topicName} ${each.readQueueNums}/${each.writeQueueNums} ${each.perm}`) // biome-ignore format: one thought
  assert.deepEqual(shown, [
    'SELF_TEST_TOPIC 1/1 6',
    'TBW102 8/8 7',
    'BenchmarkTest 1024/1024 6',
    'DefaultCluster 16/16 7',
    'broker-a 1/1 7',
    'OFFSET_MOVED_EVENT 1/1 6',
    'SCHEDULE_TOPIC_XXXX 18/18 6',
    'DefaultCluster_REPLY_TOPIC 1/1 6',
    'RMQ_SYS_TRANS_HALF_TOPIC 1/1 6',
    'RMQ_SYS_TRANS_OP_HALF_TOPIC 1/1 6',
  ])
})

test('options decide about the topics of the start', () => {
  const table = tableWith({
    autoCreateTopicEnable: false,
    clusterTopicEnable: false,
    brokerTopicEnable: false,
    traceTopicEnable: true,
  })
  assert.equal(table.has('TBW102'), false)
  assert.equal(table.get('DefaultCluster')?.perm, 1)
  assert.equal(table.get('broker-a')?.perm, 1)
  assert.equal(table.get('RMQ_SYS_TRACE_TOPIC')?.readQueueNums, 1)
})

test('a send creates its topic with as many queues as it asks for, but no more than the default topic has', () => {
  const table = tableWith()
  assert.deepEqual(table.createForSend(ofSend, START + 1), { before: undefined, after: orders })
  assert.deepEqual(table.version, { stateVersion: 0, timestamp: START + 1, counter: 1 })
  assert.equal(table.createForSend({ ...ofSend, topic: 'A', queueNums: 100 }, START)?.after?.writeQueueNums, 8)
  assert.equal(table.createForSend({ ...ofSend, topic: 'B', queueNums: -1 }, START)?.after?.writeQueueNums, 0)
})

test('a topic is not created from a default topic that is missing or may not be inherited', () => {
  const table = tableWith()
  table.put(orders, START)
  assert.equal(table.createForSend({ ...ofSend, topic: 'New', defaultTopic: 'Missing' }, START), undefined)
  assert.equal(table.createForSend({ ...ofSend, topic: 'New', defaultTopic: 'Orders' }, START), undefined)
  assert.equal(table.has('New'), false)
})

test('TBW102 of an old file does not create topics when autoCreateTopicEnable is off', () => {
  const table = tableWith({ autoCreateTopicEnable: false })
  const old = { ...orders, topicName: 'TBW102', perm: 7 }
  table.load({ dataVersion: { stateVersion: 0, timestamp: 5, counter: 9 }, topics: new Map([['TBW102', old]]) })
  assert.equal(table.createForSend(ofSend, START), undefined)
  assert.equal(table.version.counter, 9)
})

test('a topic of the broker itself is created once, and later only its order flag changes', () => {
  const table = tableWith()
  const inner = { topic: '%RETRY%g', queueNums: 1, perm: 6 }
  assert.equal(table.createInner(inner, START)?.after?.order, false)
  assert.equal(table.createInner({ ...inner, queueNums: 3 }, START), undefined)
  assert.equal(table.createInner({ ...inner, order: true }, START)?.after?.order, true)
  assert.equal(table.get('%RETRY%g')?.readQueueNums, 1)
})

test('the order configuration sets the flag of existing topics and clears no other', () => {
  const table = tableWith()
  table.put(orders, START)
  table.put({ ...orders, topicName: 'Sorted', order: true }, START)
  const changes = table.setOrdered(['Orders', 'Missing'], START + 5)
  assert.deepEqual(
    changes.map(({ after }) => after?.topicName),
    ['Orders'],
  )
  assert.equal(table.get('Sorted')?.order, true)
  const { version } = table
  assert.deepEqual(table.setOrdered(['Orders'], START + 6), [])
  assert.equal(table.version, version)
})

test('deleting a topic that does not exist changes no version', () => {
  const table = tableWith()
  assert.equal(table.delete('Missing', START + 1), undefined)
  assert.equal(table.version.counter, 0)
  table.put(orders, START + 1)
  assert.deepEqual(table.delete('Orders', START + 2), { before: orders, after: undefined })
  assert.equal(table.version.counter, 2)
})

test('system topics are those of the start and those that RocketMQ reserves', () => {
  const table = tableWith()
  for (const topic of [
    'broker-a',
    'TBW102',
    'DefaultCluster_REPLY_TOPIC',
    'rmq_sys_anything',
    'TRANS_CHECK_MAX_TIME_TOPIC',
  ]) {
    assert.equal(table.isSystem(topic), true, topic)
  }
  assert.equal(table.isSystem('Orders'), false)
})

test('a file of Apache 4.9 with unknown members and tabs is read, and its topics replace those of the start', () => {
  const text = `{
	"dataVersion":{
		"counter":3,
		"timestamp":1700000000001
	},
	"topicConfigTable":{
		"SELF_TEST_TOPIC":{
			"order":false,
			"perm":6,
			"readQueueNums":2,
			"topicFilterType":"MULTI_TAG",
			"topicName":"SELF_TEST_TOPIC",
			"topicSysFlag":0,
			"writeQueueNums":2
		}
	}
}`
  const table = tableWith()
  table.load(topicConfigTableBody.decode(Buffer.from(text)))
  assert.equal(table.get('SELF_TEST_TOPIC')?.readQueueNums, 2)
  assert.equal(table.get('SELF_TEST_TOPIC')?.topicFilterType, 'MULTI_TAG')
  assert.deepEqual(table.version, { stateVersion: 0, timestamp: 1_700_000_000_001, counter: 3 })
  assert.equal(table.size, 10)
})
