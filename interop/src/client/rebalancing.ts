import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AssignmentStrategy, averagelyByCircle, consistentHash } from '@gantrymq/client'
import type { Owner } from '../launch/launched-program.ts'
import type { ConsumerSpec, ConsumedMessage, MessageToSend, ConsumerUnderTest } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'

const QUEUES = 8
const SETTLED_MS = 45_000

function messages(topic: string, word: string, count: number): MessageToSend[] {
  return Array.from({ length: count }, (_, i) => ({ topic, body: `${word} ${i}` }))
}

/** Starts two consumers of ours and one of Java in one group. */
async function mixedGroup(t: Owner, cluster: Cluster, settings: ConsumerSpec): Promise<ConsumerUnderTest[]> {
  return [
    await cluster.ours.consume(t, { ...settings, instanceName: unique('one') }),
    await cluster.java.consume(t, settings),
    await cluster.ours.consume(t, { ...settings, instanceName: unique('two') }),
  ]
}

/** Waits until each queue of a topic has one member, and each member at least one queue. */
async function shareAll(members: readonly ConsumerUnderTest[], topic: string): Promise<void> {
  await eventually(async () => {
    const held = await Promise.all(members.map(member => member.queues()))
    const ids = held.map(queues => queues.filter(queue => queue.topic === topic).map(queue => queue.queueId))
    assert.deepEqual(
      ids.flat().toSorted((a, b) => a - b),
      Array.from({ length: QUEUES }, (_, i) => i),
      `queues held: ${JSON.stringify(ids)}`,
    )
    assert.ok(ids.every(own => own.length > 0))
  }, SETTLED_MS)
}

/** Waits until each member holds the queues that our strategy assigns to it. */
async function shareBy(
  members: readonly ConsumerUnderTest[],
  topic: string,
  brokerName: string,
  strategy: AssignmentStrategy,
) {
  const queues = Array.from({ length: QUEUES }, (_, queueId) => ({ topic, brokerName, queueId }))
  const clientIds = members.map(({ clientId }) => clientId).toSorted()
  await eventually(async () => {
    for (const member of members) {
      const { clientId } = member
      const wanted = strategy.assign({ group: '', clientId, queues, clientIds }).map(({ queueId }) => queueId)
      const held = (await member.queues()).filter(queue => queue.topic === topic).map(({ queueId }) => queueId)
      assert.deepEqual(
        held.toSorted((a, b) => a - b),
        wanted,
      )
    }
  }, SETTLED_MS)
}

const textsOf = (members: readonly ConsumerUnderTest[]) => members.flatMap(member => member.received.texts)

async function gotOnce(members: readonly ConsumerUnderTest[], sent: readonly MessageToSend[]): Promise<void> {
  const wanted = sent.map(message => String(message.body))
  await eventually(async () => {
    const texts = new Set(textsOf(members))
    assert.deepEqual(
      wanted.filter(text => !texts.has(text)),
      [],
      'messages that did not arrive',
    )
  }, SETTLED_MS)
  const all = textsOf(members).filter(text => wanted.includes(text))
  assert.equal(all.length, wanted.length, 'some messages arrived twice')
}

/** Asserts that one member received the messages of each queue, in their order. */
function gotInOrder(members: readonly ConsumerUnderTest[], wave: string): void {
  const arrived = members.flatMap(({ clientId, received }) => received.all.map(message => ({ clientId, ...message })))
  const byQueue = Map.groupBy(
    arrived.filter(({ text }) => text.startsWith(wave)),
    ({ queueId }) => queueId,
  )
  assert.equal(byQueue.size, QUEUES)
  for (const [queueId, messages] of byQueue) {
    assert.equal(
      new Set(messages.map(({ clientId }) => clientId)).size,
      1,
      `members that received from queue ${queueId}`,
    )
    const offsets = messages.map(({ queueOffset }: ConsumedMessage) => queueOffset)
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
      `order of queue ${queueId}`,
    )
  }
}

/** Two consumers of ours and one of Java in one group. */
export function rebalancing(cluster: () => Cluster): void {
  for (const orderly of [false, true]) {
    test(`the members share all queues without loss or duplicates${orderly ? ', in order' : ''}`, {
      timeout: 150_000,
    }, async t => {
      const topic = await cluster().topic('shared', QUEUES)
      const settings = { group: unique('group'), subscriptions: { [topic]: '*' }, orderly }
      const members = await mixedGroup(t, cluster(), settings)
      await shareAll(members, topic)
      const sent = messages(topic, 'three', 120)
      await Promise.all([cluster().ours.send(sent.slice(0, 60)), cluster().java.send(sent.slice(60))])
      await gotOnce(members, sent)
      assert.ok(members.every(member => member.received.all.length > 0))
      if (orderly) gotInOrder(members, 'three')
    })
  }

  for (const strategy of [averagelyByCircle, consistentHash()]) {
    const allocate = strategy.name as 'AVG_BY_CIRCLE' | 'CONSISTENT_HASH'
    test(`the members share all queues by ${allocate}`, { timeout: 150_000 }, async t => {
      const topic = await cluster().topic('allocated', QUEUES)
      const settings = { group: unique('group'), subscriptions: { [topic]: '*' }, allocate }
      const members = await mixedGroup(t, cluster(), settings)
      await shareBy(members, topic, cluster().brokerName, strategy)
      const sent = messages(topic, 'allocated', 40)
      await cluster().java.send(sent)
      await gotOnce(members, sent)
    })
  }

  test('each queue keeps its order when a member leaves', { timeout: 150_000 }, async t => {
    const topic = await cluster().topic('handed', QUEUES)
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' }, orderly: true }
    const members = await mixedGroup(t, cluster(), settings)
    const [one, ...others] = members
    await shareAll(members, topic)
    const before = messages(topic, 'before', 40)
    await cluster().java.send(before)
    await gotOnce(members, before)
    gotInOrder(members, 'before')
    await one?.stop()
    await shareAll(others, topic)
    const after = messages(topic, 'after', 40)
    await cluster().ours.send(after)
    await gotOnce(others, after)
    gotInOrder(others, 'after')
  })

  test('the others take over the queues of a member that leaves, without loss or duplicates', {
    timeout: 150_000,
  }, async t => {
    const topic = await cluster().topic('left', QUEUES)
    const settings = { group: unique('group'), subscriptions: { [topic]: '*' } }
    const members = await mixedGroup(t, cluster(), settings)
    const [one, java, two] = members
    await shareAll(members, topic)
    const before = messages(topic, 'before', 40)
    await cluster().java.send(before)
    await gotOnce(members, before)
    await one?.stop()
    await shareAll(
      [java, two].filter(member => member !== undefined),
      topic,
    )
    const after = messages(topic, 'after', 40)
    await cluster().ours.send(after)
    await gotOnce(members, after)
    await java?.stop()
    await shareAll(two ? [two] : [], topic)
    const alone = messages(topic, 'alone', 16)
    await cluster().java.send(alone)
    await gotOnce(members, alone)
  })
}
