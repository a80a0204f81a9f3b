import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from './cluster.ts'
import { unique } from '../unique.ts'
import { JavaError } from '../drivers/java-client.ts'

/** The harness reports failures: a case must be able to fail. */
export function harness(cluster: () => Cluster): void {
  test('an error of Java keeps its type and text', async () => {
    const topic = await cluster().topic()
    const queue = { topic, brokerName: 'unknown', queueId: 0 }
    const sending = cluster().java.send([{ topic, body: 'x' }], { queue })
    await assert.rejects(sending, error => error instanceof JavaError && /unknown/.test(error.message))
  })

  test('a wait for a message that no one sends fails in time', async t => {
    const topic = await cluster().topic()
    const consumer = await cluster().java.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    await assert.rejects(consumer.received.atLeast(1, 200), /got only 0/)
  })
}
