import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultGroupConfig, groupRequests, topicRequests } from '@gantrymq/protocol'
import { MemoryDisk } from '@gantrymq/store'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { messagesIn, sendMessage } from './requests.ts'

const FOLDER = '/store/config/'

/** A disk that stores no tables while `isFailing`. */
class FailingDisk extends MemoryDisk {
  isFailing = false

  override rename(from: string, to: string): void {
    if (this.isFailing && to.startsWith(FOLDER)) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    super.rename(from, to)
  }

  async table(name: string): Promise<string> {
    const file = this.open(FOLDER + name)
    const bytes = new Uint8Array(file.size)
    await file.read(bytes, 0, bytes.length, 0)
    file.close()
    return Buffer.from(bytes).toString()
  }
}

async function failingBroker(t: Parameters<typeof brokerInMemory>[0]): Promise<{ mq: InMemory; disk: FailingDisk }> {
  const disk = new FailingDisk()
  return { mq: await brokerInMemory(t, { disk }), disk }
}

test('a message is not acknowledged as long as its topic cannot be stored, however often it is sent', async t => {
  const { mq, disk } = await failingBroker(t)
  disk.isFailing = true
  // The second one finds the topic in memory, and takes the fast way.
  const properties = 'UNIQ_KEY\u0001A1\u0002'
  for (let n = 0; n < 3; n++) await assert.rejects(sendMessage(mq, { properties }), { responseCode: 1 })
  disk.isFailing = false
  await sendMessage(mq, { properties })
  assert.match(await disk.table('topics.json'), /"Orders"/)
  assert.equal((await messagesIn(mq, 'Orders', 1)).length, 4)
})

test('a topic that could not be stored is stored when it is created again', async t => {
  const { mq, disk } = await failingBroker(t)
  const create = () =>
    mq.client.call(mq.brokerAddress, topicRequests.UPDATE_AND_CREATE_TOPIC, {
      header: { topic: 'Orders', readQueueNums: 2, writeQueueNums: 2, perm: 6, topicFilterType: 'SINGLE_TAG', topicSysFlag: 0, order: false, defaultTopic: 'TBW102' }, // biome-ignore format: one thought
    })
  disk.isFailing = true
  for (let n = 0; n < 2; n++) await assert.rejects(create())
  disk.isFailing = false
  await create()
  assert.match(await disk.table('topics.json'), /"Orders"/)
})

test('a deletion that could not be stored is completed when it is asked for again', async t => {
  const { mq, disk } = await failingBroker(t)
  await sendMessage(mq)
  const remove = () =>
    mq.client.call(mq.brokerAddress, topicRequests.DELETE_TOPIC_IN_BROKER, { header: { topic: 'Orders' } })
  disk.isFailing = true
  for (let n = 0; n < 2; n++) await assert.rejects(remove())
  disk.isFailing = false
  await remove()
  assert.doesNotMatch(await disk.table('topics.json'), /"Orders"/)
  assert.deepEqual([...mq.broker.store.queues('Orders')], [])
})

test('a broker that closes stores the topics that it could not store before', async t => {
  const { mq, disk } = await failingBroker(t)
  disk.isFailing = true
  await assert.rejects(sendMessage(mq))
  disk.isFailing = false
  await mq.broker.close()
  assert.match(await disk.table('topics.json'), /"Orders"/)
})

test('the deletion of a group that could not be stored is stored when it is asked for again', async t => {
  const { mq, disk } = await failingBroker(t)
  const { client, brokerAddress } = mq
  await client.call(brokerAddress, groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body: defaultGroupConfig('g') })
  const remove = () =>
    client.call(brokerAddress, groupRequests.DELETE_SUBSCRIPTIONGROUP, { header: { groupName: 'g' } })
  disk.isFailing = true
  for (let n = 0; n < 2; n++) await assert.rejects(remove())
  disk.isFailing = false
  await remove()
  assert.doesNotMatch(await disk.table('subscriptionGroup.json'), /"g"/)
})
