import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeartbeatOrder } from './heartbeat-order.ts'

const broker = { name: 'broker-a', id: 0, address: '10.0.1.1:10911' }

/** Heartbeats that are answered when the test says so; `sent` lists what was sent, in order. */
function fixture() {
  const sent: string[] = []
  const answers: (() => void)[] = []
  const send = async (what: string): Promise<void> => {
    sent.push(what)
    await new Promise<void>(resolve => answers.push(resolve))
  }
  const answer = async (): Promise<void> => {
    answers.shift()?.()
    await new Promise(resolve => setImmediate(resolve))
  }
  return { sent, answer, send, order: new HeartbeatOrder(() => send('heartbeat')) }
}

test('an unregistration waits for the heartbeat in flight, which may list the member', async () => {
  const { sent, answer, send, order } = fixture()
  void order.beat(broker, true)
  void order.unregister(broker.address, () => send('unregister'))
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(sent, ['heartbeat'])
  await answer()
  assert.deepEqual(sent, ['heartbeat', 'unregister'])
})

test('heartbeats wait for all unregistrations, which do not wait for each other, and then one heartbeat is enough', async () => {
  const { sent, answer, send, order } = fixture()
  void order.unregister(broker.address, () => send('unregister 1'))
  void order.unregister(broker.address, () => send('unregister 2'))
  const beats = [order.beat(broker, true), order.beat(broker, false), order.beat(broker, true)]
  await answer()
  assert.deepEqual(sent, ['unregister 1', 'unregister 2'])
  await answer()
  await answer()
  assert.deepEqual(sent, ['unregister 1', 'unregister 2', 'heartbeat'])
  await answer()
  await Promise.all(beats)
})

test('a heartbeat that must list the current members follows the one in flight, others join that one', async () => {
  const { sent, answer, order } = fixture()
  void order.beat(broker, false)
  void order.beat(broker, false)
  const current = [order.beat(broker, true), order.beat(broker, true)]
  assert.equal(order.isBeating(broker.address), true)
  await answer()
  assert.equal(sent.length, 2)
  await answer()
  await Promise.all(current)
  assert.deepEqual([sent.length, order.isBeating(broker.address)], [2, false])
})
