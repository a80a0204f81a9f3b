import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { clientNotices, decodeMessage, membershipRequests, PROPERTY } from '@gantrymq/protocol'
import { type Call, RemotingClient, Router } from '@gantrymq/remoting'
import { numbersFrom } from '@gantrymq/remoting/testing'
import { FaultyDisk } from '@gantrymq/store/testing'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { messagesIn, sendMessage, settle } from './requests.ts'

const { CHECK_TRANSACTION_STATE } = clientNotices
const HALF = 'RMQ_SYS_TRANS_HALF_TOPIC'
const SCHEDULE = 'SCHEDULE_TOPIC_XXXX'
const SEEDS = 4

const options = {
  messageDelayLevel: '1s',
  flushDelayOffsetInterval: 200,
  flushConsumerOffsetInterval: 200,
  transactionTimeOut: 500,
  transactionCheckInterval: 300,
  transactionCheckMax: 1000,
  mappedFileSizeCommitLog: 1_048_576,
  mappedFileSizeConsumeQueue: 6000,
  maxHashSlotNum: 100,
  maxIndexNum: 400,
}

/** A producer that counts the transactions that it was asked about. */
async function producing(t: TestContext, { clock, dial, brokerAddress }: InMemory): Promise<ReadonlySet<string>> {
  const asked = new Set<string>()
  const handlers = {
    CHECK_TRANSACTION_STATE: ({ body }: Call<typeof CHECK_TRANSACTION_STATE>) => {
      asked.add(decodeMessage(body!).properties.get(PROPERTY.UNIQ_KEY) ?? '')
      return {}
    },
  }
  const router = new Router({ CHECK_TRANSACTION_STATE }, handlers, {})
  const client = new RemotingClient({ clock, dial, onRequest: (command, peer) => router.dispatch(command, peer) })
  t.after(() => client.close())
  const body = { clientID: 'c', producerDataSet: [{ groupName: 'payments' }], consumerDataSet: [] }
  await client.call(brokerAddress, membershipRequests.HEART_BEAT, { body })
  return asked
}

async function step(mq: InMemory, ms: number): Promise<void> {
  mq.clock.advance(ms)
  await settle()
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`after a power failure no delayed message and no transaction is forgotten, seed ${seed}`, async t => {
    const numbers = numbersFrom(seed)
    const disk = new FaultyDisk({ numbers })
    const first = await brokerInMemory(t, { ...options, disk })
    await producing(t, first)
    for (let count = 10 + numbers(40); count > 0; count--) {
      const id = `m${count}`
      const half = `UNIQ_KEY\u0001${id}\u0002TRAN_MSG\u0001true\u0002PGROUP\u0001payments\u0002`
      const late = `UNIQ_KEY\u0001${id}\u0002DELAY\u00011\u0002`
      const bornTimestamp = first.clock.now()
      await sendMessage(first, { properties: numbers(2) === 0 ? half : late, bornTimestamp }, id)
      await step(first, 20 + numbers(400))
    }
    // The tables are synced, the log is not: so they may be newer than the log.
    disk.crash()
    await first.end()

    const second = await brokerInMemory(t, { ...options, disk: disk.restarted({ power: true, survival: 'none' }) })
    const asked = await producing(t, second)
    const waiting = await messagesIn(second, SCHEDULE, 0)
    const open = await messagesIn(second, HALF, 0)
    second.clock.jump(first.clock.now() - second.clock.now())
    for (let count = 0; count < 10; count++) await step(second, 500)
    const delivered = new Set((await messagesIn(second, 'Orders', 1)).map(({ body }) => body.toString()))
    const forgotten = waiting.filter(({ body }) => !delivered.has(body.toString()))
    assert.deepEqual(forgotten.map(({ body }) => body.toString()), []) // biome-ignore format: one thought
    const unasked = open.map(({ properties }) => properties.get(PROPERTY.UNIQ_KEY) ?? '').filter(id => !asked.has(id))
    assert.deepEqual(unasked, [])
  })
}
