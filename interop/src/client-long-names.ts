import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Way } from './client-sending.ts'
import type { Site } from './client-sites.ts'
import { unique } from './contract/stage.ts'

/** The longest name that a message of the first form can carry. */
const SHORT = 127
const AGAIN_MS = 60_000

/** Names that only the second form of messages has room for (5.x). */
export function longNames(the: () => Site, { sender, receiver }: Way): void {
  test('a message of a group with a long name comes again', { timeout: 120_000 }, async t => {
    const topic = await the().topic()
    const group = `${unique('group')}-`.padEnd(SHORT, 'g')
    const settings = { group, subscriptions: { [topic]: '*' }, failTimes: 1 }
    const consumer = await receiver(the()).consume(t, settings)
    await sender(the()).send([{ topic, body: 'twice', keys: ['k'] }])
    await consumer.got.count(2, AGAIN_MS)
    const [first, second] = consumer.got.all
    assert.deepEqual([second?.text, second?.topic, second?.keys, second?.reconsumeTimes], ['twice', topic, 'k', 1])
    assert.equal(second?.messageId, first?.messageId)
  })
}
