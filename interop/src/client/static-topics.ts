import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LitePullConsumer, Producer, PushConsumer, SimpleConsumer } from '@gantrymq/client'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import type { Owner } from '../launch/launched-program.ts'

const QUEUES = 2

/** Creates a static topic with Apache's tools. */
async function makeStatic(cluster: Cluster): Promise<string> {
  const topic = unique('static')
  const where = ['-n', cluster.nameServers, '-b', cluster.brokerName]
  const printed = await cluster.java.mqadmin('updateStaticTopic', ...where, '-t', topic, '-qn', String(QUEUES))
  assert.match(printed, /new mapping data/, printed)
  await eventually(() => cluster.hasRoute(topic), 15_000)
  return topic
}

/** The error for a user of a static topic. */
const refusalOf = (topic: string) => ({
  code: 'UNSUPPORTED',
  retriable: false,
  message: `the topic "${topic}" is a static topic of RocketMQ 5, whose queues move between brokers; this client does not support them`,
})

/** Static topics of 5.x: Java supports them, our client says that it does not. */
export function staticTopics(cluster: () => Cluster): void {
  test('Java sends to a static topic and receives from it', { timeout: 90_000 }, async t => {
    const topic = await makeStatic(cluster())
    const consumer = await cluster().java.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await cluster().java.send([{ topic, body: 'moved' }])
    await consumer.received.containing(['moved'])
  })

  test('our client refuses a static topic with an error, and its other topics keep working', {
    timeout: 90_000,
  }, async t => {
    const topic = await makeStatic(cluster())
    const refusal = refusalOf(topic)
    const other = await cluster().topic('other')
    const { producer, consumer, bodies } = await working(t, cluster(), other)
    await assert.rejects(producer.send({ topic, body: 'x' }), refusal)
    const queue = { topic, brokerName: cluster().brokerName, queueId: 0 }
    await assert.rejects(producer.send({ topic, body: 'x' }, { queue }), refusal)
    await assert.rejects(producer.sendOneway({ topic, body: 'x' }), refusal)
    await assert.rejects(producer.sendBatch([{ topic, body: 'x' }]), refusal)
    await assert.rejects(consumer.subscribe(topic), refusal)
    const { nameServers } = cluster()
    const wanting = { nameServers, subscriptions: { [other]: '*', [topic]: '*' } }
    const onMessage = (): void => {}
    await assert.rejects(PushConsumer.start({ ...wanting, group: unique('group'), onMessage }), refusal)
    await assert.rejects(SimpleConsumer.start({ ...wanting, group: unique('group') }), refusal)
    await assert.rejects(LitePullConsumer.start({ ...wanting, group: unique('group') }), refusal)
    await producer.send({ topic: other, body: 'still' })
    await eventually(async () => assert.deepEqual(bodies, ['before', 'still']), 20_000)
  })
}

/** Starts a producer and a consumer that have exchanged a message. */
async function working(t: Owner, { nameServers }: Cluster, topic: string) {
  const producer = await Producer.start({ nameServers, group: unique('producer') })
  t.after(() => producer.close())
  const bodies: string[] = []
  const consumer = await PushConsumer.start({
    nameServers,
    group: unique('group'),
    subscriptions: { [topic]: '*' },
    consumeFrom: 'first',
    onMessage: ({ body }) => void bodies.push(body.toString()),
  })
  t.after(() => consumer.close())
  await producer.send({ topic, body: 'before' })
  await eventually(async () => assert.deepEqual(bodies, ['before']), 20_000)
  return { producer, consumer, bodies }
}
