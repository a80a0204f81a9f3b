import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokerAdminRequests, encodeBatch, pullFlags, consumeRequests, sendRequests } from '@gantrymq/protocol'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { messagesIn, sendInput, sendMessage, settle } from './requests.ts'
import { StoppableDisk } from './stoppable-disk.ts'

/** Counters and states in Apache's words. */
async function runtimeInfo({ client, brokerAddress }: InMemory): Promise<(name: string) => string | undefined> {
  const { body } = await client.call(brokerAddress, brokerAdminRequests.GET_BROKER_RUNTIME_INFO)
  return name => body?.get(name)
}

/** The sum of a counter over the last minute. */
async function counted({ client, brokerAddress }: InMemory, statsName: string, statsKey: string): Promise<number> {
  const header = { statsName, statsKey }
  const { body } = await client.call(brokerAddress, brokerAdminRequests.VIEW_BROKER_STATS_DATA, { header })
  return body?.statsMinute.sum ?? 0
}

function pull({ client, brokerAddress }: InMemory, queueOffset: number) {
  const header = { consumerGroup: 'g', topic: 'Orders', queueId: 1, queueOffset, maxMsgNums: 32, sysFlag: pullFlags.subscription, commitOffset: 0, suspendTimeoutMillis: 0, subscription: '*', subVersion: 0 } // biome-ignore format: one thought
  return client.call(brokerAddress, consumeRequests.PULL_MESSAGE, { header })
}

for (const flushDiskType of ['ASYNC_FLUSH', 'SYNC_FLUSH'] as const) {
  test(`the bytes of what was stored are those of its records, as the bytes of what was delivered: ${flushDiskType}`, async t => {
    const mq = await brokerInMemory(t, { flushDiskType })
    const { client, brokerAddress, clock } = mq
    // The first one makes the topic by the long way, the second one takes the fast way.
    await sendMessage(mq, {}, 'first')
    await sendMessage(mq, { properties: 'UNIQ_KEY\u0001A1\u0002' }, 'second')
    const body = encodeBatch([1, 2].map(flag => ({ flag, body: Buffer.from('batched'), properties: new Map() })))
    const { header } = sendInput({ batch: true })
    await client.call(brokerAddress, sendRequests.SEND_MESSAGE, { header, body })
    await sendMessage(mq, { properties: 'DELAY\u00011\u0002' }, 'delayed')
    for (let second = 0; second < 3; second++) {
      clock.advance(1000)
      await settle()
    }
    assert.equal((await messagesIn(mq, 'Orders', 1)).length, 5)
    clock.advance(10_000)
    const stored = await counted(mq, 'TOPIC_PUT_SIZE', 'Orders')
    assert.ok(stored > 5 * 91, `${stored} bytes`)
    assert.equal(stored, await counted(mq, 'GROUP_GET_SIZE', 'Orders@readers'))
    const waiting = await counted(mq, 'TOPIC_PUT_SIZE', 'SCHEDULE_TOPIC_XXXX')
    assert.equal(stored + waiting, mq.broker.store.end)
    assert.equal((await runtimeInfo(mq))('putMessageSizeTotal'), String(stored + waiting))
  })
}

test('the rates of pulls count pulls, and that of transferred messages counts messages', async t => {
  const mq = await brokerInMemory(t)
  for (let n = 0; n < 20; n++) await sendMessage(mq)
  mq.clock.advance(1000)
  for (let n = 0; n < 10; n++) await pull(mq, 0)
  for (let n = 0; n < 30; n++) await pull(mq, 20)
  mq.clock.advance(10_000)
  const info = await runtimeInfo(mq)
  const names = ['getFoundTps', 'getMissTps', 'getTotalTps', 'getTransferredTps', 'getTransferedTps']
  assert.deepEqual(names.map(info), ['1.0  ', '3.0  ', '4.0  ', '20.0  ', '20.0  '])
})

test('sends that were not stored are counted', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  await assert.rejects(sendMessage(mq, {}, 'x'.repeat(4_194_305)), { responseCode: 13 })
  assert.equal((await runtimeInfo(mq))('putMessageFailedTimes'), '1')
})

test('what is written and not flushed is shown, although it counts as stored', async t => {
  const disk = new StoppableDisk(t)
  const mq = await brokerInMemory(t, { disk })
  await sendMessage(mq)
  mq.clock.advance(500)
  await settle()
  const before = mq.broker.store.end
  assert.equal((await runtimeInfo(mq))('remainHowManyDataToFlush'), '0 B')
  const goOn = disk.stop()
  await sendMessage(mq)
  const bytes = mq.broker.store.end - before
  assert.equal((await runtimeInfo(mq))('remainHowManyDataToFlush'), `${bytes} B`)
  const behind = mq.broker.metrics.families().find(({ name }) => name === 'rocketmq_storage_flush_behind_bytes')
  assert.deepEqual(behind?.type === 'gauge' && behind.samples, [{ labels: {}, value: bytes }])
  goOn()
})

test('a queue of threads shows the requests of its kind that wait; pulls that wait for messages are none of them', async t => {
  const disk = new StoppableDisk(t)
  const mq = await brokerInMemory(t, { disk, sendThreadPoolQueueCapacity: 7, maxColdPulls: 9 })
  await sendMessage(mq)
  const goOn = disk.stop()
  for (let n = 0; n < 18; n++) {
    void sendMessage(mq, {}, 'x'.repeat(4_000_000)).catch(() => {})
    await settle()
  }
  const header = { consumerGroup: 'g', topic: 'Orders', queueId: 0, queueOffset: 0, maxMsgNums: 32, sysFlag: pullFlags.subscription | pullFlags.suspend, commitOffset: 0, suspendTimeoutMillis: 15_000, subscription: '*', subVersion: 0 } // biome-ignore format: one thought
  void mq.client.call(mq.brokerAddress, consumeRequests.PULL_MESSAGE, { header }).catch(() => {})
  await settle()
  assert.equal(mq.broker.status.heldPulls, 1)
  const info = await runtimeInfo(mq)
  const shown = ['send', 'pull'].map(pool => [
    info(`${pool}ThreadPoolQueueSize`),
    info(`${pool}ThreadPoolQueueCapacity`),
  ])
  assert.deepEqual(shown, [
    ['2', '7'],
    ['0', '9'],
  ])
  goOn()
})
