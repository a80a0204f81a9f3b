import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestCluster } from '@gantrymq/testkit/cluster'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import type { LitePullConsumerOptions } from '../src/consumer/lite-pull/options.ts'
import { LocalOffsets } from '../src/consumer/offsets/local-offsets.ts'
import { PullConsumer } from '../src/consumer/pull-consumer.ts'
import { PushConsumer, type PushConsumerOptions } from '../src/consumer/push-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import { queueKey } from '../src/message/message.ts'
import {
  type ClientWorkload,
  checkNothingRepeated,
  checkNothingLost,
  committed,
  type RunningClient,
  outcomeOfDisk,
  queuesOf,
  type ClientKind,
} from './workload.ts'
import { TOPIC } from './outage-cluster.ts'

const GROUP = 'readers'
const RETRY = `%RETRY%${GROUP}`

export const shared = ({ fixture }: ClientWorkload) => {
  const { clock, nameServers, log, dial } = fixture.consumerOptions()
  return { clock, nameServers, log, dial, group: GROUP }
}

const subscribed = { subscriptions: { [TOPIC]: '*' }, consumeFrom: 'first' } as const

/** Compares the committed offsets with the messages that are done. */
function checkOffsets(workload: ClientWorkload, topics: readonly string[], calm: boolean): void {
  const queues = queuesOf(workload, workload.done, topics, committed(GROUP))
  checkNothingLost(queues)
  if (calm) checkNothingRepeated(queues)
}

// -- Push consumers ----------------------------------------------------------------------------------------------------

async function listen(workload: ClientWorkload, bytes: Buffer): Promise<void> {
  const body = bytes.toString()
  await workload.fixture.cluster.settle(2)
  if (workload.failsNow(body)) throw new Error('not now')
  workload.done.add(body)
}

type PushOptions = Partial<PushConsumerOptions>

function pushOptions(workload: ClientWorkload, more: PushOptions): PushConsumerOptions {
  const onMessage: PushConsumerOptions['onMessage'] = ({ bytes }) => listen(workload, bytes)
  return { ...shared(workload), ...subscribed, onMessage, ...more }
}

export const startPush = (workload: ClientWorkload, more: PushOptions = {}): Promise<PushConsumer> =>
  workload.fixture.cluster.outcome(PushConsumer.start(pushOptions(workload, more)))

function runningPush(workload: ClientWorkload, consumer: PushConsumer): RunningClient {
  return {
    client: consumer,
    callAfterClose: () => consumer.subscribe('Other'),
    check: calm => checkOffsets(workload, [TOPIC, RETRY], calm),
  }
}

const concurrent: ClientKind = async workload => runningPush(workload, await startPush(workload))

const orderly: ClientKind = async workload => {
  const running = runningPush(workload, await startPush(workload, { orderly: true }))
  return {
    ...running,
    async check(calm) {
      await running.check(calm)
      if (!calm) return
      for (const broker of workload.fixture.cluster.brokers) {
        for (const topic of [TOPIC, RETRY]) {
          for (const id of [0, 1]) assert.ok(await broker.lock(topic, GROUP, id, 'another'), 'a lock remains')
        }
      }
    },
  }
}

/** A folder in memory if there is one, where files are durable at once; else the temporary folder. */
const MEMORY_DISK = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

const silent = { debug() {}, info() {}, warn() {}, error() {} }

const broadcasting: ClientKind = async (workload, t) => {
  const folder = await mkdtemp(join(MEMORY_DISK, 'offsets-'))
  t.after(() => rm(folder, { recursive: true }))
  const { cluster } = workload.fixture
  const options = pushOptions(workload, {
    broadcast: true,
    offsetsFolder: folder,
    // A broadcast message that fails is not delivered again.
    onMessage: ({ bytes }) => listen(workload, bytes).finally(() => workload.done.add(bytes.toString())),
  })
  const consumer = await outcomeOfDisk(cluster, PushConsumer.start(options), folder)
  return {
    ...runningPush(workload, consumer),
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
      const queues = queuesOf(workload, workload.done, [TOPIC], at)
      checkNothingLost(queues)
      if (calm) checkNothingRepeated(queues)
    },
  }
}

const iterating: ClientKind = async workload => {
  const { cluster } = workload.fixture
  const consumer = await startPush(workload, { onMessage: undefined })
  const loop = (async () => {
    for await (const message of consumer) {
      const body = message.bytes.toString()
      await cluster.settle(2)
      if (workload.failsNow(body)) await message.retry()
      else {
        workload.done.add(body)
        await message.ack()
      }
    }
  })()
  return { ...runningPush(workload, consumer), loop }
}

// -- Popping -----------------------------------------------------------------------------------------------------------

/** Longer than a popped message is invisible, milliseconds. */
const INVISIBLE_MS = 65_000
/** After so many receives without a message there is none. */
const EMPTY_RECEIVES = 8

/** What brokers deliver to the group after its consumer has closed. */
async function deliveredAgain({ fixture }: ClientWorkload): Promise<Set<string>> {
  const { cluster } = fixture
  for (const broker of cluster.brokers) broker.up()
  await cluster.advance(INVISIBLE_MS, 1000)
  const { onMessage: _, ...options } = fixture.consumerOptions()
  const reader = await cluster.outcome(SimpleConsumer.start({ ...options, ...subscribed, group: GROUP }))
  const bodies = new Set<string>()
  for (let empty = 0; empty < EMPTY_RECEIVES; empty++) {
    for (const message of await cluster.outcome(reader.receive({ max: 32, waitMs: 0 }))) {
      bodies.add(message.bytes.toString())
      await cluster.outcome(message.ack())
      empty = 0
    }
  }
  await cluster.outcome(reader.close())
  return bodies
}

/** A popped message is done or delivered again; if all servers worked, those in `once` are not delivered again. */
async function checkPopped(workload: ClientWorkload, once: ReadonlySet<string>, calm: boolean): Promise<void> {
  const again = await deliveredAgain(workload)
  for (const broker of workload.fixture.cluster.brokers) {
    for (const { body } of broker.messages(TOPIC)) {
      const text = String(body)
      assert.ok(workload.done.has(text) || again.has(text), `${broker.name}: ${text} is lost`)
      if (calm) assert.ok(!(once.has(text) && again.has(text)), `${broker.name}: ${text} is done, and delivered again`)
    }
  }
}

const popping: ClientKind = async workload => {
  await Promise.all(workload.fixture.cluster.brokers.map(broker => broker.setMode(TOPIC, GROUP, 'POP')))
  const consumer = await startPush(workload, { serverAssignment: true })
  return { ...runningPush(workload, consumer), check: calm => checkPopped(workload, workload.done, calm) }
}

const simple: ClientKind = async workload => {
  const { cluster } = workload.fixture
  const consumer = await cluster.outcome(SimpleConsumer.start({ ...shared(workload), ...subscribed }))
  const acked = new Set<string>()
  const loop = workload.loop(async () => {
    for (const message of await consumer.receive({ max: 2, waitMs: 2000, invisibleMs: 30_000 })) {
      await cluster.settle(2)
      const body = message.bytes.toString()
      workload.done.add(body)
      await message.ack()
      acked.add(body)
    }
  })
  return {
    client: consumer,
    callAfterClose: () => consumer.receive(),
    loop,
    check: () => checkPopped(workload, acked, true),
  }
}

// -- Pulling -----------------------------------------------------------------------------------------------------------

function startLite(workload: ClientWorkload, more: Partial<LitePullConsumerOptions>): Promise<LitePullConsumer> {
  return workload.fixture.cluster.outcome(LitePullConsumer.start({ ...shared(workload), ...more }))
}

/** The messages of a poll are done when the next poll is called. */
const subscribing: ClientKind = async workload => {
  const consumer = await startLite(workload, subscribed)
  const polled = new Set<string>()
  const loop = workload.loop(async () => {
    const before = [...polled]
    for (const { bytes } of await consumer.poll({ timeoutMs: 2000 })) polled.add(bytes.toString())
    for (const body of before) workload.done.add(body)
    await workload.fixture.cluster.settle(2)
  })
  return {
    client: consumer,
    loop,
    callAfterClose: () => consumer.poll(),
    check(calm) {
      checkNothingLost(queuesOf(workload, polled, [TOPIC], committed(GROUP)))
      if (calm) checkNothingRepeated(queuesOf(workload, workload.done, [TOPIC], committed(GROUP)))
    },
  }
}

/** Messages are done once they are committed. */
const assigned: ClientKind = async workload => {
  const { cluster } = workload.fixture
  const consumer = await startLite(workload, { consumeFrom: 'first', autoCommit: false, pullBatchSize: 2 })
  const queues = cluster.brokers.flatMap(({ name: brokerName }) =>
    [0, 1].map(queueId => ({ topic: TOPIC, brokerName, queueId })),
  )
  await cluster.outcome(consumer.assign(queues))
  const polled = new Set<string>()
  const loop = workload.loop(async () => {
    for (const { bytes } of await consumer.poll({ timeoutMs: 2000 })) polled.add(bytes.toString())
    await cluster.settle(1)
    const kept = [...polled]
    await consumer.commit()
    for (const body of kept) workload.done.add(body)
  })
  return {
    client: consumer,
    loop,
    callAfterClose: () => consumer.poll(),
    check() {
      checkNothingLost(queuesOf(workload, polled, [TOPIC], committed(GROUP)))
      checkNothingRepeated(queuesOf(workload, workload.done, [TOPIC], committed(GROUP)))
    },
  }
}

const pulling: ClientKind = async workload => {
  const { cluster } = workload.fixture
  const consumer = await cluster.outcome(PullConsumer.start({ ...shared(workload), topics: [TOPIC] }))
  const loop = workload.loop(async () => {
    for (const queue of consumer.queuesInBalance(TOPIC)) {
      const offset = (await consumer.fetchOffset(queue)) ?? 0
      const { messages, nextOffset } = await consumer.pull(queue, '*', offset, 2)
      await cluster.settle(1)
      consumer.updateOffset(queue, nextOffset)
      for (const { bytes } of messages) workload.done.add(bytes.toString())
    }
    await consumer.minOffset({ topic: TOPIC, brokerName: 'broker-a', queueId: 0 })
  })
  return {
    client: consumer,
    loop,
    callAfterClose: () => consumer.queuesOf(TOPIC),
    check: calm => checkOffsets(workload, [TOPIC], calm),
  }
}

/** All kinds of consumers, by name. */
export const CONSUMER_KINDS: Readonly<Record<string, ClientKind>> = {
  'a push consumer': concurrent,
  'an orderly push consumer': orderly,
  'a broadcasting push consumer': broadcasting,
  'a push consumer with an iterator': iterating,
  'a push consumer that pops': popping,
  'a simple consumer': simple,
  'a lite pull consumer that subscribes': subscribing,
  'a lite pull consumer with assigned queues': assigned,
  'a pull consumer': pulling,
}
