import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { Broker, type BrokerStartOptions } from '@gantrymq/broker'
import {
  consumeRequests,
  decodeMessages,
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
