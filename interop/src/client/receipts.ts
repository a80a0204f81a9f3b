import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ClientError, PushConsumer, SimpleConsumer, type SimpleMessage } from '@gantrymq/client'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import type { Owner } from '../launch/launched-program.ts'
import { parseFastjson } from '../wire/raw-frame.ts'

/** Longer than a broker needs to restart. */
const INVISIBLE_MS = 30_000
const AGAIN_MS = 90_000
const WRITTEN_MS = 30_000
const COUNT = 8

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i))
const textOf = ({ body }: { readonly body: Buffer }): string => body.toString()

/**
 * Waits until the broker has written the group's pop offsets, which it does every 5 s. A broker that is killed before delivers
 * all messages again at once, acknowledged ones included.
 */
async function isWritten({ broker }: Cluster, topic: string, group: string): Promise<void> {
  const file = join(broker.folder, 'store', 'config', 'consumerOffset.json')
  await eventually(async () => {
    const { offsetTable } = parseFastjson(await readFile(file)) as { readonly offsetTable: Record<string, object> }
    const offsets: unknown[] = Object.values(offsetTable[`${topic}@${group}`] ?? {})
    assert.equal(
      offsets.reduce((sum: number, offset) => sum + Number(offset), 0),
      COUNT,
    )
  }, WRITTEN_MS)
}

async function sentTo(cluster: Cluster): Promise<string> {
  const topic = await cluster.topic('popped', 2)
  await cluster.java.send(numbers(0, COUNT).map(body => ({ topic, body })))
  return topic
}

/** Starts a simple consumer that has received all messages and acknowledged none. */
async function receiving(t: Owner, cluster: Cluster) {
  const topic = await sentTo(cluster)
  const subscriptions = { [topic]: '*' }
  const settings = { consumeFrom: 'first', invisibleMs: INVISIBLE_MS, waitMs: 2_000, routeRefreshMs: 1_000 } as const
  const group = unique('group')
  const consumer = await SimpleConsumer.start({ nameServers: cluster.nameServers, group, subscriptions, ...settings })
  t.after(() => consumer.close())
  const inHand: SimpleMessage[] = []
  await eventually(async () => {
    inHand.push(...(await consumer.receive()))
    assert.equal(inHand.length, COUNT)
  }, AGAIN_MS)
  await isWritten(cluster, topic, group)
  return { consumer, inHand: inHand.toSorted((a, b) => Number(textOf(a)) - Number(textOf(b))) }
}

/** Starts a push consumer in pop mode whose listeners hold all messages until `finish` is called. */
async function listening(t: Owner, cluster: Cluster) {
  const topic = await sentTo(cluster)
  const group = unique('group')
  await cluster.java.setPop(cluster.broker.address, topic, group)
  const received: string[] = []
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  const consumer = await PushConsumer.start({
    nameServers: cluster.nameServers,
    group,
    subscriptions: { [topic]: '*' },
    consumeFrom: 'first',
    serverAssignment: true,
    popInvisibleMs: INVISIBLE_MS,
    routeRefreshMs: 1_000,
    onMessage: async message => {
      received.push(textOf(message))
      await finished
    },
  })
  t.after(async () => {
    finish()
    await consumer.close()
  })
  await eventually(async () => assert.equal(received.length, COUNT), AGAIN_MS)
  await isWritten(cluster, topic, group)
  return { received, finish }
}

/** Popped messages whose broker is killed between the pop and the acknowledgement (5.x). */
export function receipts(cluster: () => Cluster): void {
  test('messages without acknowledgement arrive again, acknowledged ones do not, and none is lost', {
    timeout: 240_000,
  }, async t => {
    const { broker } = cluster()
    const [{ consumer, inHand }, { received, finish }] = await Promise.all([
      receiving(t, cluster()),
      listening(t, cluster()),
    ])
    await consumer.ack(inHand.slice(0, 2))
    await broker.kill()
    finish()
    const refused = consumer.ack(inHand.slice(2, 4), { timeoutMs: 1_000 })
    await assert.rejects(refused, error => error instanceof ClientError && error.retriable)
    await broker.restart()
    // A receipt from before the kill is valid until its invisible time has passed.
    await eventually(() => consumer.ack(inHand.slice(2, 4)), INVISIBLE_MS)
    const again: string[] = []
    await eventually(async () => {
      const messages = await consumer.receive()
      again.push(...messages.map(textOf))
      await consumer.ack(messages)
      assert.ok(again.length >= COUNT - 4, again.join())
    }, AGAIN_MS)
    await eventually(async () => assert.ok(received.length >= 2 * COUNT, received.join()), AGAIN_MS)
    again.push(...(await consumer.receive()).map(textOf))
    assert.deepEqual(again.toSorted(), numbers(4, COUNT))
    assert.deepEqual(received.toSorted(), [...numbers(0, COUNT), ...numbers(0, COUNT)].toSorted())
  })
}
