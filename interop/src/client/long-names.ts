import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Way } from './sending.ts'
import type { Site } from './cluster.ts'
import { unique } from '../contract/server-under-test.ts'

/** Together longer than the 127 letters that a topic may have in the first form of messages. */
const LETTERS = 70
const AGAIN_MS = 60_000

/** Names that only the second form of messages has room for (5.x): retry topics of groups that pop are named by both. */
export function longNames(the: () => Site, { sender, receiver }: Way): void {
  test('a message of a long topic comes again to a group with a long name', { timeout: 120_000 }, async t => {
    const topic = `${unique('topic')}-`.padEnd(LETTERS, 't')
    const group = `${unique('group')}-`.padEnd(LETTERS, 'g')
    await the().createTopic(topic, 2)
    await the().java.setPop(the().broker.address, topic, group)
    const settings = { group, subscriptions: { [topic]: '*' }, failTimes: 1, brokerAssigns: true }
    const consumer = await receiver(the()).consume(t, settings)
    const [receipt] = await sender(the()).send([{ topic, body: 'twice', keys: ['k'] }])
    await consumer.got.count(2, AGAIN_MS)
    for (const got of consumer.got.all.slice(0, 2)) {
      assert.deepEqual([got.text, got.topic, got.keys, got.messageId], ['twice', topic, 'k', receipt?.messageId])
    }
  })
}
