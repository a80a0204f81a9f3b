import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeRegisterBroker, nameServerRequests as requests } from '@gantrymq/protocol'
import { RemotingClient, RemotingError, ResponseError, type SerializeType } from '@gantrymq/remoting'
import type { Owner } from '../launch/launched-program.ts'
import { type ServerUnderTest } from './server-under-test.ts'
import { nextNumber, unique, uniqueAddress } from '../unique.ts'

const RELEASES = { '4.9.8': 409, '5.5.0': 513 }
const NO_ROUTE = 17

/** Our RemotingClient and request declarations with every name server. */
export function ourClient(server: ServerUnderTest): void {
  for (const serializeType of ['JSON', 'ROCKETMQ'] as const) {
    for (const [release, version] of Object.entries(RELEASES)) {
      test(`a broker of ${release} with ${serializeType} headers registers, is listed and unregisters`, t =>
        life(server, t, serializeType, version))
    }
  }

  test('an error response keeps its code and its remark', async t => {
    const { client, address } = clientOf(server, t)
    const topic = unique('nowhere')
    await assert.rejects(client.call(address, requests.GET_ROUTEINFO_BY_TOPIC, { header: { topic } }), error => {
      assert.ok(error instanceof ResponseError)
      assert.equal(error.responseCode, NO_ROUTE)
      assert.match(error.remark ?? '', new RegExp(topic))
      return true
    })
  })

  // 4.9 does not answer unknown requests.
  test('an unknown request fails at once or at its deadline', async t => {
    const { client, address } = clientOf(server, t)
    const unknown = { code: 9999, purpose: 'For this test only.' }
    await assert.rejects(client.call(address, unknown, {}, { timeoutMs: 300 }), error =>
      server.line === '4.9'
        ? error instanceof RemotingError && error.code === 'TIMEOUT'
        : error instanceof ResponseError && error.responseCode === 3,
    )
  })

  test('concurrent calls on one connection each get their own answer', async t => {
    const { client, address } = clientOf(server, t)
    const namespace = unique('space')
    const keys = Array.from({ length: 200 }, () => `key-${nextNumber()}`)
    await Promise.all(
      keys.map(key => client.call(address, requests.PUT_KV_CONFIG, { header: { namespace, key, value: `of ${key}` } })),
    )
    const values = await Promise.all(
      keys.map(key => client.call(address, requests.GET_KV_CONFIG, { header: { namespace, key } })),
    )
    assert.deepEqual(
      values.map(reply => reply.header.value),
      keys.map(key => `of ${key}`),
    )
  })
}

function clientOf(
  server: ServerUnderTest,
  t: Owner,
  serializeType: SerializeType = 'JSON',
  version = RELEASES['5.5.0'],
) {
  const client = new RemotingClient({ serializeType, version })
  t.after(() => client.close())
  return { client, address: `127.0.0.1:${server.running.port}` }
}

async function life(server: ServerUnderTest, t: Owner, serializeType: SerializeType, version: number): Promise<void> {
  const { client, address } = clientOf(server, t, serializeType, version)
  const names = { brokerName: unique('broker'), clusterName: unique('cluster') }
  const who = { ...names, brokerAddr: uniqueAddress(), brokerId: 0 }
  const dataVersion = { stateVersion: 0, timestamp: 1_700_000_000_000, counter: 3 }
  const [topic, other] = [unique('topic'), unique('topic')]
  const config = {
    readQueueNums: 8,
    writeQueueNums: 8,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
  }
  const topics = new Map([topic, other].map(topicName => [topicName, { topicName, ...config }]))

  const body = encodeRegisterBroker(
    { dataVersion, topics, topicQueueMappings: new Map(), filterServers: [] },
    { version, compressed: false },
  )
  await client.call(address, requests.REGISTER_BROKER, { header: who, body })

  const { body: route } = await client.call(address, requests.GET_ROUTEINFO_BY_TOPIC, { header: { topic } })
  assert.deepEqual(
    route?.brokerDatas.map(data => data.brokerAddrs),
    [new Map([[0, who.brokerAddr]])],
  )
  assert.deepEqual(
    route?.queueDatas.map(queue => queue.readQueueNums),
    [8],
  )

  const { body: info } = await client.call(address, requests.GET_BROKER_CLUSTER_INFO)
  assert.deepEqual(info?.clusterAddrTable.get(who.clusterName), [who.brokerName])
  assert.deepEqual(info?.brokerAddrTable.get(who.brokerName)?.brokerAddrs, new Map([[0, who.brokerAddr]]))

  const same = await client.call(address, requests.QUERY_DATA_VERSION, { header: who, body: dataVersion })
  assert.deepEqual([same.header.changed, same.body], [false, dataVersion])

  const wiped = await client.call(address, requests.WIPE_WRITE_PERM_OF_BROKER, { header: who })
  assert.equal(wiped.header.wipeTopicCount, 2)
  const added = await client.call(address, requests.ADD_WRITE_PERM_OF_BROKER, { header: who })
  assert.equal(added.header.addTopicCount, 2)

  const { body: list } = await client.call(address, requests.GET_TOPICS_BY_CLUSTER, {
    header: { cluster: who.clusterName },
  })
  assert.deepEqual(list?.topicList.toSorted(), [topic, other].toSorted())
  await client.call(address, requests.DELETE_TOPIC_IN_NAMESRV, { header: { topic: other } })
  const { body: all } = await client.call(address, requests.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)
  assert.deepEqual([all?.topicList.includes(topic), all?.topicList.includes(other)], [true, false])

  const { body: settings } = await client.call(address, requests.GET_NAMESRV_CONFIG)
  assert.match(settings ?? '', new RegExp(`^listenPort=${server.running.port}$`, 'm'))
  await client.call(address, requests.UNREGISTER_BROKER, { header: who })
}
