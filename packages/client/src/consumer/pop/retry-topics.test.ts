import assert from 'node:assert/strict'
import { test } from 'node:test'
import { popTopic } from '@gantrymq/protocol'
import { testCluster } from '@gantrymq/testkit/cluster'
import { readPushSettings } from '../push/settings.ts'
import { Membership } from '../group/membership.ts'
import { Subscriptions } from '../group/subscriptions.ts'
import { PopRetryTopics } from './retry-topics.ts'

const retryTopic = popTopic('1', 'Orders', 'readers')

for (const isKept of [true, false]) {
  test(`the retry topic of a topic that is pulled now is ${isKept ? '' : 'not '}subscribed to${isKept ? '' : ' if the topic is given up meanwhile'}`, async t => {
    const cluster = await testCluster(t)
    await cluster.broker.setTopic(retryTopic)
    const { clock, dial, nameServerList: nameServers } = cluster
    const membership = new Membership(readPushSettings({ clock, dial, nameServers }), 'readers')
    cluster.own({ close: () => membership.close({ stop: async () => {}, release: async () => {} }) })
    await cluster.outcome(membership.prepare([]))
    const subscriptions = new Subscriptions()
    subscriptions.set('Orders', '*', 1)
    const topics = new PopRetryTopics(membership, subscriptions, async () => {})
    const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }
    const following = topics.follow('Orders', [{ queue, mode: 'PULL' }])
    if (!isKept) {
      subscriptions.delete('Orders')
      topics.remove('Orders')
    }
    await cluster.outcome(following)
    assert.equal(subscriptions.wanted.has(retryTopic), isKept)
  })
}
