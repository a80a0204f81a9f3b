import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  consumeRequests,
  groupRequests,
  nameServerRequests,
  offsetRequests,
  queryRequests,
  topicRequests,
} from '@gantrymq/protocol'
import { ResponseError } from '@gantrymq/remoting'
import { startAdmin, brokerData, nameServerOf, serving } from '../../test/admin-servers.ts'
import { ClientError } from '../errors.ts'
import { Admin } from './admin.ts'

const A = 'a:10911'
const B = 'b:10911'
const both = nameServerOf([brokerData('broker-a', A, 'a-slave:10911'), brokerData('broker-b', B)])
const CLUSTER = { cluster: 'c' }

const { UPDATE_AND_CREATE_TOPIC, GET_TOPIC_CONFIG, GET_ALL_TOPIC_CONFIG } = topicRequests
const { GET_TOPIC_STATS_INFO, QUERY_TOPIC_CONSUME_BY_WHO } = topicRequests

/** A broker that records the topics that it is to create. */
function topicMaker(made: unknown[]) {
  return serving(
    { UPDATE_AND_CREATE_TOPIC },
    {
      UPDATE_AND_CREATE_TOPIC({ header }) {
        made.push(header)
        return {}
      },
    },
  )
}

test('a topic is created at every master of a cluster and at no slave', async t => {
  const made: unknown[] = []
  const { admin } = await startAdmin(t, { 'ns-1:9876': both, [A]: topicMaker(made), [B]: topicMaker(made) })
  await admin.topics.create('T', CLUSTER, { queues: 4, attributes: { 'message.type': 'FIFO', old: null } })
  const wanted = {
    topic: 'T',
    defaultTopic: 'TBW102',
    readQueueNums: 4,
    writeQueueNums: 4,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
    attributes: '+message.type=FIFO,-old',
  }
  assert.deepEqual(made, [wanted, wanted])
})

test('a broker that fails is named in the error, and the others are asked all the same', async t => {
  const made: unknown[] = []
  const { admin } = await startAdmin(t, { 'ns-1:9876': both, [B]: topicMaker(made) })
  await assert.rejects(admin.topics.create('T', CLUSTER), (error: unknown) => {
    assert.ok(error instanceof ClientError)
    assert.equal(error.code, 'CONNECT_FAILED')
    assert.equal(error.address, A)
    assert.match(error.message, /1 of 2 servers failed: a:10911/)
    return true
  })
  assert.equal(made.length, 1)
})

test('a change of a topic keeps the other settings, also with brokers that can only return all topics', async t => {
  const made: unknown[] = []
  const config = {
    topicName: 'T',
    readQueueNums: 5,
    writeQueueNums: 6,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 1,
    order: true,
  }
  const modern = serving(
    { UPDATE_AND_CREATE_TOPIC, GET_TOPIC_CONFIG },
    {
      UPDATE_AND_CREATE_TOPIC: ({ header }) => (made.push(header), {}),
      GET_TOPIC_CONFIG: () => ({ body: { ...config, attributes: new Map([['message.type', 'FIFO']]) } }),
    },
  )
  const old = serving(
    { UPDATE_AND_CREATE_TOPIC, GET_ALL_TOPIC_CONFIG },
    {
      UPDATE_AND_CREATE_TOPIC: ({ header }) => (made.push(header), {}),
      GET_ALL_TOPIC_CONFIG: () => ({
        body: { dataVersion: { stateVersion: 0, timestamp: 0, counter: 0 }, topics: new Map([['T', config]]) },
      }),
    },
  )
  const { admin } = await startAdmin(t, { 'ns-1:9876': both, [A]: modern, [B]: old })
  await admin.topics.update('T', CLUSTER, { perm: 4 })
  const wanted = {
    topic: 'T',
    defaultTopic: 'TBW102',
    readQueueNums: 5,
    writeQueueNums: 6,
    perm: 4,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 1,
    order: true,
  }
  assert.deepEqual(made, [wanted, wanted])
  await assert.rejects(admin.topics.update('other', { broker: B }, { perm: 4 }), { code: 'NOT_FOUND' })
})

test('the error for an unregistered cluster, broker or topic says what is registered', async t => {
  const { admin } = await startAdmin(t, { 'ns-1:9876': both })
  await assert.rejects(admin.topics.create('T', { cluster: 'x' }), {
    code: 'BROKER_MISSING',
    message: /x .*registered are: c/,
  })
  await assert.rejects(admin.topics.create('T', { brokerName: 'x' }), { code: 'BROKER_MISSING' })
  await assert.rejects(admin.topics.create('T', { topic: 'missing' }), { code: 'ROUTE_MISSING' })
  await assert.rejects(admin.offsets.max({ topic: 'T', brokerName: 'x', queueId: 0 }), { code: 'BROKER_MISSING' })
  await assert.rejects(admin.topics.create('a b', CLUSTER), { code: 'BAD_NAME' })
})

test('every name server is asked, and one that is down fails the call after the others were asked', async t => {
  const asked: string[] = []
  const { PUT_KV_CONFIG } = nameServerRequests
  const store = (name: string) =>
    serving({ PUT_KV_CONFIG }, { PUT_KV_CONFIG: ({ header }) => (asked.push(`${name} ${header.key}`), {}) })
  const { admin } = await startAdmin(t, { 'ns-1:9876': store('1'), 'ns-3:9876': store('3') }, [
    'ns-1:9876',
    'ns-2:9876',
    'ns-3:9876',
  ])
  await assert.rejects(admin.config.putKV('n', 'k', 'v'), { code: 'CONNECT_FAILED', message: /1 of 3.*ns-2/ })
  assert.deepEqual(asked.toSorted(), ['1 k', '3 k'])
})

test('the statistics of a topic are those of all its brokers', async t => {
  const stats = (brokerName: string, putTps: number) =>
    serving(
      { GET_TOPIC_STATS_INFO },
      {
        GET_TOPIC_STATS_INFO: ({ header: { topic } }) => ({
          body: {
            queues: [{ queue: { topic, brokerName, queueId: 0 }, minOffset: 0, maxOffset: 5, lastUpdateTimestamp: 1 }],
            putTps,
          },
        }),
      },
    )
  const { admin } = await startAdmin(t, {
    'ns-1:9876': both,
    [A]: stats('broker-a', 1),
    [B]: stats('broker-b', 2),
  })
  const { queues, putTps } = await admin.stats.ofTopic('T')
  assert.deepEqual(
    queues.map(({ queue }) => queue.brokerName),
    ['broker-a', 'broker-b'],
  )
  assert.equal(putTps, 3)
})

test('the groups of a topic are listed once, without the topic itself', async t => {
  const groups = (list: string[]) =>
    serving({ QUERY_TOPIC_CONSUME_BY_WHO }, { QUERY_TOPIC_CONSUME_BY_WHO: () => ({ body: list }) })
  const { admin } = await startAdmin(t, {
    'ns-1:9876': both,
    [A]: groups(['g2', 'T']),
    [B]: groups(['g1', 'g2']),
  })
  assert.deepEqual(await admin.topics.groups('T'), ['g1', 'g2'])
})

test('a call ends at its deadline, or when its signal is aborted', async t => {
  const silent = () => new Promise<never>(() => {})
  const { admin, clock } = await startAdmin(t, { 'ns-1:9876': both, [A]: silent })
  const stop = new AbortController()
  const waiting = assert.rejects(admin.brokers.runtimeInfo({ broker: A }, { timeoutMs: 1000 }), { code: 'TIMEOUT' })
  const stopped = assert.rejects(admin.brokers.runtimeInfo({ broker: A }, { signal: stop.signal }), { code: 'ABORTED' })
  await new Promise(resolve => setImmediate(resolve))
  stop.abort()
  await stopped
  clock.advance(2000)
  await waiting
})

test('a reset of a group without consumers commits offsets, forward only with force', async t => {
  const { GET_CONSUME_STATS } = groupRequests
  const { INVOKE_BROKER_TO_RESET_OFFSET } = offsetRequests
  const { UPDATE_CONSUMER_OFFSET } = consumeRequests
  const { SEARCH_OFFSET_BY_TIMESTAMP } = queryRequests
  const queue = (queueId: number) => ({ topic: 'T', brokerName: 'broker-a', queueId })
  const committed: string[] = []
  const broker = serving(
    {
      GET_CONSUME_STATS,
      INVOKE_BROKER_TO_RESET_OFFSET,
      UPDATE_CONSUMER_OFFSET,
      SEARCH_OFFSET_BY_TIMESTAMP,
      GET_TOPIC_STATS_INFO,
    },
    {
      INVOKE_BROKER_TO_RESET_OFFSET() {
        throw new ResponseError(206, 'Consumer not online')
      },
      GET_TOPIC_STATS_INFO: () => ({
        body: {
          queues: [0, 1, 2].map(id => ({ queue: queue(id), minOffset: 0, maxOffset: 9, lastUpdateTimestamp: 1 })),
          putTps: 0,
        },
      }),
      GET_CONSUME_STATS: () => ({
        body: {
          queues: [
            { queue: queue(0), brokerOffset: 9, consumerOffset: 3, lastTimestamp: 0 },
            { queue: queue(1), brokerOffset: 9, consumerOffset: 7, lastTimestamp: 0 },
          ],
          consumeTps: 0,
        },
      }),
      SEARCH_OFFSET_BY_TIMESTAMP: () => ({ header: { offset: 5 } }),
      UPDATE_CONSUMER_OFFSET({ header }) {
        committed.push(`${header.queueId}=${header.commitOffset}`)
        return {}
      },
    },
  )
  const { admin } = await startAdmin(t, { 'ns-1:9876': nameServerOf([brokerData('broker-a', A)]), [A]: broker })
  const rows = await admin.offsets.reset({ group: 'g', topic: 'T', to: new Date(1), force: false })
  assert.deepEqual(
    rows.map(({ queue: { queueId }, offset }) => [queueId, offset]),
    [
      [0, 3],
      [1, 5],
      [2, 5],
    ],
  )
  assert.deepEqual(committed.toSorted(), ['1=5', '2=5'])
  await admin.offsets.reset({ group: 'g', topic: 'T', to: new Date(1) })
  assert.deepEqual(committed.slice(2).toSorted(), ['0=5', '1=5', '2=5'])
})

test('settings are sent as a properties file and returned line by line', async t => {
  const { GET_NAMESRV_CONFIG, UPDATE_NAMESRV_CONFIG } = nameServerRequests
  const bodies: unknown[] = []
  const server = serving(
    { GET_NAMESRV_CONFIG, UPDATE_NAMESRV_CONFIG },
    {
      GET_NAMESRV_CONFIG: () => ({ body: 'kvConfigPath=C:\\x=y\nlistenPort=9876\n' }),
      UPDATE_NAMESRV_CONFIG: ({ body }) => (bodies.push(body), {}),
    },
  )
  const { admin } = await startAdmin(t, { 'ns-1:9876': server })
  const settings = await admin.config.ofNameServers()
  assert.deepEqual(
    [...(settings.get('ns-1:9876') ?? [])],
    [
      ['kvConfigPath', 'C:\\x=y'],
      ['listenPort', '9876'],
    ],
  )
  await admin.config.updateNameServers({ kvConfigPath: 'C:\\x', listenPort: 1 })
  assert.match(String(bodies[0]), /^kvConfigPath=C(\\:|:)\\\\x\nlistenPort=1\n$/)
})

test('an admin may be closed twice, and later calls fail with CLOSED', async t => {
  const { admin } = await startAdmin(t, { 'ns-1:9876': both })
  await admin.clusters.names()
  await Promise.all([admin.close(), admin.close()])
  await assert.rejects(admin.clusters.names(), { code: 'CLOSED' })
  await assert.rejects(Admin.start({ timeoutMs: 0 }), { code: 'BAD_OPTION', message: /timeoutMs/ })
})
