import {
  averagely,
  averagelyByCircle,
  type ConsumeFrom,
  consistentHash,
  LitePullConsumer,
  type Outcome,
  type Producer,
  PushConsumer,
  type PushConsumerOptions,
  type ReceivedMessage,
} from '@gantrymq/client'
import { setTimeout as delay } from 'node:timers/promises'
import { Arrivals } from './arrivals.ts'
import type {
  ConsumerSpec,
  ConsumedMessage,
  LitePullSpec,
  Queue,
  ConsumerUnderTest,
  LitePullUnderTest,
} from './client-under-test.ts'
import type { Owner } from '../launch/launched-program.ts'
import { temporaryFolder } from '../launch/launcher.ts'
import { clientOptions } from './our-options.ts'

/** The client that consumers belong to. */
export interface ReplyingClient {
  readonly nameServers: string
  /** The producer that sends replies to requests. */
  replies(): Promise<Producer>
}

/** Converts our received message. */
function consumedMessageOf(message: ReceivedMessage): ConsumedMessage {
  return {
    topic: message.topic,
    body: message.body,
    text: message.body.toString(),
    tags: message.tags,
    keys: message.keys.join(' '),
    flag: message.flag,
    properties: Object.fromEntries(message.properties),
    messageId: message.messageId,
    offsetMessageId: message.offsetMessageId,
    queueId: message.queue.queueId,
    queueOffset: message.queueOffset,
    reconsumeTimes: message.reconsumeTimes,
    bornTimestamp: message.bornTimestamp,
    storeTimestamp: message.storeTimestamp,
    at: Date.now(),
  }
}

/** Records what arrives, and refuses it as often as the settings say. */
class TestListener {
  readonly received = new Arrivals<ConsumedMessage>('our consumer')
  readonly #client: ReplyingClient
  readonly #settings: ConsumerSpec
  readonly #times = new Map<string, number>()

  constructor(client: ReplyingClient, settings: ConsumerSpec) {
    this.#client = client
    this.#settings = settings
  }

  async listen(messages: readonly ReceivedMessage[]): Promise<Outcome> {
    const { workMs = 0, throws, delayLevel = 0, suspendMs = 100 } = this.#settings
    if (workMs > 0) await delay(workMs)
    let fails = false
    for (const message of messages) fails = (await this.#take(message)) || fails
    if (fails && throws) throw new Error('the settings of this test make the listener fail')
    return fails ? { retry: { delayLevel, suspendMs } } : undefined
  }

  async #take(message: ReceivedMessage): Promise<boolean> {
    const received = consumedMessageOf(message)
    const time = (this.#times.get(received.text) ?? 0) + 1
    this.#times.set(received.text, time)
    this.received.add(received)
    if (time <= (this.#settings.failTimes ?? 0)) return true
    if (this.#settings.reply) await this.#reply(message, received.text)
    return false
  }

  async #reply(message: ReceivedMessage, text: string): Promise<void> {
    const producer = await this.#client.replies()
    await producer.reply(message, `reply to ${text}`)
  }
}

const strategies = { AVG: averagely, AVG_BY_CIRCLE: averagelyByCircle, CONSISTENT_HASH: consistentHash() } as const

function consumeFrom({ from = 'first', fromTime = 0 }: ConsumerSpec): ConsumeFrom {
  return from === 'time' ? new Date(fromTime) : from
}

async function pushOptions(owner: Owner, client: ReplyingClient, settings: ConsumerSpec): Promise<PushConsumerOptions> {
  const { group, subscriptions, orderly = false, broadcast = false, allocate = 'AVG', threads = 4 } = settings
  return {
    ...clientOptions(client.nameServers, settings),
    group,
    subscriptions,
    orderly,
    broadcast,
    consumeFrom: consumeFrom(settings),
    allocate: strategies[allocate],
    concurrency: threads,
    batchSize: settings.batchSize ?? 1,
    maxReconsumeTimes: settings.maxReconsumeTimes ?? -1,
    persistOffsetsMs: 1_000,
    serverAssignment: settings.brokerAssigns ?? false,
    ...(settings.rebalanceMs === undefined ? {} : { rebalanceMs: settings.rebalanceMs }),
    ...(broadcast ? { offsetsFolder: settings.offsetsFolder ?? (await temporaryFolder(owner)) } : {}),
  }
}

/** Starts our push consumer. It is closed when its owner has finished. */
export async function startOurConsumer(
  owner: Owner,
  client: ReplyingClient,
  settings: ConsumerSpec,
): Promise<ConsumerUnderTest & { readonly consumer: PushConsumer }> {
  const listener = new TestListener(client, settings)
  const options = await pushOptions(owner, client, settings)
  const consumer = await PushConsumer.start({ ...options, onMessages: messages => listener.listen(messages) })
  owner.after(() => consumer.close())
  return {
    consumer,
    clientId: consumer.clientId,
    received: listener.received,
    queues: async () => consumer.queues,
    suspend: async () => consumer.pause(),
    resume: async () => consumer.resume(),
    stop: () => consumer.close(),
  }
}

const POLL_MS = 500
const TAKE_MS = 75_000

class OurLitePull implements LitePullUnderTest {
  readonly #consumer: LitePullConsumer

  constructor(consumer: LitePullConsumer) {
    this.#consumer = consumer
  }

  async take(count: number): Promise<readonly ConsumedMessage[]> {
    const end = Date.now() + TAKE_MS
    const taken: ConsumedMessage[] = []
    while (taken.length < count) {
      if (Date.now() > end) throw new Error(`ours polled only ${taken.length} of ${count} in ${TAKE_MS} ms`)
      taken.push(...(await this.#consumer.poll({ timeoutMs: POLL_MS })).map(consumedMessageOf))
    }
    return taken
  }

  async assignment(): Promise<readonly Queue[]> {
    return this.#consumer.assignment
  }

  commit(): Promise<void> {
    return this.#consumer.commit()
  }

  async committed(queue: Queue): Promise<number> {
    return (await this.#consumer.committed(queue)) ?? -1
  }

  seek(queue: Queue, offset: number): Promise<void> {
    return this.#consumer.seek(queue, offset)
  }

  stop(): Promise<void> {
    return this.#consumer.close()
  }
}

/** Starts our lite pull consumer. It is closed when its owner has finished. */
export async function startOurLitePull(
  owner: Owner,
  client: ReplyingClient,
  settings: LitePullSpec,
): Promise<LitePullUnderTest> {
  const { group, subscriptions, assign, autoCommit = false } = settings
  const consumer = await LitePullConsumer.start({
    ...clientOptions(client.nameServers, settings),
    group,
    autoCommit,
    consumeFrom: 'first',
    ...(subscriptions ? { subscriptions } : {}),
  })
  owner.after(() => consumer.close())
  if (assign !== undefined) await consumer.assign(await consumer.queuesOf(assign))
  return new OurLitePull(consumer)
}
