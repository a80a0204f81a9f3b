import assert from 'node:assert/strict'
import { test } from 'node:test'
import { consumeRequests, pullFlags } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'
import { brokerInMemory } from './broker-in-memory.ts'
import { sendMessage, settle } from './requests.ts'

const graceful = { enableShutdownGracefully: true, shutdownWaitTimeSeconds: 30 }

test('a broker that still serves older clients while it shuts down holds their pulls, and does not let them pull in a loop', async t => {
  const mq = await brokerInMemory(t, graceful)
  const { clock, broker } = mq
  await sendMessage(mq)
  const older = new RemotingClient({ clock, dial: mq.dial, version: 409 })
  t.after(() => older.close())
  const header = { consumerGroup: 'g', topic: 'Orders', queueId: 1, queueOffset: 1, maxMsgNums: 32, sysFlag: pullFlags.subscription | pullFlags.suspend, commitOffset: 0, suspendTimeoutMillis: 15_000, subscription: '*', subVersion: 0 } // biome-ignore format: one thought
  let answers = 0
  const consume = async (): Promise<void> => {
    for (;;) {
      await older.call(mq.brokerAddress, consumeRequests.PULL_MESSAGE, { header }, { timeoutMs: 60_000 })
      if (++answers > 100) return
    }
  }
  const consuming = consume().catch((error: { code?: string }) => error.code)
  await settle()
  assert.equal(broker.status.heldPulls, 1)
  const closing = broker.close()
  try {
    await settle()
    assert.deepEqual([answers, broker.status.heldPulls], [1, 1], 'it is answered once, and held then')
    for (let second = 0; second < 16; second++) {
      clock.advance(1000)
      await settle()
    }
    assert.deepEqual([answers, broker.status.heldPulls], [2, 1], 'its time is over after 15 s')
  } finally {
    clock.advance(30_000)
    await closing
  }
  assert.equal(await consuming, 'CLOSED')
})
