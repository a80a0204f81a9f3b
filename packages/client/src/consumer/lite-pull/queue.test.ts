import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { queryRequests, responseCodes } from '@gantrymq/protocol'
import { testCluster } from '@gantrymq/testkit/cluster'
import { text } from '../../message/codec.ts'
import { ReceivedMessage } from '../../message/received-message.ts'
import { Membership } from '../group/membership.ts'
import { BrokerOffsets } from '../offsets/broker-offsets.ts'
import { ArrivedChunks } from './arrived-chunks.ts'
import { readLitePullSettings } from './options.ts'
import { type Chunk, LitePullQueue } from './queue.ts'
import { TotalBacklog } from './total-backlog.ts'

const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }

async function setUp(t: TestContext) {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const { clock, dial, nameServerList: nameServers } = cluster
  const settings = readLitePullSettings({ clock, dial, nameServers })
  const membership = new Membership(settings, 'readers')
  const { instance, group, stats, health } = membership
  const held = new LitePullQueue(
    {
      instance,
      group,
      stats,
      settings,
      offsets: new BrokerOffsets(instance, group),
      chunks: new ArrivedChunks<Chunk<string>>(clock),
      backlog: new TotalBacklog(),
      health: health.polls,
      toMessage: (view, from) => new ReceivedMessage(view, from, { namespace: '', codec: text() }),
    },
    queue,
    new Map(),
  )
  cluster.own({ close: () => membership.close({ stop: () => held.drop(), release: async () => {} }) })
  await cluster.outcome(membership.prepare([]))
  const asked = () =>
    cluster.broker.requests
      .filter(({ name }) => name.endsWith('PULL_MESSAGE'))
      .map(({ header }) => Number(header['queueOffset']))
  return { cluster, instance, held, asked }
}

test('a queue that is sought while the broker is asked whether it is a new one stays where it was sought', async t => {
  const { cluster, instance, held, asked } = await setUp(t)
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  await cluster.settle()
  const { promise, resolve } = Promise.withResolvers<unknown>()
  const call = instance.call.bind(instance)
  const answeredByTest = (...args: Parameters<typeof call>): unknown =>
    args[1].code === queryRequests.GET_EARLIEST_MSG_STORETIME.code ? promise : call(...args)
  instance.call = answeredByTest as typeof call
  held.seek(0)
  held.start()
  await cluster.until(() => held.process.count === 3, { stepMs: 10 })
  const moved = { nextBeginOffset: '1', minOffset: '0', maxOffset: '1', suggestWhichBrokerId: '0' }
  cluster.broker.fault('*', {
    answer: 'altered',
    handled: false,
    where: ({ name }) => name.endsWith('PULL_MESSAGE'),
    alter: reply => ({ ...reply, code: responseCodes.PULL_OFFSET_MOVED, extFields: new Map(Object.entries(moved)) }),
  })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.advance(1000)
  const before = asked().length
  // The answer has arrived, and the queue has not gone on yet.
  resolve({ header: { timestamp: 0 } })
  held.seek(2)
  await cluster.advance(1000)
  assert.deepEqual(asked().slice(before), [2, 4])
})
