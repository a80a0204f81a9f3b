import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Heartbeats } from './heartbeats.ts'

const broker = { name: 'broker-a', id: 0, address: '10.0.1.1:10911' }

/** Heartbeats whose answers come when the test says so; `said` has what has left, in order. */
function scene() {
  const said: string[] = []
  const answers: (() => void)[] = []
  const say = async (what: string): Promise<void> => {
    said.push(what)
    await new Promise<void>(resolve => answers.push(resolve))
  }
  const answer = async (): Promise<void> => {
    answers.shift()?.()
    await new Promise(resolve => setImmediate(resolve))
  }
  return { said, answer, say, heartbeats: new Heartbeats(() => say('heartbeat')) }
}

test('a farewell waits for the heartbeat on its way, which may tell of the member', async () => {
  const { said, answer, say, heartbeats } = scene()
  void heartbeats.beat(broker, true)
  void heartbeats.leave(broker.address, () => say('farewell'))
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(said, ['heartbeat'])
  await answer()
  assert.deepEqual(said, ['heartbeat', 'farewell'])
})

test('a heartbeat waits for all farewells, which do not wait for each other, and then one is enough', async () => {
  const { said, answer, say, heartbeats } = scene()
  void heartbeats.leave(broker.address, () => say('farewell 1'))
  void heartbeats.leave(broker.address, () => say('farewell 2'))
  const beats = [heartbeats.beat(broker, true), heartbeats.beat(broker, false), heartbeats.beat(broker, true)]
  await answer()
  assert.deepEqual(said, ['farewell 1', 'farewell 2'])
  await answer()
  await answer()
  assert.deepEqual(said, ['farewell 1', 'farewell 2', 'heartbeat'])
  await answer()
  await Promise.all(beats)
})

test('a heartbeat that has to be anew follows the one on its way, others join it', async () => {
  const { said, answer, heartbeats } = scene()
  void heartbeats.beat(broker, false)
  void heartbeats.beat(broker, false)
  const anew = [heartbeats.beat(broker, true), heartbeats.beat(broker, true)]
  assert.equal(heartbeats.isBeating(broker.address), true)
  await answer()
  assert.equal(said.length, 2)
  await answer()
  await Promise.all(anew)
  assert.deepEqual([said.length, heartbeats.isBeating(broker.address)], [2, false])
})
