import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Broker } from '@gantrymq/broker'
import { consumeRequests, groupRequests, defaultGroupConfig, sendRequests } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'

/** A broker with three messages in a topic, of which a group has consumed one. */
async function withMessages(t: TestContext) {
  const metricsPage = (source: { families(): unknown }) => ({
    contentType: 'application/json',
    render: async () => JSON.stringify(await source.families()),
  })
  const broker = await Broker.start({ port: 0, host: '127.0.0.1', brokerName: 'broker-a', metricsPage })
  const client = new RemotingClient()
  t.after(async () => {
    await client.close()
    await broker.close()
  })
  const address = `127.0.0.1:${broker.address.port}`
  for (let i = 0; i < 3; i++) {
    const header = { producerGroup: 'p', topic: 'Orders', defaultTopic: 'TBW102', defaultTopicQueueNums: 1, queueId: 0, sysFlag: 0, bornTimestamp: 1, flag: 0 } // biome-ignore format: one thought
    await client.call(address, sendRequests.SEND_MESSAGE, { header, body: Buffer.from('hello') })
  }
  await client.call(address, groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body: defaultGroupConfig('g') })
  const commit = { consumerGroup: 'g', topic: 'Orders', queueId: 0, commitOffset: 1 }
  await client.call(address, consumeRequests.UPDATE_CONSUMER_OFFSET, { header: commit })
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into JSON freely
  const get = async (path: string): Promise<any> => (await fetch(`http://${address}${path}`)).json()
  return { broker, get }
}

test('the port of the broker serves topics, groups with their backlogs, and clients over HTTP', async t => {
  const { get } = await withMessages(t)
  const { topics } = await get('/api/v1/topics?prefix=Ord')
  assert.deepEqual(topics, [
    { topic: 'Orders', readQueueNums: 1, writeQueueNums: 1, perm: 6, messages: 3, putPerSecond: 0 },
  ])
  const { queues } = await get('/api/v1/topics/Orders')
  assert.deepEqual(queues, [{ queueId: 0, minOffset: 0, maxOffset: 3 }])
  const { groups } = await get('/api/v1/groups?prefix=g')
  assert.deepEqual(groups, [{ group: 'g', clients: 0, backlog: 2 }])
  const group = await get('/api/v1/groups/g')
  assert.deepEqual(group.queues, [
    { topic: 'Orders', queueId: 0, minOffset: 0, maxOffset: 3, committed: 1, backlog: 2 },
  ])
  assert.deepEqual(await get('/api/v1/clients'), { clients: [], total: 0 })
  assert.equal((await get('/api/v1/groups/unknown')).code, 'GROUP_NOT_FOUND')
  assert.equal((await get('/api/v1/topics/unknown')).code, 'TOPIC_NOT_FOUND')
  assert.equal((await get('/readyz')).ready, true)
})

test('the metrics have the names of Apache', async t => {
  const { get } = await withMessages(t)
  const families: { name: string; samples?: { labels: object; value: number }[] }[] = await get('/metrics')
  const samplesOf = (name: string) => families.find(family => family.name === name)?.samples
  assert.deepEqual(samplesOf('rocketmq_messages_in_total'), [{ labels: { topic: 'Orders' }, value: 3 }])
  assert.deepEqual(samplesOf('rocketmq_consumer_lag_messages'), [
    { labels: { consumer_group: 'g', topic: 'Orders' }, value: 2 },
  ])
  assert.deepEqual(samplesOf('rocketmq_broker_permission'), [{ labels: {}, value: 6 }])
  assert.ok(families.some(({ name }) => name === 'rocketmq_rpc_latency_milliseconds'))
})
