import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Queue, ClientUnderTest } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'

interface ConsumerConnection {
  readonly connectionSet: readonly { readonly clientId: string; readonly language: string }[]
  readonly consumeType: string
  readonly messageModel: string
  readonly consumeFromWhere: string
  readonly subscriptionTable: Readonly<Record<string, { readonly subString: string; readonly expressionType: string }>>
}

interface RunningInfo {
  readonly properties: Readonly<Record<string, string>>
  readonly topics: readonly string[]
  readonly queues: readonly Queue[]
  readonly statuses: readonly string[]
  readonly stack: string
}

/** Requests of operators that the broker forwards to a consumer, sent with Apache's tools. */
export function operatorRequests(
  cluster: () => Cluster,
  name: string,
  client: (cluster: Cluster) => ClientUnderTest,
): void {
  const consume = async (t: Parameters<ClientUnderTest['consume']>[0]) => {
    const topic = await cluster().topic()
    const group = unique('group')
    const consumer = await client(cluster()).consume(t, { group, subscriptions: { [topic]: 'a || b' } })
    await cluster().java.send([{ topic, body: 'first', tags: 'a' }])
    await consumer.received.atLeast(1)
    return { topic, group, consumer }
  }

  test(`${name}: an operator sees the connection and its subscription`, async t => {
    const { topic, group, consumer } = await consume(t)
    const connection = await cluster().java.ask<ConsumerConnection>('consumerConnection', { group })
    assert.deepEqual(
      connection.connectionSet.map(({ clientId }) => clientId),
      [consumer.clientId],
    )
    assert.deepEqual(
      [connection.consumeType, connection.messageModel, connection.consumeFromWhere],
      ['CONSUME_PASSIVELY', 'CLUSTERING', 'CONSUME_FROM_FIRST_OFFSET'],
    )
    assert.equal(connection.subscriptionTable[topic]?.subString, 'a || b')
  })

  test(`${name}: an operator sees the running state, with stacks`, async t => {
    const { topic, group, consumer } = await consume(t)
    const args = { group, clientId: consumer.clientId, stack: true }
    const info = await cluster().java.ask<RunningInfo>('runningInfo', args)
    assert.equal(info.properties['PROP_CONSUME_TYPE'], 'CONSUME_PASSIVELY')
    assert.ok(info.topics.includes(topic) && info.topics.includes(`%RETRY%${group}`))
    const held = info.queues.filter(queue => queue.topic === topic).map(({ queueId }) => queueId)
    assert.deepEqual(
      held.toSorted((a, b) => a - b),
      [0, 1, 2, 3],
    )
    assert.ok(info.statuses.includes(topic))
    assert.ok(info.stack.length > 10, 'no stacks')
  })

  test(`${name}: an operator lets the consumer consume a message directly`, async t => {
    const { topic, group, consumer } = await consume(t)
    const [receipt] = await cluster().java.send([{ topic, body: 'directly', tags: 'c' }])
    const args = { group, clientId: consumer.clientId, topic, messageId: receipt?.messageId }
    // The broker writes its index a little later.
    await eventually(async () => {
      const result = await cluster().java.ask<{ consumeResult: string }>('consumeDirectly', args)
      assert.equal(result.consumeResult, 'CR_SUCCESS')
    })
    await consumer.received.containing(['directly'])
  })

  test(`${name}: after an operator has reset the offsets the messages arrive again`, { timeout: 90_000 }, async t => {
    const { topic, group, consumer } = await consume(t)
    // The broker resets only the offsets that it has. Brokers of 4.9 want one for each queue, empty or not.
    await eventually(async () => {
      const offsets = await cluster().java.consumeOffsets(group, topic)
      assert.equal(
        offsets.reduce((sum, offset) => sum + offset.consumerOffset, 0),
        1,
      )
    }, 20_000)
    await eventually(() => cluster().java.ask('resetOffset', { topic, group, timestamp: 0 }), 20_000)
    await consumer.received.atLeast(2, 45_000)
    assert.deepEqual(consumer.received.texts, ['first', 'first'])
  })
}
