import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeRegisterBroker, type TopicConfig } from '@gantrymq/protocol'
import { finish } from '@gantrymq/remoting'
import type { Broker } from '../registry/broker-group.ts'
import { LastBodies } from './last-bodies.ts'
import { readTopics } from './reader.ts'

function bodyOf(count: number, odd: number, counter: number): Buffer {
  const topics = new Map<string, TopicConfig>()
  for (let i = 0; i < count; i++) {
    const settings = { readQueueNums: 8, writeQueueNums: 8, perm: i === odd ? 4 : 6, topicSysFlag: 0, order: false }
    topics.set(`topic-${i}`, { topicName: `topic-${i}`, topicFilterType: 'SINGLE_TAG', ...settings })
  }
  const dataVersion = { stateVersion: 0, timestamp: 1, counter }
  return encodeRegisterBroker(
    { dataVersion, topics, topicQueueMappings: new Map(), filterServers: [] },
    { version: 513, compressed: false },
  )
}

function read(bytes: Buffer, bodies: LastBodies, broker: Broker) {
  const form = { version: 513, compressed: false, now: 0, maxTopics: 1000 }
  return finish(readTopics(bytes, form, bodies.of(broker)))
}

const brokerOf = (id: number) => ({ id, group: { writes: 0 } }) as unknown as Broker

test('the kept body is the last one, whichever part of it was copied', () => {
  const bodies = new LastBodies()
  const broker = brokerOf(0)
  // Changes at either end and in the middle, more digits in the data version, one topic more, and back.
  const sequence = [
    [100, 3, 1],
    [100, 50, 2],
    [100, 99, 3],
    [100, 0, 9],
    [100, 0, 10],
    [101, 0, 11],
    [100, 7, 12],
    [100, 8, 13],
  ] as const
  for (const [count, odd, counter] of sequence) {
    const bytes = bodyOf(count, odd, counter)
    const lent = Buffer.from(bytes)
    const reading = read(lent, bodies, broker)
    assert.equal(reading.count, count)
    bodies.keep(broker, reading.read)
    // The owner of the memory reuses it.
    lent.fill(0)
    assert.deepEqual(bodies.of(broker)?.bytes, bytes)
    assert.equal(bodies.size, bytes.length + 4 * count)
  }
})

test('a body is not used once the topics of its group have changed', () => {
  const bodies = new LastBodies()
  const broker = brokerOf(0)
  bodies.keep(broker, read(bodyOf(10, 1, 1), bodies, broker).read)
  assert.notEqual(bodies.of(broker), undefined)
  broker.group.writes++
  assert.equal(bodies.of(broker), undefined)
})

test('no body of a slave is kept, and the oldest body is dropped when there is no room', () => {
  const size = bodyOf(10, 1, 1).length + 40
  const bodies = new LastBodies(size * 2)
  const [first, second, third, slave] = [brokerOf(0), brokerOf(0), brokerOf(0), brokerOf(1)] as const
  for (const broker of [first, second, third, slave]) bodies.keep(broker, read(bodyOf(10, 1, 1), bodies, broker).read)
  assert.deepEqual(
    [first, second, third, slave].map(broker => bodies.of(broker) !== undefined),
    [false, true, true, false],
  )
  bodies.sweep(broker => broker === third)
  assert.equal(bodies.size, size)
})
