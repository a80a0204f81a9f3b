import assert from 'node:assert/strict'
import { test } from 'node:test'
import { subscriptionOf } from '@gantrymq/protocol'
import { testCluster } from '@gantrymq/testkit/cluster'
import { text } from '../../message/codec.ts'
import { ReceivedMessage } from '../../message/received-message.ts'
import { Membership } from '../group/membership.ts'
import { Subscriptions } from '../group/subscriptions.ts'
import { pushContext } from '../push/context.ts'
import { readPushSettings } from '../push/settings.ts'
import { pop } from './call.ts'
import { PopConsumption } from './consumption.ts'

test('messages of a pop that ends after the consumer has begun to close are released', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.settle()
  const { clock, dial, nameServerList: nameServers } = cluster
  const settings = readPushSettings({ clock, dial, nameServers })
  const membership = new Membership(settings, 'readers')
  cluster.own({ close: () => membership.close({ stop: async () => {}, release: async () => {} }) })
  await cluster.outcome(membership.prepare([]))
  const context = pushContext(settings, membership, new Subscriptions())
  const consumption = new PopConsumption<string>(
    context,
    { handle: () => assert.fail('no listener may start') },
    (view, queue) => new ReceivedMessage(view, queue, { namespace: '', codec: text() }),
  )
  const request = {
    brokerName: 'broker-a',
    queueId: 0,
    max: 8,
    invisibleMs: 60_000,
    pollMs: 0,
    from: 'oldest',
  } as const
  const subscription = subscriptionOf('Orders', '*', 1)
  const { found } = await cluster.outcome(pop(context, { ...request, subscription }, {}))
  assert.equal(found.length, 1)
  await cluster.outcome(consumption.close(0))
  const source = { queue: { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }, messagesDone() {} }
  await cluster.outcome(consumption.submit(source, found))
  const [released] = cluster.broker.server.requestsOf('CHANGE_MESSAGE_INVISIBLETIME')
  assert.equal(released?.header['invisibleTime'], '1000')
})
