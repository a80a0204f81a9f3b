import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Admin, ClientError } from '@gantrymq/client'
import { RELEASES, type Release, skipReason } from '../src/launch/apache.ts'
import type { ConsumerUnderTest } from '../src/drivers/client-under-test.ts'
import { type Cluster, type ClusterPlan, clusterFor, suiteName } from '../src/client/cluster.ts'
import { eventually } from '../src/eventually.ts'
import { unique } from '../src/unique.ts'
import { startApacheBroker } from '../src/launch/launcher.ts'
import { startOurs } from '../src/launch/our-name-server.ts'

const skip = await skipReason()
const TARGET = { cluster: 'DefaultCluster' }

function refused(responseCode: number) {
  return (error: unknown) => error instanceof ClientError && error.responseCode === responseCode
}

function failed(code: string) {
  return (error: unknown) => error instanceof ClientError && error.code === code
}

/** Starts an admin for the enclosing `describe`. */
function adminFor(cluster: () => Cluster): () => Admin {
  let admin: Admin | undefined
  before(async () => {
    admin = await Admin.start({ nameServers: cluster().nameServers })
  })
  after(() => admin?.close())
  return () => admin ?? assert.fail('the admin did not start')
}

function topicsAndGroups(cluster: () => Cluster, admin: () => Admin): void {
  test('a topic is created, changed and deleted', async () => {
    const { topics } = admin()
    const topic = unique('admin-topic')
    await topics.create(topic, TARGET, { queues: 3 })
    await eventually(async () => assert.equal((await topics.route(topic)).queueDatas[0]?.readQueueNums, 3))
    await topics.update(topic, TARGET, { perm: 4 })
    const broker = { broker: cluster().broker.address }
    const { perm, writeQueueNums } = await topics.config(topic, broker)
    assert.deepEqual([perm, writeQueueNums], [4, 3])
    assert.ok((await topics.configs(broker)).has(topic))
    assert.ok((await topics.list()).includes(topic))
    assert.ok((await topics.list({ cluster: 'DefaultCluster' })).includes(topic))
    assert.deepEqual(await topics.clusters(topic), ['DefaultCluster'])
    await topics.delete(topic, TARGET)
    await assert.rejects(topics.config(topic, broker), error => failed('NOT_FOUND')(error) || refused(17)(error))
    await eventually(() => assert.rejects(topics.route(topic), failed('ROUTE_MISSING')))
  })

  test('an application creates a topic on the brokers of the default topic', async () => {
    const topic = unique('admin-like')
    await admin().topics.create(topic, { topic: 'TBW102' }, { queues: 1 })
    await eventually(async () => assert.equal((await admin().topics.route(topic)).queueDatas.length, 1))
  })

  test('an update of a topic keeps the attributes that it does not mention', async t => {
    if (!cluster().is5) return t.skip('only 5.x has attributes')
    const { topics } = admin()
    const topic = unique('admin-fifo')
    await topics.create(topic, TARGET, { attributes: { 'message.type': 'FIFO' } })
    await topics.update(topic, TARGET, { queues: 2, readQueues: 2, writeQueues: 2 })
    const config = await topics.config(topic, TARGET)
    assert.equal(config.attributes?.get('message.type'), 'FIFO')
    assert.equal(config.readQueueNums, 2)
    const many = [{ ...config, topicName: unique('admin-many'), attributes: new Map() }]
    await topics.createMany(many, TARGET)
    assert.equal((await topics.config(many[0]?.topicName ?? '', TARGET)).writeQueueNums, 2)
  })

  test('an invalid topic name is refused before a request is sent', async () => {
    await assert.rejects(admin().topics.create('a b', TARGET), failed('BAD_NAME'))
    await assert.rejects(admin().topics.create('TBW102', TARGET), failed('BAD_NAME'))
    await assert.rejects(admin().topics.create('x', { cluster: 'nowhere' }), /nowhere.*DefaultCluster/)
  })

  test('a group is created, changed and deleted', async () => {
    const { groups } = admin()
    const group = unique('admin-group')
    await groups.create(group, TARGET, { retryMaxTimes: 3 })
    await groups.update(group, TARGET, { retryQueueNums: 2 })
    const config = await groups.config(group, TARGET)
    assert.deepEqual([config.retryMaxTimes, config.retryQueueNums], [3, 2])
    assert.ok((await groups.list(TARGET)).has(group))
    await groups.delete(group, TARGET, { offsets: true })
    await assert.rejects(groups.config(group, TARGET), failed('NOT_FOUND'))
    assert.equal(await groups.exists(group), false)
  })

  test('an update of a group keeps its attributes and retry policy', async t => {
    if (!cluster().is5) return t.skip('only 5.x has both')
    const { groups } = admin()
    const group = unique('admin-policy')
    const groupRetryPolicy = {
      type: 'EXPONENTIAL' as const,
      exponential: { initial: 1000, max: 60_000, multiplier: 3 },
    }
    await groups.create(group, TARGET, { groupRetryPolicy })
    await groups.update(group, TARGET, { retryMaxTimes: 5 })
    const config = await groups.config(group, TARGET)
    assert.deepEqual(config.groupRetryPolicy?.exponential, groupRetryPolicy.exponential)
    await groups.createMany([{ ...config, groupName: unique('admin-more') }], TARGET)
  })

  test('an admin forbids a group to read a topic', async t => {
    const topic = await cluster().topic()
    const { groups } = admin()
    const group = unique('admin-forbidden')
    await groups.create(group, TARGET)
    if (!cluster().is5) {
      await assert.rejects(groups.forbidden(group, topic, TARGET), failed('UNSUPPORTED'))
      return t.diagnostic('4.9 does not support this request')
    }
    assert.equal((await groups.forbidden(group, topic, TARGET)).readable, true)
    assert.equal((await groups.forbidden(group, topic, TARGET, { readable: false })).readable, false)
    assert.equal((await groups.forbidden(group, topic, TARGET)).readable, false)
  })
}

function brokersAndConfig(cluster: () => Cluster, admin: () => Admin): void {
  test('an admin lists clusters and brokers and reads their state', async () => {
    const { clusters, brokers } = admin()
    assert.deepEqual(await clusters.names(), ['DefaultCluster'])
    assert.deepEqual(await clusters.masters('DefaultCluster'), [
      { brokerName: cluster().brokerName, address: cluster().broker.address },
    ])
    assert.equal((await clusters.members(undefined)).length, 1)
    assert.deepEqual(clusters.nameServers(), [cluster().nameServers])
    // In its first second a broker of 4.9 fails because its counters are empty.
    await eventually(async () => {
      const info = await brokers.runtimeInfo({ brokerName: cluster().brokerName })
      assert.match(info.get('brokerVersionDesc') ?? '', cluster().is5 ? /V5_5_0/ : /V4_9_7/)
    })
  })

  test('an admin reads and changes the settings of a broker', async () => {
    const { config } = admin()
    await config.updateBroker({ waitTimeMillsInSendQueue: 321, 'no such key': 'a=b\\c' }, TARGET)
    const settings = await config.ofBroker(TARGET)
    assert.equal(settings.get('waitTimeMillsInSendQueue'), '321')
    assert.equal(settings.get('brokerName'), cluster().brokerName)
  })

  test('an admin reads and changes the settings and the KV table of name servers', async () => {
    const { config } = admin()
    const [settings] = (await config.ofNameServers()).values()
    assert.ok(settings && settings.size > 5)
    await config.putKV('admin', 'k', 'v 1')
    assert.equal(await config.getKV('admin', 'k'), 'v 1')
    assert.deepEqual(await config.listKV('admin'), new Map([['k', 'v 1']]))
    await config.deleteKV('admin', 'k')
    assert.equal(await config.getKV('admin', 'k'), null)
    assert.equal((await config.listKV('nothing')).size, 0)
    const { topics } = admin()
    await topics.setOrderConf('admin-ordered', 'a:4')
    assert.equal(await topics.orderConf('admin-ordered'), 'a:4')
    await topics.setOrderConf('admin-ordered', null)
    assert.equal(await topics.orderConf('admin-ordered'), null)
  })

  test('an admin removes the write permission of a broker and restores it', async () => {
    const { permissions, topics } = admin()
    const topic = await cluster().topic()
    const [wiped] = await permissions.wipeWrite(cluster().brokerName)
    assert.ok(wiped && wiped.topics > 0 && wiped.nameServer === cluster().nameServers)
    assert.equal((await topics.route(topic)).queueDatas[0]?.perm, 4)
    await permissions.addWrite(cluster().brokerName)
    assert.equal((await topics.route(topic)).queueDatas[0]?.perm, 6)
  })

  test('a broker cleans up on request', async () => {
    const { brokers } = admin()
    await brokers.cleanExpiredConsumeQueues(TARGET)
    await brokers.cleanUnusedTopics(TARGET)
    await brokers.deleteExpiredCommitLog(TARGET)
    assert.ok((await admin().topics.ofSystem(TARGET)).includes('TBW102'))
  })
}

function messagesAndOffsets(cluster: () => Cluster, admin: () => Admin): void {
  const QUEUES = 2

  async function filled(count: number) {
    const topic = await cluster().topic('admin-messages', QUEUES)
    const messages = Array.from({ length: count }, (_, at) => ({
      topic,
      body: `body ${at}`,
      tags: at % 2 === 0 ? 'even' : 'odd',
      keys: [`key-${at}`, 'shared'],
    }))
    const start = new Date()
    const receipts = await cluster().java.send(messages)
    const queue = (queueId: number) => ({ topic, brokerName: cluster().brokerName, queueId })
    await eventually(async () => {
      const { queues } = await admin().stats.ofTopic(topic)
      assert.equal(
        queues.reduce((total, { maxOffset }) => total + maxOffset, 0),
        count,
      )
    })
    return { topic, receipts, queue, start }
  }

  test('an admin finds a message by both of its ids, by key and by offset', async () => {
    const { topic, receipts } = await filled(4)
    const { messages } = admin()
    const [first] = receipts
    assert.ok(first)
    await eventually(async () => {
      const found = await messages.byId(topic, first.messageId)
      assert.equal(found?.body.toString(), 'body 0')
      assert.equal(found?.offsetMessageId, first.offsetMessageId)
    })
    const stored = await messages.byId(topic, first.offsetMessageId ?? '')
    assert.deepEqual([stored?.messageId, stored?.tags, stored?.keys], [first.messageId, 'even', ['key-0', 'shared']])
    assert.deepEqual((await messages.byKey(topic, 'shared')).map(each => each.body.toString()).toSorted(), [
      'body 0',
      'body 1',
      'body 2',
      'body 3',
    ])
    assert.deepEqual(await messages.byKey(topic, 'nothing'), [])
    assert.equal(await messages.byId(topic, '0'.repeat(32)), undefined)
    const at = await messages.at(first.queue, first.queueOffset)
    assert.equal(at?.messageId, first.messageId)
    assert.equal(await messages.at(first.queue, 1_000_000), undefined)
  })

  test('an admin lists the messages of a time span, with a tag', async () => {
    const { topic, start } = await filled(80)
    const listed = async (query: object) => {
      const bodies: string[] = []
      for await (const message of admin().messages.between(topic, query)) bodies.push(message.body.toString())
      return bodies
    }
    assert.equal(new Set(await listed({ from: new Date(start.getTime() - 60_000) })).size, 80)
    assert.equal((await listed({ tags: 'odd' })).length, 40)
    assert.deepEqual(await listed({ to: new Date(start.getTime() - 60_000) }), [])
    assert.deepEqual(await listed({ from: new Date(start.getTime() + 3600_000) }), [])
  })

  test('an admin reads the offsets of queues', async () => {
    const { queue, start, receipts } = await filled(6)
    const { offsets } = admin()
    const inQueue = receipts.filter(receipt => receipt.queue.queueId === 0).length
    assert.equal(await offsets.min(queue(0)), 0)
    assert.equal(await offsets.max(queue(0)), inQueue)
    assert.equal(await offsets.atTime(queue(0), new Date(start.getTime() - 60_000)), 0)
    const earliest = await offsets.earliestTime(queue(0))
    assert.ok(earliest && earliest.getTime() >= start.getTime() - 60_000)
    await assert.rejects(offsets.max({ ...queue(0), brokerName: 'unknown' }), failed('BROKER_MISSING'))
  })

  test('an admin reads the statistics of a topic, a group and a counter', async () => {
    const { topic, queue } = await filled(6)
    const { stats, offsets } = admin()
    const group = unique('admin-stats')
    await admin().groups.create(group, TARGET)
    const ofTopic = await stats.ofTopic(topic)
    assert.equal(
      ofTopic.queues.reduce((total, row) => total + row.maxOffset, 0),
      6,
    )
    await offsets.commit(group, queue(0), 1)
    assert.equal(await offsets.committed(group, queue(0)), 1)
    assert.equal(await offsets.committed(unique('admin-none'), queue(0)), cluster().is5 ? null : 0)
    const { queues } = await stats.ofGroup(group, { topic })
    assert.equal(queues.find(row => row.queue.queueId === 0)?.consumerOffset, 1)
    assert.ok((await offsets.ofBroker(TARGET)).has(`${topic}@${group}`))
    assert.ok((await stats.ofBroker(TARGET)).groups.some(each => each.group === group))
    assert.ok((await admin().topics.groups(topic)).includes(group))
    const spans = await stats.timeSpans(group, topic)
    assert.equal(spans.length, QUEUES)
    const counter = await stats.counter('TOPIC_PUT_NUMS', topic, TARGET)
    assert.ok(counter.statsMinute.sum >= 0)
    await assert.rejects(stats.counter('TOPIC_PUT_NUMS', 'nothing', TARGET), refused(1))
    const view = await admin().brokers.consumeQueue({ queue: queue(0), index: 0, count: 2 })
    assert.ok((view.entries[0]?.physicSize ?? 0) > 0)
  })

  test('the offsets of an offline group are set to the end, to a time, and copied', async () => {
    const { topic, queue } = await filled(6)
    const { offsets } = admin()
    const group = unique('admin-reset')
    await admin().groups.create(group, TARGET)
    for (const id of [0, 1]) await offsets.commit(group, queue(id), 1)
    const ends = await offsets.reset({ group, topic, to: 'end' })
    assert.equal(ends.length, QUEUES)
    const moved = async (id: number) => {
      const { queues } = await admin().stats.ofGroup(group, { topic })
      return queues.find(row => row.queue.queueId === id)?.consumerOffset
    }
    // 5.x applies a reset with the next pull; without a running consumer the offset table has it at once.
    for (const { queue: at, offset } of ends) assert.equal(offset, await offsets.max(at))
    if (!cluster().is5) assert.equal(await moved(0), await offsets.max(queue(0)))
    const begins = await offsets.reset({ group, topic, to: 'begin' })
    assert.deepEqual(
      begins.map(row => row.offset),
      [0, 0],
    )
    // Until a consumer has pulled, 5.x ignores commits, and says so only in the remark of a success.
    const again = offsets.commit(group, queue(1), 2)
    if (cluster().is5) await assert.rejects(again, failed('BROKER_REFUSED'))
    else await again
  })

  test('an admin copies the offsets of a group to another', async () => {
    const { topic, queue } = await filled(6)
    const { offsets } = admin()
    const [from, to] = [unique('admin-from'), unique('admin-to')]
    for (const group of [from, to]) await admin().groups.create(group, TARGET)
    await offsets.commit(from, queue(1), 2)
    const rows = await offsets.clone({ from, to, topic })
    assert.equal(rows.find(row => row.queue.queueId === 1)?.offset, 2)
    assert.equal(await offsets.committed(to, queue(1)), 2)
  })

  test('only 5.x resets a single queue', async () => {
    const { queue } = await filled(4)
    const group = unique('admin-queue')
    await admin().groups.create(group, TARGET)
    const { offsets } = admin()
    const resetting = offsets.resetQueue(group, queue(0), 1)
    if (cluster().is5) await resetting
    else await assert.rejects(resetting, failed('UNSUPPORTED'))
  })
}

function clients(cluster: () => Cluster, admin: () => Admin): void {
  /** Java consumers commit offsets ten seconds after their start, then every second. */
  const PERSISTED_MS = 20_000

  async function running(t: { after(close: () => Promise<void>): void }) {
    const topic = await cluster().topic('admin-clients', 2)
    const group = unique('admin-consumers')
    const consumer: ConsumerUnderTest = await cluster().java.consume(t, { group, subscriptions: { [topic]: '*' } })
    const [receipt] = await cluster().java.send([{ topic, body: 'to be seen', keys: ['k'] }])
    await consumer.received.atLeast(1, 20_000)
    assert.ok(receipt)
    return { topic, group, consumer, receipt }
  }

  test('an admin sees a running consumer, asks it, and makes it consume a message', async t => {
    const { topic, group, consumer, receipt } = await running(t)
    const { consumers, offsets } = admin()
    const { connections, subscriptions, consumeType } = await consumers.connections(group)
    assert.deepEqual(
      connections.map(({ clientId, language }) => [clientId, language]),
      [[consumer.clientId, 'JAVA']],
    )
    assert.equal(subscriptions.get(topic)?.subString, '*')
    assert.equal(consumeType, 'CONSUME_PASSIVELY')
    const info = await consumers.runningInfo(group, consumer.clientId, { stack: true })
    assert.equal(info.properties.get('PROP_CONSUME_TYPE'), 'CONSUME_PASSIVELY')
    assert.ok(info.mqTable.some(row => row.queue.topic === topic))
    assert.match(info.jstack ?? '', /TID|STATE|java/)
    const result = await consumers.consumeDirectly({
      group,
      clientId: consumer.clientId,
      topic,
      id: receipt.messageId,
    })
    assert.equal(result.consumeResult, 'CR_SUCCESS')
    await consumer.received.atLeast(2, 20_000)
    const [status] = await consumers.status(group, topic)
    assert.equal(status?.clientId, consumer.clientId)
    assert.ok(status?.offsets.some(({ queue }) => queue.topic === topic))
    if (cluster().is5) {
      const { subscription } = await admin().groups.subscription(group, topic, TARGET)
      assert.equal(subscription?.expressionType, 'TAG')
    }
    await eventually(async () => assert.equal(await offsets.committed(group, receipt.queue), 1), PERSISTED_MS)
    if (cluster().is5) assert.ok((await admin().groups.topics(group, TARGET)).includes(topic))
    const message = await admin().messages.byId(topic, receipt.messageId)
    assert.ok(message)
    assert.deepEqual(await admin().tracks.of(message), [{ group, type: 'CONSUMED' }])
    // 4.9 resets only if it has an offset of every queue. It may have lost one of two that arrived at the same time.
    await eventually(async () => {
      const rows = await offsets.reset({ group, topic, to: 'begin' })
      assert.ok(rows.every(row => row.offset === 0))
    }, PERSISTED_MS)
    // The message arrives again because the offsets of the running consumer were reset.
    await consumer.received.atLeast(3, 40_000)
  })

  test('an admin lists producers', async () => {
    const topic = await cluster().topic()
    const group = unique('admin-producers')
    await cluster().java.send([{ topic, body: 'x' }], { producer: { group } })
    const { producers } = admin()
    await eventually(async () => assert.equal((await producers.connections(group, topic))[0]?.language, 'JAVA'))
    const all = await producers.ofBroker(TARGET)
    assert.equal(all.get(group)?.length, 1)
    await assert.rejects(producers.connections(unique('unknown'), topic), failed('NOT_FOUND'))
  })

  test('a request for something unknown fails with an error that says so', async () => {
    const { consumers } = admin()
    await assert.rejects(consumers.connections(unique('unknown')), failed('ROUTE_MISSING'))
    await assert.rejects(consumers.runningInfo(unique('unknown'), 'x'), failed('ROUTE_MISSING'))
  })
}

const PLAIN_ACL = `globalWhiteRemoteAddresses:
accounts:
- accessKey: operator
  secretKey: operator-secret
  admin: true
`

/** The accounts of 4.9. */
function accounts(): void {
  test('an admin manages the accounts of 4.9, and a request without an account is refused', async t => {
    const nameServer = await startOurs(t)
    const nameServers = `127.0.0.1:${nameServer.port}`
    const broker = await startApacheBroker(t, {
      release: '4.9.7',
      nameServers: [nameServers],
      name: 'guarded',
      properties: { aclEnable: true },
      files: { 'conf/plain_acl.yml': PLAIN_ACL },
    })
    const target = { broker: broker.address }
    const credentials = { accessKey: 'operator', secretKey: 'operator-secret' }
    const admin = await Admin.start({ nameServers, credentials })
    t.after(() => admin.close())
    const stranger = await Admin.start({ nameServers })
    t.after(() => stranger.close())
    await assert.rejects(stranger.acl.versions(target), /No accessKey is configured/)
    await admin.acl.put({ accessKey: 'account1', secretKey: 'some-secret', topics: { T: 'PUB|SUB' } }, target)
    const { accounts, globalWhiteAddrs } = await admin.acl.accounts(target)
    assert.deepEqual(accounts.find(({ accessKey }) => accessKey === 'account1')?.topicPerms, ['T=PUB|SUB'])
    assert.deepEqual(globalWhiteAddrs, [])
    const [version] = await admin.acl.versions(target)
    assert.deepEqual([version?.brokerName, version?.clusterName], ['guarded', 'DefaultCluster'])
    await admin.acl.setWhiteAddresses(['10.0.0.1', '10.0.0.2'], target)
    await admin.acl.delete('account1', target)
    await eventually(async () => {
      const left = await admin.acl.accounts(target)
      assert.deepEqual([left.accounts.length, left.globalWhiteAddrs.length], [1, 2])
    })
    await assert.rejects(admin.acl.delete('unknown', target), refused(210))
  })
}

const plans: readonly ClusterPlan[] = [
  ...RELEASES.map(release => ({ release, nameServer: 'ours', ...accessPlan(release) }) as const),
  { release: '5.5.0', nameServer: 'ours', broker: 'ours' },
]

for (const plan of plans) {
  describe(suiteName({ ...plan, title: 'admin' }), { skip }, () => {
    const cluster = clusterFor(plan)
    const admin = adminFor(cluster)
    topicsAndGroups(cluster, admin)
    brokersAndConfig(cluster, admin)
    messagesAndOffsets(cluster, admin)
    clients(cluster, admin)
    if (plan.broker !== 'ours' && plan.release.startsWith('5.')) users(admin)
  })
}

/** 5.x stores users and permissions only if its settings name a store. */
function accessPlan(release: Release) {
  if (!release.startsWith('5.')) return {}
  return {
    properties: {
      authenticationEnabled: false,
      authConfigPath: '',
      authenticationMetadataProvider:
        'org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider',
      authorizationMetadataProvider:
        'org.apache.rocketmq.auth.authorization.provider.LocalAuthorizationMetadataProvider',
    },
  }
}

function users(admin: () => Admin): void {
  test('an admin manages the users and permissions of 5.x', async () => {
    const { auth } = admin()
    const name = unique('user').replaceAll('-', '')
    await auth.createUser(name, { password: 'secret-1' }, TARGET)
    assert.equal((await auth.user(name, TARGET))?.userType, 'Normal')
    await auth.updateUser(name, { status: 'disable' }, TARGET)
    const [user] = await auth.users(TARGET, { filter: name })
    assert.equal(user?.userStatus, 'disable')
    const subject = `User:${name}`
    await auth.createAcl(subject, { resources: ['Topic:a'], actions: ['Pub'] }, TARGET)
    await auth.updateAcl(subject, { resources: ['Topic:b'], actions: ['Sub'], decision: 'Deny' }, TARGET)
    const acl = await auth.acl(subject, TARGET)
    assert.deepEqual(
      acl?.policies
        .flatMap(({ entries }) => entries.map(({ resource, decision }) => `${resource} ${decision}`))
        .toSorted(),
      ['Topic:a Allow', 'Topic:b Deny'],
    )
    assert.equal((await auth.acls(TARGET, { subject: name })).length, 1)
    await auth.deleteAcl(subject, TARGET, { resource: 'Topic:a' })
    await auth.deleteAcl(subject, TARGET)
    assert.deepEqual((await auth.acl(subject, TARGET))?.policies ?? [], [])
    await auth.deleteUser(name, TARGET)
    assert.equal(await auth.user(name, TARGET), undefined)
  })
}

describe('admin, broker 4.9.7 with access control', { skip }, accounts)
