import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { Broker, type BrokerStartOptions } from '@gantrymq/broker'
import {
  consumeRequests,
  decodeMessages,
  defaultGroupConfig,
  groupRequests,
  pullFlags,
  sendRequests,
  topicRequests,
} from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'

const closing = new Map<string, (() => Promise<void>)[]>()

/** A folder that is removed when the test has ended and its brokers are closed. */
async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'broker-'))
  closing.set(path, [])
  t.after(async () => {
    for (const close of closing.get(path)?.toReversed() ?? []) await close()
    closing.delete(path)
    await rm(path, { recursive: true, force: true })
  })
  return path
}

async function start(root: string, given: BrokerStartOptions = {}) {
  const small = {
    mappedFileSizeCommitLog: 1_048_576,
    mappedFileSizeConsumeQueue: 6000,
    maxHashSlotNum: 100,
    maxIndexNum: 400,
  }
  const broker = await Broker.start({
    port: 0,
    host: '127.0.0.1',
    httpEnabled: false,
    storePathRootDir: root,
    ...small,
    ...given,
  })
  const client = new RemotingClient()
  closing.get(root)?.push(
    () => broker.close(),
    () => client.close(),
  )
  const address = `127.0.0.1:${broker.address.port}`
  const send = (body: string) => {
    const header = { producerGroup: 'p', topic: 'Orders', defaultTopic: 'TBW102', defaultTopicQueueNums: 1, queueId: 0, sysFlag: 0, bornTimestamp: 1, flag: 0 } // biome-ignore format: one thought
    return client.call(address, sendRequests.SEND_MESSAGE, { header, body: Buffer.from(body) })
  }
  const pull = async (queueOffset = 0) => {
    const header = { consumerGroup: 'g', topic: 'Orders', queueId: 0, queueOffset, maxMsgNums: 32, sysFlag: pullFlags.subscription, commitOffset: 0, suspendTimeoutMillis: 0, subscription: '*', subVersion: 0 } // biome-ignore format: one thought
    const { body } = await client.call(address, consumeRequests.PULL_MESSAGE, { header })
    return body === null ? [] : decodeMessages(body).map(message => message.body.toString())
  }
  return { broker, client, address, send, pull }
}

test('messages, topics, groups and offsets are there after a restart', async t => {
  const root = await folder(t)
  const first = await start(root)
  for (const body of ['a', 'b', 'c']) await first.send(body)
  await first.pull()
  const commit = { consumerGroup: 'g', topic: 'Orders', queueId: 0, commitOffset: 2 }
  await first.client.call(first.address, consumeRequests.UPDATE_CONSUMER_OFFSET, { header: commit })
  await first.broker.close()

  const second = await start(root)
  assert.deepEqual(await second.pull(), ['a', 'b', 'c'])
  const { header } = await second.client.call(second.address, consumeRequests.QUERY_CONSUMER_OFFSET, { header: commit })
  assert.equal(header.offset, 2)
  const { body: topics } = await second.client.call(second.address, topicRequests.GET_ALL_TOPIC_CONFIG)
  assert.equal(topics?.topics.get('Orders')?.readQueueNums, 1)
  const { body: groups } = await second.client.call(second.address, groupRequests.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)
  assert.ok(groups?.groups.has('g'))
  await second.send('d')
  assert.deepEqual(await second.pull(3), ['d'])
})

test('a second broker on the same folder is refused, and the first one goes on', async t => {
  const root = await folder(t)
  const first = await start(root)
  await assert.rejects(start(root), { code: 'LOCKED' })
  await first.send('a')
  assert.deepEqual(await first.pull(), ['a'])
})

test('a damaged table is put aside, and the copy of the last good state takes its place', async t => {
  const root = await folder(t)
  const first = await start(root)
  await first.send('a')
  const header = { topic: 'Second', readQueueNums: 1, writeQueueNums: 1, perm: 6 }
  await first.client.call(first.address, topicRequests.UPDATE_AND_CREATE_TOPIC, { header })
  await first.broker.close()
  await writeFile(join(root, 'config', 'topics.json'), '{"topicConfigTable":{')
  const second = await start(root)
  assert.deepEqual(await second.pull(), ['a'])
})

test('a topic that the copy of a damaged table does not have is in it again, if it has messages', async t => {
  const root = await folder(t)
  const first = await start(root)
  await first.send('a')
  await first.broker.close()
  await writeFile(join(root, 'config', 'topics.json'), '{"topicConfigTable":{')
  await writeFile(join(root, 'config', 'topics.json.bak'), '')
  const second = await start(root)
  assert.deepEqual(await second.pull(), ['a'])
  await second.broker.close()
  assert.match(await readFile(join(root, 'config', 'topics.json'), 'utf8'), /"topicName":"Orders"/)
})

test('what Apache has written in the tables survives a change of them, also what only a later release knows', async t => {
  const root = await folder(t)
  const config = join(root, 'config')
  await mkdir(config, { recursive: true })
  const version = '{"counter":3,"stateVersion":1,"timestamp":1700000000000}'
  const topic =
    '{"attributes":{"message.type":"FIFO"},"later":{"n":1},"order":true,"perm":4,"readQueueNums":3,"topicFilterType":"MULTI_TAG","topicName":"Old","topicSysFlag":2,"writeQueueNums":5}'
  const group =
    '{"attributes":{"a":"b"},"brokerId":7,"consumeBroadcastEnable":false,"consumeEnable":false,"consumeFromMinEnable":false,"consumeMessageOrderly":true,"consumeTimeoutMinute":9,"groupName":"old","groupRetryPolicy":{"exponentialRetryPolicy":{"initial":1,"max":2,"multiplier":3},"type":"EXPONENTIAL"},"groupSysFlag":1,"later":[2],"notifyConsumerIdsChangedEnable":false,"retryMaxTimes":3,"retryQueueNums":2,"subscriptionDataSet":[{"expression":"*","expressionType":"TAG","topic":"Old","version":4}],"whichBrokerWhenConsumeSlowly":8}'
  const tables = {
    'topics.json': `{"dataVersion":${version},"topicConfigTable":{"DefaultCluster":{"topicName":"DefaultCluster"},"Old":${topic}}}`,
    'subscriptionGroup.json': `{"dataVersion":${version},"forbiddenTable":{"old":{"Old":4}},"subscriptionGroupTable":{"old":${group}}}`,
    'consumerOffset.json': '{"offsetTable":{"Old@old":{0:5,2:9007199254740991}}}',
    'delayOffset.json': '{"offsetTable":{3:0}}',
  }
  for (const [name, text] of Object.entries(tables)) await writeFile(join(config, name), text)
  const { broker, client, address } = await start(root)
  const header = { topic: 'New', readQueueNums: 1, writeQueueNums: 1, perm: 6 }
  await client.call(address, topicRequests.UPDATE_AND_CREATE_TOPIC, { header })
  await client.call(address, groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body: defaultGroupConfig('new') })
  const commit = { consumerGroup: 'new', topic: 'New', queueId: 0, commitOffset: 1 }
  await client.call(address, consumeRequests.UPDATE_CONSUMER_OFFSET, { header: commit })
  await broker.close()
  const written = async (name: string) => readFile(join(config, name), 'utf8')
  assert.ok((await written('topics.json')).includes(`"Old":${topic}`))
  const groups = await written('subscriptionGroup.json')
  assert.ok(groups.includes(`"old":${group}`) && groups.includes('"forbiddenTable":{"old":{"Old":4}}'))
  assert.match(await written('topics.json'), /"dataVersion":\{"counter":4,"stateVersion":1,/)
  assert.ok((await written('consumerOffset.json')).includes('"Old@old":{0:5,2:9007199254740991}'))
  assert.match(await written('delayOffset.json'), /"offsetTable":\{3:0\}/)
})

test('a topic whose name would leave the folder of the store is not taken from the file', async t => {
  const root = await folder(t)
  const first = await start(root)
  await first.send('a')
  await first.broker.close()
  const path = join(root, 'config', 'topics.json')
  await writeFile(path, (await readFile(path, 'utf8')).replaceAll('"Orders"', '"../../Orders"'))
  const second = await start(root)
  await assert.rejects(second.pull(), { responseCode: 17 })
})

test('with SYNC_FLUSH messages are acknowledged when they are on disk', async t => {
  const { send, pull } = await start(await folder(t), { flushDiskType: 'SYNC_FLUSH' })
  await Promise.all(['a', 'b', 'c'].map(send))
  assert.equal((await pull()).length, 3)
})
