import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from './cluster.ts'
import { unique } from '../unique.ts'
import { JavaError } from '../drivers/java-client.ts'

/** A case must be able to fail: what the harness says when something is not as it should be. */
export function harness(cluster: () => Cluster): void {
  test('an error of Java has its type and text', async () => {
    const topic = await cluster().topic()
    const queue = { topic, brokerName: 'nobody', queueId: 0 }
    const sending = cluster().java.send([{ topic, body: 'x' }], { queue })
    await assert.rejects(sending, error => error instanceof JavaError && /nobody/.test(error.message))
  })

  test('a wait for a message that nobody sends ends', async t => {
    const topic = await cluster().topic()
    const consumer = await cluster().java.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await assert.rejects(consumer.received.atLeast(1, 200), /got only 0/)
  })
}
