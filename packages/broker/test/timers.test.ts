import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readRecallHandle, sendRequests } from '@gantrymq/protocol'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { messagesIn, sendMessage, settle } from './requests.ts'
import { StoppableDisk } from './stoppable-disk.ts'

const TIMER_TOPIC = 'rmq_sys_wheel_timer'
const DAY_MS = 86_400_000

const properties = (given: Record<string, string | number>): string =>
  Object.entries({ UNIQ_KEY: 'u1', ...given })
    .map(([name, value]) => `${name}\u0001${value}\u0002`)
    .join('')

/** As if the machine had slept: a day takes no time. */
async function sleeps(mq: InMemory, ms: number): Promise<void> {
  mq.clock.pause(ms)
  await settle()
}

async function passes(mq: InMemory, ms: number): Promise<void> {
  mq.clock.advance(ms)
  await settle()
}

const bodiesIn = async (mq: InMemory, queueId = 1): Promise<string[]> =>
  (await messagesIn(mq, 'Orders', queueId)).map(({ body }) => String(body))

test('a message is delivered at its time, to the second, and not before', async t => {
  const mq = await brokerInMemory(t)
  const at = mq.clock.now() + 60_300
  await sendMessage(mq, { queueId: 2, properties: properties({ TIMER_DELIVER_MS: at, TAGS: 'red' }) }, 'late')
  await passes(mq, 60_200)
  assert.deepEqual(await bodiesIn(mq, 2), [])
  await passes(mq, 900)
  const [message] = await messagesIn(mq, 'Orders', 2)
  assert.equal(String(message?.body), 'late')
  const all = Object.fromEntries(message?.properties ?? [])
  const { TAGS, REAL_TOPIC, REAL_QID, TIMER_OUT_MS, TIMER_DELIVER_MS, TIMER_ENQUEUE_MS, TIMER_DEQUEUE_MS } = all
  assert.deepEqual([TAGS, REAL_TOPIC, REAL_QID, TIMER_OUT_MS, TIMER_DELIVER_MS], ['red', 'Orders', '2', String(Math.floor(at / 1000) * 1000), String(at)]) // biome-ignore format: one thought
  assert.equal(Number(TIMER_ENQUEUE_MS), at - 60_300)
  assert.ok(Number(TIMER_DEQUEUE_MS) >= at)
})

for (const [name, value] of [
  ['TIMER_DELAY_SEC', 30],
  ['TIMER_DELAY_MS', 30_000],
] as const) {
  test(`a delay in ${name} counts from now`, async t => {
    const mq = await brokerInMemory(t)
    await sendMessage(mq, { properties: properties({ [name]: value }) })
    const [waiting] = await messagesIn(mq, TIMER_TOPIC, 0)
    assert.equal(waiting?.properties.get('TIMER_OUT_MS'), String(mq.clock.now() + 29_000))
    await passes(mq, 29_900)
    assert.deepEqual(await bodiesIn(mq), [])
    await passes(mq, 200)
    assert.deepEqual(await bodiesIn(mq), ['hello'])
  })
}

test('a message whose time is over is delivered at once, and a delay level counts more than a time', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq, { properties: properties({ TIMER_DELIVER_MS: mq.clock.now() - 1 }) }, 'past')
  assert.deepEqual(await bodiesIn(mq), ['past'])
  await sendMessage(mq, { properties: properties({ TIMER_DELAY_SEC: 60, DELAY: 1 }) }, 'level')
  await passes(mq, 1200)
  const [, delayed] = await messagesIn(mq, 'Orders', 1)
  assert.deepEqual([String(delayed?.body), delayed?.properties.has('TIMER_DELAY_SEC')], ['level', false])
})

test('a time that is too far away, or no number, is refused in the words of Apache', async t => {
  const mq = await brokerInMemory(t)
  const illegal = {
    responseCode: 13,
    remark: 'timer message illegal, the delay time should not be bigger than the max delay 259200000ms; or if set del msg, the delay time should be bigger than the current time', // biome-ignore format: one thought
  }
  for (const given of [{ TIMER_DELAY_SEC: 259_201 }, { TIMER_DELIVER_MS: 'soon' }, { TIMER_DELAY_MS: '1.5' }]) {
    await assert.rejects(sendMessage(mq, { properties: properties(given) }), illegal)
  }
  await sendMessage(mq, { properties: properties({ TIMER_DELAY_SEC: 259_200 }) })
})

test('a message that waits for days is stored again meanwhile, and delivered once', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq, { properties: properties({ TIMER_DELAY_SEC: 259_000 }) })
  await sleeps(mq, 2.5 * DAY_MS)
  const [, rolled] = await messagesIn(mq, TIMER_TOPIC, 0)
  assert.equal(rolled?.properties.get('TIMER_ROLL_TIMES'), '1')
  assert.deepEqual(await bodiesIn(mq), [])
  await sleeps(mq, 0.5 * DAY_MS)
  assert.deepEqual(await bodiesIn(mq), ['hello'])
  await sleeps(mq, DAY_MS)
  assert.deepEqual(await bodiesIn(mq), ['hello'])
})

test('a message is recalled by the handle of its receipt', async t => {
  const mq = await brokerInMemory(t, { recallMessageEnable: true })
  const { header: sent } = await sendMessage(mq, { properties: properties({ TIMER_DELAY_SEC: 60 }) }, 'recalled')
  await sendMessage(mq, { properties: properties({ TIMER_DELAY_SEC: 60, UNIQ_KEY: 'u2' }) }, 'other')
  const recallHandle = sent.recallHandle ?? assert.fail('no handle')
  const { topic, brokerName, messageId, deliverTime } = readRecallHandle(recallHandle)
  assert.deepEqual([topic, brokerName, messageId], ['Orders', 'broker-a', 'u1'])
  assert.equal(Number(deliverTime), mq.clock.now() + 59_001)
  const recall = (header: { readonly topic: string; readonly recallHandle: string }) =>
    mq.client.call(mq.brokerAddress, sendRequests.RECALL_MESSAGE, { header })
  await assert.rejects(recall({ topic: 'Bills', recallHandle }), { responseCode: 17 })
  await assert.rejects(recall({ topic: 'Orders', recallHandle: 'nonsense' }), { responseCode: 604 })
  assert.equal((await recall({ topic: 'Orders', recallHandle })).header.msgId, 'u1')
  await passes(mq, 61_000)
  assert.deepEqual(await bodiesIn(mq), ['other'])
  await assert.rejects(recall({ topic: 'Orders', recallHandle }), { responseCode: 604, remark: /timestamp invalid/ })
})

test('a message that its producer has sent twice is recalled with its copy', async t => {
  const mq = await brokerInMemory(t, { recallMessageEnable: true })
  const given = properties({ TIMER_DELIVER_MS: mq.clock.now() + 60_000 })
  const { header: sent } = await sendMessage(mq, { properties: given }, 'recalled')
  await sendMessage(mq, { properties: given }, 'recalled')
  const header = { topic: 'Orders', recallHandle: sent.recallHandle ?? '' }
  await mq.client.call(mq.brokerAddress, sendRequests.RECALL_MESSAGE, { header })
  await passes(mq, 62_000)
  assert.deepEqual(await bodiesIn(mq), [])
})

test('a message is delivered even if its properties leave no room for the times of its wait', async t => {
  const mq = await brokerInMemory(t)
  // The longest that is accepted.
  for (let length = 32_767; ; length -= 10) {
    const given = properties({ TIMER_DELAY_SEC: 10, LONG: 'x'.repeat(length) })
    const isStored = await sendMessage(mq, { properties: given }).then(() => true, () => false) // biome-ignore format: one thought
    if (isStored) break
  }
  await passes(mq, 11_000)
  const [message] = await messagesIn(mq, 'Orders', 1)
  assert.deepEqual([String(message?.body), message?.properties.has('TIMER_ENQUEUE_MS')], ['hello', false])
})

test('a message that is being stored again while it waits for days is recalled, too', async t => {
  const disk = new StoppableDisk(t)
  const mq = await brokerInMemory(t, { disk, flushDiskType: 'SYNC_FLUSH', recallMessageEnable: true })
  const { header: sent } = await sendMessage(mq, { properties: properties({ TIMER_DELAY_SEC: 259_000 }) })
  const goOn = disk.stop()
  await sleeps(mq, 2.5 * DAY_MS)
  const header = { topic: 'Orders', recallHandle: sent.recallHandle ?? '' }
  const recalled = mq.client.call(mq.brokerAddress, sendRequests.RECALL_MESSAGE, { header })
  await settle()
  goOn()
  assert.equal((await recalled).header.msgId, 'u1')
  await sleeps(mq, DAY_MS)
  assert.equal((await messagesIn(mq, TIMER_TOPIC, 0)).length, 3, 'the message, its copy and the recall')
  assert.deepEqual(await bodiesIn(mq), [])
})

test('recalls are refused unless the option allows them, as in Apache', async t => {
  const mq = await brokerInMemory(t)
  const { header: sent } = await sendMessage(mq, { properties: properties({ TIMER_DELAY_SEC: 60 }) })
  const header = { topic: 'Orders', recallHandle: sent.recallHandle ?? '' }
  await assert.rejects(mq.client.call(mq.brokerAddress, sendRequests.RECALL_MESSAGE, { header }), { responseCode: 16 })
})

test('a broker with a folder refuses a message that asks for a time, with a sentence', async t => {
  const storePathRootDir = await mkdtemp(join(tmpdir(), 'broker-'))
  const mq = await brokerInMemory(t, { storePathRootDir })
  t.after(() => rm(storePathRootDir, { recursive: true, force: true }))
  await assert.rejects(sendMessage(mq, { properties: properties({ TIMER_DELAY_SEC: 60 }) }), {
    responseCode: 1,
    remark: /accurate timer message is not enabled, timerWheelEnable is false: .*--memory/,
  })
})
