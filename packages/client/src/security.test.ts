import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { signatureOf } from '@gantrymq/remoting'
import { type TestCluster, type TestClusterOptions, testCluster } from '@gantrymq/testkit/cluster'
import { Admin } from './admin/admin.ts'
import { PushConsumer } from './consumer/push-consumer.ts'
import { ClientError } from './errors.ts'
import { Producer, type ProducerOptions } from './producer/producer.ts'

const CREDENTIALS = { accessKey: 'operator', secretKey: 'open-sesame-1', securityToken: 'token-sesame-2' }
const TLS = { key: '-----BEGIN key-sesame-3', passphrase: 'phrase-sesame-4' }

async function clusterWithTopic(t: TestContext, options: TestClusterOptions = {}): Promise<TestCluster> {
  const cluster = await testCluster(t, options)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  return cluster
}

function shared({ nameServerList: nameServers, clock, dial }: TestCluster) {
  return { nameServers, clock, dial, credentials: CREDENTIALS }
}

async function producing(cluster: TestCluster, options: Partial<ProducerOptions> = {}): Promise<Producer> {
  return cluster.own(await cluster.outcome(Producer.start({ ...shared(cluster), group: 'orders', ...options })))
}

test('every request is signed, including the fields that onRequest added', async t => {
  const cluster = await clusterWithTopic(t)
  const onRequest = (fields: Map<string, string>): void => void fields.set('tenant', 'blue')
  const producer = await producing(cluster, { onRequest, namespaceV2: 'shop' })
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  const seen = [...cluster.nameServer.server.requests, ...cluster.broker.requests]
  assert.ok(seen.length >= 3, 'a route, a heartbeat, a send')
  for (const { name, header, body } of seen) {
    assert.equal(header['tenant'], 'blue', name)
    assert.equal(header['SecurityToken'], CREDENTIALS.securityToken, name)
    const expected = signatureOf(new Map(Object.entries(header)), body, CREDENTIALS.secretKey)
    assert.equal(header['Signature'], expected, name)
  }
})

test('when onRequest throws, the request fails with an error that names the option', async t => {
  const cluster = await clusterWithTopic(t)
  const producer = await producing(cluster, {
    onRequest: () => {
      throw new Error('no token today')
    },
  })
  const sending = cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  await assert.rejects(sending, /option onRequest threw: no token today/)
})

test('a query by id is signed again once the broker is known to be a 4.9 broker', async t => {
  const cluster = await clusterWithTopic(t, { brokers: [{ release: '4.9' }] })
  const { messageId } = await cluster.outcome((await producing(cluster)).send({ topic: 'Orders', body: 'hello' }))
  const remark = 'org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey=operator'
  cluster.broker.fault('QUERY_MESSAGE', {
    answer: 'code',
    code: 1,
    remark,
    times: Number.POSITIVE_INFINITY,
    where: ({ header, body }) =>
      header['Signature'] !==
      signatureOf(new Map(Object.entries(header)), body, CREDENTIALS.secretKey, '_UNIQUE_KEY_QUERY'),
  })
  const admin = cluster.own(await cluster.outcome(Admin.start(shared(cluster))))
  const found = await cluster.outcome(admin.messages.byId('Orders', messageId))
  assert.ok(found !== undefined)
})

test('the error for a permission that a 4.9 broker denies has advice and is not retriable', async t => {
  const cluster = await clusterWithTopic(t, { brokers: [{ release: '4.9' }] })
  const remark = 'org.apache.rocketmq.acl.common.AclException: No default permission for Orders'
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 1, remark, times: Number.POSITIVE_INFINITY })
  const producer = await producing(cluster, { retries: 0 })
  await assert.rejects(cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' })), (error: unknown) => {
    assert.ok(error instanceof ClientError)
    assert.deepEqual([error.code, error.responseCode, error.retriable], ['BROKER_REFUSED', 1, false])
    assert.match(error.message, /check the permissions .* and the credentials/)
    return true
  })
})

test('no log line, error or inspected object shows a secret', async t => {
  const cluster = await clusterWithTopic(t)
  const logged: unknown[] = []
  const note = (fields: object, text: string): void => void logged.push(fields, text)
  const log = { debug: note, info: note, warn: note, error: note }
  const errors: unknown[] = []
  const producer = await producing(cluster, { tls: TLS, log, trace: true, timeoutMs: 500 })
  const given = { ...shared(cluster), tls: TLS, log, group: 'billing', subscriptions: { Orders: '*' } }
  const consumer = cluster.own(await cluster.outcome(PushConsumer.start({ ...given, onMessage: () => undefined })))
  const send = () =>
    cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' })).catch(error => errors.push(error))
  await send()
  cluster.broker.fault('*', { answer: 'code', code: 16, remark: 'no', times: 20 })
  await send()
  cluster.broker.fault('*', { answer: 'garbage', times: 3 })
  await send()
  cluster.broker.down()
  await send()
  await cluster.advance(60_000, 1000)
  assert.ok(errors.length >= 2 && logged.length > 4, 'there were errors and log lines')
  const everything = [producer, consumer, ...errors, ...logged]
  const shown = everything.map(each => inspect(each, { depth: 20, showHidden: true, getters: true })).join('\n')
  const json = everything.map(each => JSON.stringify(each)).join('\n')
  assert.doesNotMatch(shown + json, /sesame/)
})

test('the error for a wrong option with a secret does not show its value', async () => {
  const secret = 'operator:open-sesame'
  const wrong: object[] = [
    { credentials: secret },
    { tls: secret },
    { credentials: { ...CREDENTIALS, securityToken: 7 } },
    { credentials: { accessKey: 'sesame' } },
  ]
  for (const options of wrong) {
    const starting = Producer.start({ nameServers: 'localhost:9876', group: 'orders', ...options })
    await assert.rejects(starting, error => error instanceof ClientError && !error.message.includes('sesame'))
  }
})
