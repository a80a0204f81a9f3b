import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Stage } from '@gantrymq/testkit'
import { Admin } from '../src/admin/admin.ts'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import type { LitePullConsumerOptions } from '../src/consumer/lite-pull-options.ts'
import { LocalOffsets } from '../src/consumer/local-offsets.ts'
import { PullConsumer } from '../src/consumer/pull-consumer.ts'
import { PushConsumer, type PushConsumerOptions } from '../src/consumer/push-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import { ClientError } from '../src/errors.ts'
import { queueKey } from '../src/message.ts'
import { Producer } from '../src/producer/producer.ts'
import type { TransactionState } from '../src/producer/transactions.ts'
import {
  type Books,
  checkNothingAgain,
  checkNothingLost,
  committed,
  type Life,
  outcomeOfDisk,
  queuesOf,
} from './lives.ts'
import { TOPIC } from './survival-scene.ts'

/** Starts a client of one kind. */
export type Role = (books: Books, t: TestContext) => Promise<Life>

const GROUP = 'readers'
const RETRY = `%RETRY%${GROUP}`

const shared = ({ scenery }: Books) => {
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
  await books.scenery.play.settle(2)
  if (books.failsNow(body)) throw new Error('not now')
  books.done.add(body)
}

type PushOptions = Partial<PushConsumerOptions>

function pushOptions(books: Books, more: PushOptions): PushConsumerOptions {
  const onMessage: PushConsumerOptions['onMessage'] = ({ bytes }) => listen(books, bytes)
  return { ...shared(books), ...subscribed, onMessage, ...more }
}

const startPush = (books: Books, more: PushOptions = {}): Promise<PushConsumer> =>
  books.scenery.play.outcome(PushConsumer.start(pushOptions(books, more)))

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
      for (const { state } of books.scenery.play.brokers) {
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
  const { play } = books.scenery
  const options = pushOptions(books, {
    broadcast: true,
    offsetsFolder: folder,
    // Where all members get everything nothing comes again.
    onMessage: ({ bytes }) => listen(books, bytes).finally(() => books.done.add(bytes.toString())),
  })
  const consumer = await outcomeOfDisk(play, PushConsumer.start(options), folder)
  return {
    ...pushLife(books, consumer),
    wait: closing => outcomeOfDisk(play, closing, folder),
    async check(calm) {
      const kept = new LocalOffsets({ folder, clientId: consumer.clientId, group: GROUP, log: silent })
      await kept.load()
      const offsets = new Map<string, number>()
      for (const { name: brokerName } of play.brokers) {
        for (const queueId of [0, 1]) {
          const queue = { topic: TOPIC, brokerName, queueId }
          offsets.set(queueKey(queue), Math.max(0, await kept.read(queue)))
        }
      }
      const at = (broker: Stage['broker'], topic: string, queueId: number): number =>
        offsets.get(queueKey({ topic, brokerName: broker.name, queueId })) ?? 0
      const queues = queuesOf(books, books.done, [TOPIC], at)
      checkNothingLost(queues)
      if (calm) checkNothingAgain(queues)
    },
  }
}

const iterating: Role = async books => {
  const { play } = books.scenery
  const consumer = await startPush(books, { onMessage: undefined })
  const loop = (async () => {
    for await (const message of consumer) {
      const body = message.bytes.toString()
      await play.settle(2)
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
  for (const { state, log, name } of scenery.play.brokers) {
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
  for (const { state } of books.scenery.play.brokers) {
    const mode = { topic: TOPIC, consumerGroup: GROUP, mode: 'POP', popShareQueueNum: 0 } as const
    state.requestModes.set(`${TOPIC}@${GROUP}`, mode)
  }
  const consumer = await startPush(books, { serverAssignment: true })
  return { ...pushLife(books, consumer), check: calm => checkPopped(books, books.done, calm) }
}

const simple: Role = async books => {
  const { play } = books.scenery
  const consumer = await play.outcome(SimpleConsumer.start({ ...shared(books), ...subscribed }))
  const acked = new Set<string>()
  const loop = books.loop(async () => {
    for (const message of await consumer.receive({ max: 2, waitMs: 2000, invisibleMs: 30_000 })) {
      await play.settle(2)
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
  return books.scenery.play.outcome(LitePullConsumer.start({ ...shared(books), ...more }))
}

/** What a poll gave is done when the next one is asked for. */
const subscribing: Role = async books => {
  const consumer = await startLite(books, subscribed)
  const given = new Set<string>()
  const loop = books.loop(async () => {
    const before = [...given]
    for (const { bytes } of await consumer.poll({ timeoutMs: 2000 })) given.add(bytes.toString())
    for (const body of before) books.done.add(body)
    await books.scenery.play.settle(2)
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
  const { play } = books.scenery
  const consumer = await startLite(books, { consumeFrom: 'first', autoCommit: false, pullBatchSize: 2 })
  const queues = play.brokers.flatMap(({ name: brokerName }) =>
    [0, 1].map(queueId => ({ topic: TOPIC, brokerName, queueId })),
  )
  await play.outcome(consumer.assign(queues))
  const given = new Set<string>()
  const loop = books.loop(async () => {
    for (const { bytes } of await consumer.poll({ timeoutMs: 2000 })) given.add(bytes.toString())
    await play.settle(1)
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
  const { play } = books.scenery
  const consumer = await play.outcome(PullConsumer.start({ ...shared(books), topics: [TOPIC] }))
  const loop = books.loop(async () => {
    for (const queue of consumer.queuesInBalance(TOPIC)) {
      const offset = (await consumer.fetchOffset(queue)) ?? 0
      const { messages, nextOffset } = await consumer.pull(queue, '*', offset, 2)
      await play.settle(1)
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

// -- Producers ---------------------------------------------------------------------------------------------------------

function endsOf({ calls }: Books): ReadonlyMap<string, unknown> {
  for (const { body, end } of calls) {
    assert.ok(end !== undefined, `${body} still waits`)
    if (end instanceof Error) assert.ok(end instanceof ClientError, end.stack)
  }
  return new Map(calls.map(({ body, end }) => [body, end]))
}

const bodiesOf = ({ log }: Stage['broker'], topic: string): string[] =>
  log.messages(topic).map(({ message }) => message.body.toString())

const STATES = ['commit', 'rollback', 'unknown'] as const

const transactional: Role = async books => {
  const { play } = books.scenery
  const decided = new Map<string, TransactionState>()
  const producer = await play.outcome(
    Producer.start({
      ...books.scenery.producerOptions(),
      checkTransaction: async ({ bytes }) => decided.get(bytes.toString()) ?? 'unknown',
    }),
  )
  const begin = (body: string): Promise<unknown> => {
    const state = STATES[books.calls.length % 3] ?? 'unknown'
    return producer.sendInTransaction({ topic: TOPIC, body }, async () => {
      await play.settle(2)
      decided.set(body, state === 'unknown' ? 'commit' : state)
      if (state === 'unknown') throw new Error('the answer was lost')
      return state
    })
  }
  return {
    client: producer,
    work() {
      for (let n = 0; n < 3; n++) books.call(begin)
    },
    late: () => producer.sendInTransaction({ topic: TOPIC, body: 'late' }, async () => 'commit'),
    check(calm) {
      const seen = play.brokers.flatMap(broker => bodiesOf(broker, TOPIC))
      const halves = play.brokers.flatMap(({ state }) => [...state.halves].map(({ message }) => String(message.body)))
      for (const [body, end] of endsOf(books)) {
        if (end instanceof Error) assert.ok(!calm, String(end))
        if (end instanceof Error) continue
        const { transactionState } = end as { readonly transactionState: TransactionState }
        if (transactionState === 'rollback') assert.ok(!seen.includes(body), `${body} was rolled back, and is seen`)
        else assert.ok(seen.includes(body) || halves.includes(body), `${body} is lost`)
        if (calm && transactionState === 'commit') assert.ok(seen.includes(body), `${body} is not committed`)
      }
    },
  }
}

const plain: Role = async books => {
  const { play } = books.scenery
  const producer = await play.outcome(Producer.start(books.scenery.producerOptions()))
  return {
    client: producer,
    work() {
      // Also to a topic that nobody made yet, for which the route of another is asked for.
      for (const topic of [TOPIC, `${TOPIC}${books.calls.length}`]) {
        books.call(body => producer.send({ topic, body }))
      }
    },
    late: () => producer.send({ topic: TOPIC, body: 'late' }),
    check(calm) {
      const stored = play.brokers.flatMap(broker =>
        [...broker.log.topics.keys()].flatMap(each => bodiesOf(broker, each)),
      )
      for (const [body, end] of endsOf(books)) {
        if (end instanceof Error) assert.ok(!calm, String(end))
        else assert.ok(stored.includes(body), `${body} is lost`)
      }
    },
  }
}

const requesting: Role = async books => {
  const { play } = books.scenery
  const replier = await play.outcome(Producer.start({ ...books.scenery.producerOptions(), group: 'repliers' }))
  const consumer = await startPush(books, {
    group: 'asked',
    subscriptions: { Questions: '*' },
    async onMessage(message) {
      await play.settle(2)
      await replier.reply(message, `re: ${message.bytes.toString()}`)
    },
  })
  const producer = await play.outcome(Producer.start(books.scenery.producerOptions()))
  return {
    client: producer,
    others: [consumer, replier],
    work() {
      for (let n = 0; n < 2; n++) books.call(body => producer.request({ topic: 'Questions', body }))
    },
    late: () => producer.request({ topic: 'Questions', body: 'late' }),
    check() {
      for (const [body, end] of endsOf(books)) {
        if (!(end instanceof Error)) assert.equal(String((end as { bytes: Buffer }).bytes), `re: ${body}`)
      }
    },
  }
}

const administering: Role = async books => {
  const { group: _, ...given } = shared(books)
  const admin = await books.scenery.play.outcome(Admin.start(given))
  const queue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 }
  return {
    client: admin,
    work() {
      books.call(() => admin.topics.route(TOPIC))
      books.call(() => admin.offsets.max(queue))
      books.call(() => admin.offsets.commit(GROUP, queue, 0))
      books.call(() => admin.messages.byKey(TOPIC, 'k'))
      books.call(() => admin.config.ofNameServers())
      books.call(() => admin.stats.ofTopic(TOPIC))
    },
    late: () => admin.clusters.info(),
    check: () => void endsOf(books),
  }
}

/** Every kind of client, by what it is. */
export const ROLES: Readonly<Record<string, Role>> = {
  'a push consumer': concurrent,
  'an orderly push consumer': orderly,
  'a broadcasting push consumer': broadcasting,
  'a push consumer that is iterated over': iterating,
  'a popping push consumer': popping,
  'a simple consumer': simple,
  'a lite pull consumer that subscribes': subscribing,
  'a lite pull consumer with assigned queues': assigned,
  'a pull consumer': pulling,
  'a producer': plain,
  'a transactional producer': transactional,
  'a producer of requests': requesting,
  'an admin': administering,
}
