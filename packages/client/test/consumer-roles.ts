import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestCluster } from '@gantrymq/testkit'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import type { LitePullConsumerOptions } from '../src/consumer/lite-pull/options.ts'
import { LocalOffsets } from '../src/consumer/offsets/local-offsets.ts'
import { PullConsumer } from '../src/consumer/pull-consumer.ts'
import { PushConsumer, type PushConsumerOptions } from '../src/consumer/push-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import { queueKey } from '../src/message/message.ts'
import {
  type Books,
  checkNothingAgain,
  checkNothingLost,
  committed,
  type Life,
  outcomeOfDisk,
  queuesOf,
  type Role,
} from './lives.ts'
import { TOPIC } from './survival-scene.ts'

const GROUP = 'readers'
const RETRY = `%RETRY%${GROUP}`

export const shared = ({ scenery }: Books) => {
  const { clock, nameServers, log, dial } = scenery.consumerOptions()
  return { clock, nameServers, log, dial, group: GROUP }
}

const subscribed = { subscriptions: { [TOPIC]: '*' }, consumeFrom: 'first' } as const

/** By the offsets that the brokers know, and what a user says is done. */
function checkOffsets(books: Books, topics: readonly string[], calm: boolean): void {
  const queues = queuesOf(books, books.done, topics, committed(GROUP))
  checkNothingLost(queues)
  if (calm) checkNothingAgain(queues)
}

// -- Push consumers ----------------------------------------------------------------------------------------------------

async function listen(books: Books, bytes: Buffer): Promise<void> {
  const body = bytes.toString()
  await books.scenery.cluster.settle(2)
  if (books.failsNow(body)) throw new Error('not now')
  books.done.add(body)
}

type PushOptions = Partial<PushConsumerOptions>

function pushOptions(books: Books, more: PushOptions): PushConsumerOptions {
  const onMessage: PushConsumerOptions['onMessage'] = ({ bytes }) => listen(books, bytes)
  return { ...shared(books), ...subscribed, onMessage, ...more }
}

export const startPush = (books: Books, more: PushOptions = {}): Promise<PushConsumer> =>
  books.scenery.cluster.outcome(PushConsumer.start(pushOptions(books, more)))

function pushLife(books: Books, consumer: PushConsumer): Life {
  return {
    client: consumer,
    late: () => consumer.subscribe('Other'),
    check: calm => checkOffsets(books, [TOPIC, RETRY], calm),
  }
}

const concurrent: Role = async books => pushLife(books, await startPush(books))

const orderly: Role = async books => {
  const life = pushLife(books, await startPush(books, { orderly: true }))
  return {
    ...life,
    async check(calm) {
      await life.check(calm)
      if (!calm) return
      for (const { state } of books.scenery.cluster.brokers) {
        const owners = [TOPIC, RETRY].flatMap(topic => [0, 1].map(id => state.locks.ownerOf(`${topic}@${GROUP}@${id}`)))
        assert.deepEqual(new Set(owners), new Set([undefined]), 'a lock is left')
      }
    },
  }
}

/** Where offsets are kept whole at once, as no disk has to turn for it; else among other files. */
const MEMORY_DISK = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

const silent = { debug() {}, info() {}, warn() {}, error() {} }

const broadcasting: Role = async (books, t) => {
  const folder = await mkdtemp(join(MEMORY_DISK, 'offsets-'))
  t.after(() => rm(folder, { recursive: true }))
  const { cluster } = books.scenery
  const options = pushOptions(books, {
    broadcast: true,
    offsetsFolder: folder,
    // Where all members get everything nothing comes again.
    onMessage: ({ bytes }) => listen(books, bytes).finally(() => books.done.add(bytes.toString())),
  })
  const consumer = await outcomeOfDisk(cluster, PushConsumer.start(options), folder)
  return {
    ...pushLife(books, consumer),
    wait: closing => outcomeOfDisk(cluster, closing, folder),
    async check(calm) {
      const kept = new LocalOffsets({ folder, clientId: consumer.clientId, group: GROUP, log: silent })
      await kept.load()
      const offsets = new Map<string, number>()
      for (const { name: brokerName } of cluster.brokers) {
        for (const queueId of [0, 1]) {
          const queue = { topic: TOPIC, brokerName, queueId }
          offsets.set(queueKey(queue), Math.max(0, await kept.read(queue)))
        }
      }
      const at = (broker: TestCluster['broker'], topic: string, queueId: number): number =>
        offsets.get(queueKey({ topic, brokerName: broker.name, queueId })) ?? 0
      const queues = queuesOf(books, books.done, [TOPIC], at)
      checkNothingLost(queues)
      if (calm) checkNothingAgain(queues)
    },
  }
}

const iterating: Role = async books => {
  const { cluster } = books.scenery
  const consumer = await startPush(books, { onMessage: undefined })
  const loop = (async () => {
    for await (const message of consumer) {
      const body = message.bytes.toString()
      await cluster.settle(2)
      if (books.failsNow(body)) await message.retry()
      else {
        books.done.add(body)
        await message.ack()
      }
    }
  })()
  return { ...pushLife(books, consumer), loop }
}

// -- Popping -----------------------------------------------------------------------------------------------------------

/** What was popped is done, or will come again; and when all was well, only the latter. */
function checkPopped({ scenery }: Books, done: ReadonlySet<string>, calm: boolean): void {
  for (const { state, log, name } of scenery.cluster.brokers) {
    const isOut = (body: string): boolean => state.pops.out.some(({ entry }) => String(entry.message.body) === body)
    const again = log.messages(`%RETRY%${GROUP}_${TOPIC}`).map(({ message }) => String(message.body))
    for (const queueId of [0, 1]) {
      const next = state.pops.nextOffset({ topic: TOPIC, group: GROUP, queueId }) ?? 0
      for (const { message, queueOffset } of log.messages(TOPIC, queueId)) {
        const body = String(message.body)
        if (queueOffset >= next) continue
        assert.ok(done.has(body) || isOut(body) || again.includes(body), `${name} ${queueId}: ${body} is lost`)
        if (calm) assert.ok(!done.has(body) || !isOut(body), `${name} ${queueId}: ${body} was done, and comes again`)
      }
    }
  }
}

const popping: Role = async books => {
  for (const { state } of books.scenery.cluster.brokers) {
    const mode = { topic: TOPIC, consumerGroup: GROUP, mode: 'POP', popShareQueueNum: 0 } as const
    state.requestModes.set(`${TOPIC}@${GROUP}`, mode)
  }
  const consumer = await startPush(books, { serverAssignment: true })
  return { ...pushLife(books, consumer), check: calm => checkPopped(books, books.done, calm) }
}

const simple: Role = async books => {
  const { cluster } = books.scenery
  const consumer = await cluster.outcome(SimpleConsumer.start({ ...shared(books), ...subscribed }))
  const acked = new Set<string>()
  const loop = books.loop(async () => {
    for (const message of await consumer.receive({ max: 2, waitMs: 2000, invisibleMs: 30_000 })) {
      await cluster.settle(2)
      const body = message.bytes.toString()
      books.done.add(body)
      await message.ack()
      acked.add(body)
    }
  })
  return {
    client: consumer,
    late: () => consumer.receive(),
    loop,
    check() {
      checkPopped(books, books.done, false)
      checkPopped(books, new Set([...books.done].filter(body => acked.has(body))), true)
    },
  }
}

// -- Pulling -----------------------------------------------------------------------------------------------------------

function startLite(books: Books, more: Partial<LitePullConsumerOptions>): Promise<LitePullConsumer> {
  return books.scenery.cluster.outcome(LitePullConsumer.start({ ...shared(books), ...more }))
}

/** What a poll gave is done when the next one is asked for. */
const subscribing: Role = async books => {
  const consumer = await startLite(books, subscribed)
  const given = new Set<string>()
  const loop = books.loop(async () => {
    const before = [...given]
    for (const { bytes } of await consumer.poll({ timeoutMs: 2000 })) given.add(bytes.toString())
    for (const body of before) books.done.add(body)
    await books.scenery.cluster.settle(2)
  })
  return {
    client: consumer,
    loop,
    late: () => consumer.poll(),
    check(calm) {
      checkNothingLost(queuesOf(books, given, [TOPIC], committed(GROUP)))
      if (calm) checkNothingAgain(queuesOf(books, books.done, [TOPIC], committed(GROUP)))
    },
  }
}

/** What is committed is done, whatever happens then. */
const assigned: Role = async books => {
  const { cluster } = books.scenery
  const consumer = await startLite(books, { consumeFrom: 'first', autoCommit: false, pullBatchSize: 2 })
  const queues = cluster.brokers.flatMap(({ name: brokerName }) =>
    [0, 1].map(queueId => ({ topic: TOPIC, brokerName, queueId })),
  )
  await cluster.outcome(consumer.assign(queues))
  const given = new Set<string>()
  const loop = books.loop(async () => {
    for (const { bytes } of await consumer.poll({ timeoutMs: 2000 })) given.add(bytes.toString())
    await cluster.settle(1)
    const kept = [...given]
    await consumer.commit()
    for (const body of kept) books.done.add(body)
  })
  return {
    client: consumer,
    loop,
    late: () => consumer.poll(),
    check() {
      checkNothingLost(queuesOf(books, given, [TOPIC], committed(GROUP)))
      checkNothingAgain(queuesOf(books, books.done, [TOPIC], committed(GROUP)))
    },
  }
}

const pulling: Role = async books => {
  const { cluster } = books.scenery
  const consumer = await cluster.outcome(PullConsumer.start({ ...shared(books), topics: [TOPIC] }))
  const loop = books.loop(async () => {
    for (const queue of consumer.queuesInBalance(TOPIC)) {
      const offset = (await consumer.fetchOffset(queue)) ?? 0
      const { messages, nextOffset } = await consumer.pull(queue, '*', offset, 2)
      await cluster.settle(1)
      consumer.updateOffset(queue, nextOffset)
      for (const { bytes } of messages) books.done.add(bytes.toString())
    }
    await consumer.minOffset({ topic: TOPIC, brokerName: 'broker-a', queueId: 0 })
  })
  return {
    client: consumer,
    loop,
    late: () => consumer.queuesOf(TOPIC),
    check: calm => checkOffsets(books, [TOPIC], calm),
  }
}

/** Every kind of consumer, by what it is. */
export const CONSUMERS: Readonly<Record<string, Role>> = {
  'a push consumer': concurrent,
  'an orderly push consumer': orderly,
  'a broadcasting push consumer': broadcasting,
  'a push consumer that is iterated over': iterating,
  'a popping push consumer': popping,
  'a simple consumer': simple,
  'a lite pull consumer that subscribes': subscribing,
  'a lite pull consumer with assigned queues': assigned,
  'a pull consumer': pulling,
}
