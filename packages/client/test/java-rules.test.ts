// Rules of Apache's ClientConfig and Validators that are no entries of a table of options.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type RocketMQ, startRocketMQ } from '@gantrymq/testing'
import { Admin, LitePullConsumer, Producer, PullConsumer, PushConsumer, SimpleConsumer } from '../src/index.ts'
import { asJava, instanceOptions } from '../src/instance/instance-options.ts'
import { readOptions } from '../src/options.ts'

let mq: RocketMQ
before(async () => {
  mq = await startRocketMQ()
})
after(() => mq.close())

const settings = (given: object) => asJava(readOptions('test', instanceOptions, given))

test('the namespace is the instance id in the first endpoint, unless one is set (ClientConfig.getNamespace)', () => {
  const id = 'MQ_INST_1234_abcd'
  for (const nameServers of [
    `http://${id}.mq.example.com:8080`,
    `${id}.mq.example.com:8080`,
    [`http://${id}.mq.example.com:80`],
  ])
    assert.equal(settings({ nameServers }).namespace, id)
  assert.equal(settings({ nameServers: `http://${id}.mq.example.com:8080`, namespace: 'mine' }).namespace, 'mine')
  assert.equal(settings({ nameServers: 'mq.example.com:8080' }).namespace, '')
  assert.equal(settings({ nameServers: 'MQ_INST_1234.example.com:8080' }).namespace, '')
  assert.equal(settings({ nameServers: () => `${id}.mq.example.com:8080` }).namespace, '')
})

test('the instance name DEFAULT stands for a name of this process, except for broadcast consumers', async t => {
  await using producer = await Producer.start({ ...mq.connection, group: 'g', instanceName: 'DEFAULT' })
  assert.match(producer.clientId, new RegExp(`@${process.pid}#\\d+$`))
  const options = { ...mq.connection, group: 'news', broadcast: true, subscriptions: { T: '*' }, log: false } as const
  const { mkdtemp, rm } = await import('node:fs/promises')
  const offsetsFolder = await mkdtemp('/tmp/java-rules-')
  t.after(() => rm(offsetsFolder, { recursive: true, force: true }))
  await using consumer = await PushConsumer.start({
    ...options,
    offsetsFolder,
    instanceName: 'DEFAULT',
    onMessage() {},
  })
  assert.match(consumer.clientId, /@DEFAULT$/)
})

test('the default groups of Apache’s clients are refused', async () => {
  const consumer = { ...mq.connection, group: 'DEFAULT_CONSUMER' }
  const expected = {
    code: 'BAD_NAME',
    message: /the group DEFAULT_\w+ is the default of Apache's client: .* choose another name/,
  }
  await assert.rejects(PushConsumer.start({ ...consumer, subscriptions: { T: '*' }, onMessage() {} }), expected)
  await assert.rejects(LitePullConsumer.start(consumer), expected)
  await assert.rejects(PullConsumer.start(consumer), expected)
  await assert.rejects(SimpleConsumer.start({ ...consumer, subscriptions: { T: '*' } }), expected)
  await assert.rejects(Producer.start({ ...mq.connection, group: 'DEFAULT_PRODUCER' }), expected)
})

test('a pull must not be held for longer than the client waits, also of a pull consumer', async () => {
  const options = { ...mq.connection, group: 'g', suspendMs: 20_000, pullTimeoutMs: 10_000 }
  const expected = { code: 'BAD_OPTION', message: /pullTimeoutMs 10000 must not be less than suspendMs 20000/ }
  await assert.rejects(PullConsumer.start(options), expected)
  await assert.rejects(LitePullConsumer.start(options), expected)
})

test('a permission that no broker understands is not sent to one (Validators.checkBrokerConfig)', async () => {
  await using admin = await Admin.start(mq.connection)
  const target = { brokerName: 'broker-a' }
  for (const brokerPermission of ['8', '-1', 'rw', '', 7.5])
    await assert.rejects(admin.config.updateBroker({ brokerPermission }, target), {
      code: 'BAD_OPTION',
      message: /brokerPermission must be a number from 0 to 7/,
    })
  await admin.config.updateBroker({ brokerPermission: 6 }, target)
})

test('a send that the user may not make is not repeated, and one to a topic that is closed is', async () => {
  await using producer = await Producer.start({ ...mq.connection, group: 'shop' })
  await producer.send({ topic: 'Orders', body: 'x' })
  mq.fail.next('SEND_MESSAGE', { code: 16, remark: 'User:orders has no permission to access Topic:Orders', times: 3 })
  await assert.rejects(producer.send({ topic: 'Orders', body: 'x' }), { code: 'BROKER_REFUSED', retriable: false })
  assert.equal(producer.stats.retried, 0)
  mq.fail.clear()
  mq.fail.next('SEND_MESSAGE', { code: 16, remark: 'the topic[Orders] sending message is forbidden', times: 2 })
  await producer.send({ topic: 'Orders', body: 'x' })
  mq.fail.next('SEND_MESSAGE', { code: 2, remark: '[OVERLOAD]system busy', times: 3 })
  await assert.rejects(producer.send({ topic: 'Orders', body: 'x' }), {
    code: 'SEND_FAILED',
    message: /: broker-a \(3 times\): 127\.0\.0\.1:\d+ refused with code 2 \(SYSTEM_BUSY\): \[OVERLOAD\]system busy/,
  })
})
