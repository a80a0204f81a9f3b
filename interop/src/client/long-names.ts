import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Direction } from './sending.ts'
import type { Cluster } from './cluster.ts'
import { unique } from '../unique.ts'

/** Two names of this length exceed the 127 characters that a topic may have in the first message format. */
const LETTERS = 70
const AGAIN_MS = 60_000

/** Names that only fit the second message format (5.x): the retry topic of a group in pop mode contains group and topic. */
export function longNames(cluster: () => Cluster, { sender, receiver }: Direction): void {
  test('a refused message of a long topic arrives again at a group with a long name', { timeout: 120_000 }, async t => {
    const topic = `${unique('topic')}-`.padEnd(LETTERS, 't')
    const group = `${unique('group')}-`.padEnd(LETTERS, 'g')
    await cluster().createTopic(topic, 2)
    await cluster().java.setPop(cluster().broker.address, topic, group)
    const settings = { group, subscriptions: { [topic]: '*' }, failTimes: 1, brokerAssigns: true }
    const consumer = await receiver(cluster()).consume(t, settings)
    const [receipt] = await sender(cluster()).send([{ topic, body: 'twice', keys: ['k'] }])
    await consumer.received.atLeast(2, AGAIN_MS)
    for (const received of consumer.received.all.slice(0, 2)) {
      assert.deepEqual(
        [received.text, received.topic, received.keys, received.messageId],
        ['twice', topic, 'k', receipt?.messageId],
      )
    }
  })
}
