import { Admin } from '../src/admin/admin.ts'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import { PullConsumer } from '../src/consumer/pull-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import type { PushConsumer } from '../src/consumer/push-consumer.ts'
import type { ClientErrorCode } from '../src/errors.ts'
import type { CallOptions, MessageQueue } from '../src/message/message.ts'
import { type Scene, TOPIC } from './survival-scene.ts'

type Make = (options: CallOptions) => Promise<unknown>

/** A call that takes a signal and a time. */
export interface Call {
  /**
   * Starts the client that is called, and gives a function that makes the call, each time of it a new one where routes or
   * receipts would be known from the last time.
   */
  readonly client: (scenery: Scene) => Promise<Make>
  /** What somebody else does so that it ends. */
  readonly answer?: (scenery: Scene) => void
  /** How it ends when all is well, if not with a value: with an error of this code. */
  readonly endsWith?: ClientErrorCode
  /** What it waits for at the end it does not need: cut short there it has done its work, and ends as when all is well. */
  readonly endsAnyway?: boolean
}

const QUEUE: MessageQueue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 }

const shared = (scenery: Scene) => {
  const { clock, nameServers, log, dial } = scenery.consumerOptions()
  return { clock, nameServers, log, dial, group: 'readers' }
}

/** A topic that nobody has asked for yet. */
function newTopic({ cluster }: Scene): string {
  const topic = `New${cluster.broker.log.topics.size}`
  for (const broker of cluster.brokers) broker.setTopic(topic, { readQueues: 2 })
  return topic
}

// -- Producers ---------------------------------------------------------------------------------------------------------

type Sending = Awaited<ReturnType<Scene['producer']>>

function sending(call: (producer: Sending, scenery: Scene, options: CallOptions) => Promise<unknown>): Call['client'] {
  return async scenery => {
    const producer = await scenery.producer({ retries: 1, checkTransaction: () => 'commit' })
    return options => call(producer, scenery, options)
  }
}

const request = {
  topic: TOPIC,
  properties: new Map([
    ['CLUSTER', 'DefaultCluster'],
    ['CORRELATION_ID', '1'],
    ['REPLY_TO_CLIENT', 'nobody'],
  ]),
}

const producerCalls: Readonly<Record<string, Call>> = {
  send: {
    client: sending((producer, scenery, options) => producer.send({ topic: newTopic(scenery), body: 'x' }, options)),
  },
  'send to a known topic': {
    client: sending((producer, _, options) => producer.send({ topic: TOPIC, body: 'x' }, options)),
  },
  'send to a known topic of one broker': {
    client: async scenery => {
      const { cluster } = scenery
      const producer = await scenery.producer({ retries: 1 })
      cluster.broker.setTopic('Lone', { readQueues: 2 })
      await cluster.outcome(producer.queues('Lone'))
      return options => producer.send({ topic: 'Lone', body: 'x' }, options)
    },
  },
  'send to a queue': {
    client: sending((producer, scenery, options) => {
      const topic = newTopic(scenery)
      return producer.send({ topic, body: 'x' }, { ...options, queue: { ...QUEUE, topic } })
    }),
  },
  sendOneway: {
    client: sending((producer, scenery, options) =>
      producer.sendOneway({ topic: newTopic(scenery), body: 'x' }, options),
    ),
  },
  sendBatch: {
    client: sending((producer, scenery, options) => {
      const [topic, other] = [newTopic(scenery), newTopic(scenery)]
      return producer.sendBatch(
        [topic, topic, other].map(each => ({ topic: each, body: 'x' })),
        options,
      )
    }),
  },
  sendInTransaction: {
    client: sending((producer, scenery, options) =>
      producer.sendInTransaction({ topic: newTopic(scenery), body: 'x' }, async () => 'commit', options),
    ),
  },
  request: {
    endsWith: 'REPLY_TIMEOUT',
    client: sending((producer, scenery, options) => producer.request({ topic: newTopic(scenery), body: 'x' }, options)),
  },
  reply: { endsWith: 'SEND_FAILED', client: sending((producer, _, options) => producer.reply(request, 'x', options)) },
  recall: {
    client: sending((producer, scenery, options) => {
      const topic = newTopic(scenery)
      const handle = Buffer.from(`v1 ${topic} broker-a 0 id`).toString('base64url')
      return producer.recall(topic, handle, options)
    }),
  },
  queues: { client: sending((producer, scenery, options) => producer.queues(newTopic(scenery), options)) },
}

// -- Consumers ---------------------------------------------------------------------------------------------------------

function simple(call: (consumer: SimpleConsumer, scenery: Scene) => Promise<Make> | Make): Call['client'] {
  return async scenery => {
    const given = { ...shared(scenery), subscriptions: { [TOPIC]: '*' }, consumeFrom: 'first' } as const
    const consumer = scenery.cluster.own(await scenery.cluster.outcome(SimpleConsumer.start(given)))
    return await call(consumer, scenery)
  }
}

async function received(consumer: SimpleConsumer, { cluster }: Scene) {
  for (let n = 0; n < 4; n++) for (const broker of cluster.brokers) broker.put({ topic: TOPIC, queueId: n % 2 })
  const first = await cluster.outcome(consumer.receive({ invisibleMs: 3_000_000 }))
  return [...first, ...(await cluster.outcome(consumer.receive({ invisibleMs: 3_000_000 })))]
}

const simpleCalls: Readonly<Record<string, Call>> = {
  'receive of a simple consumer': {
    client: simple((consumer, { cluster }) => options => {
      for (const broker of cluster.brokers) broker.put({ topic: TOPIC })
      return consumer.receive({ ...options, max: 1, waitMs: 3000 })
    }),
  },
  'receive when there is nothing': {
    answer: put,
    client: simple(consumer => options => consumer.receive({ ...options, waitMs: 60_000 })),
  },
  'subscribe of a simple consumer': {
    endsAnyway: true,
    client: simple((consumer, scenery) => options => consumer.subscribe(newTopic(scenery), '*', options)),
  },
  'unsubscribe of a simple consumer': {
    endsAnyway: true,
    client: simple(consumer => options => consumer.unsubscribe(TOPIC, options)),
  },
  'ack of a message': {
    client: simple(async (consumer, scenery) => {
      const [message] = await received(consumer, scenery)
      return options => (message ?? missing()).ack(options)
    }),
  },
  'ack of several': {
    client: simple(async (consumer, scenery) => {
      const messages = await received(consumer, scenery)
      return options => consumer.ack(messages, options)
    }),
  },
  changeInvisible: {
    client: simple(async (consumer, scenery) => {
      const [message] = await received(consumer, scenery)
      return options => (message ?? missing()).changeInvisible(3_000_000, options)
    }),
  },
}

function put({ cluster }: Scene): void {
  for (const broker of cluster.brokers) broker.put({ topic: TOPIC })
}

function missing(): never {
  throw new Error('nothing was received')
}

function lite(
  call: (consumer: LitePullConsumer, scenery: Scene, options: CallOptions) => Promise<unknown>,
): Call['client'] {
  return async scenery => {
    const consumer = scenery.cluster.own(await scenery.cluster.outcome(LitePullConsumer.start(shared(scenery))))
    await scenery.cluster.outcome(consumer.assign([QUEUE]))
    await scenery.cluster.advance(500)
    return options => call(consumer, scenery, options)
  }
}

/** Topics that a consumer begins with, to be given up one by one: each once, as nobody is told of what was not wanted. */
function manyTopics({ cluster }: Scene): string[] {
  const topics = Array.from({ length: 32 }, (_, at) => `Given${at}`)
  for (const topic of topics) cluster.broker.setTopic(topic, { readQueues: 1 })
  return topics
}

const wanting = (topics: readonly string[]) => Object.fromEntries(topics.map(topic => [topic, '*']))

function subscribing(
  call: (consumer: LitePullConsumer, scenery: Scene, options: CallOptions, topic: string) => Promise<unknown>,
): Call['client'] {
  return async scenery => {
    const topics = manyTopics(scenery)
    const given = { ...shared(scenery), subscriptions: wanting(topics) }
    const consumer = scenery.cluster.own(await scenery.cluster.outcome(LitePullConsumer.start(given)))
    return options => call(consumer, scenery, options, topics.pop() ?? missing())
  }
}

function pushing(
  call: (consumer: PushConsumer, scenery: Scene, options: CallOptions, topic: string) => Promise<unknown>,
): Call['client'] {
  return async scenery => {
    const topics = manyTopics(scenery)
    const consumer = await scenery.consumer({ subscriptions: wanting(topics) })
    return options => call(consumer, scenery, options, topics.pop() ?? missing())
  }
}

const pushCalls: Readonly<Record<string, Call>> = {
  'subscribe of a push consumer': {
    endsAnyway: true,
    client: pushing((consumer, scenery, options) => consumer.subscribe(newTopic(scenery), '*', options)),
  },
  'unsubscribe of a push consumer': {
    endsAnyway: true,
    client: pushing((consumer, _, options, topic) => consumer.unsubscribe(topic, options)),
  },
}

const liteCalls: Readonly<Record<string, Call>> = {
  'poll of a lite pull consumer': {
    answer: put,
    client: lite((consumer, _, options) => consumer.poll({ timeoutMs: 60_000, ...options })),
  },
  'commit of a lite pull consumer': {
    client: lite((consumer, _, options) => consumer.commit([{ queue: QUEUE, offset: 0 }], options)),
  },
  'committed of a lite pull consumer': {
    client: lite((consumer, _, options) => consumer.committed({ ...QUEUE, queueId: 1 }, options)),
  },
  'assign of a lite pull consumer': {
    endsAnyway: true,
    client: lite((consumer, scenery, options) =>
      consumer.assign([QUEUE, { ...QUEUE, topic: newTopic(scenery) }], {}, options),
    ),
  },
  'assign with a filter': {
    client: lite((consumer, _, options) => consumer.assign([QUEUE], { [TOPIC]: { sql: 'a > 5' } }, options)),
  },
  'subscribe of a lite pull consumer': {
    endsAnyway: true,
    client: subscribing((consumer, scenery, options) => consumer.subscribe(newTopic(scenery), '*', options)),
  },
  'subscribe with a filter': {
    endsAnyway: true,
    client: subscribing((consumer, _, options) => consumer.subscribe(TOPIC, { sql: 'a > 5' }, options)),
  },
  'unsubscribe of a lite pull consumer': {
    endsAnyway: true,
    client: subscribing((consumer, _, options, topic) => consumer.unsubscribe(topic, options)),
  },
  seek: { client: lite((consumer, _, options) => consumer.seek(QUEUE, 0, options)) },
  seekToEnd: { client: lite((consumer, _, options) => consumer.seekToEnd(QUEUE, options)) },
  seekToTime: { client: lite((consumer, _, options) => consumer.seekToTime(QUEUE, 0, options)) },
}

function pulling(
  call: (consumer: PullConsumer, options: CallOptions, scenery: Scene) => Promise<unknown>,
): Call['client'] {
  return async scenery => {
    scenery.cluster.broker.put({ topic: TOPIC })
    const consumer = scenery.cluster.own(await scenery.cluster.outcome(PullConsumer.start(shared(scenery))))
    return options => call(consumer, options, scenery)
  }
}

const pullCalls: Readonly<Record<string, Call>> = {
  'pull of a pull consumer': { client: pulling((consumer, options) => consumer.pull(QUEUE, '*', 0, 8, options)) },
  'pull that waits': {
    answer: put,
    client: pulling((consumer, options, { cluster }) => {
      const end = cluster.broker.log.maxOffset(TOPIC, 0)
      return consumer.pull(QUEUE, '*', end, 8, { wait: true, ...options })
    }),
  },
  'fetchOffset of a pull consumer': {
    client: pulling((consumer, options) => consumer.fetchOffset(QUEUE, { fromBroker: true, ...options })),
  },
  'sendMessageBack of a pull consumer': {
    client: async scenery => {
      const { cluster } = scenery
      cluster.broker.put({ topic: TOPIC })
      const consumer = cluster.own(await cluster.outcome(PullConsumer.start(shared(scenery))))
      const { messages } = await cluster.outcome(consumer.pull(QUEUE, '*', 0, 1))
      return options => consumer.sendMessageBack(messages[0] ?? missing(), 0, options)
    },
  },
  'persist of a pull consumer': {
    client: pulling((consumer, options) => {
      consumer.updateOffset(QUEUE, 1)
      return consumer.persist(QUEUE, options)
    }),
  },
  'maxOffset of a pull consumer': { client: pulling((consumer, options) => consumer.maxOffset(QUEUE, options)) },
  'queuesOf of a pull consumer': {
    client: pulling((consumer, options, scenery) => consumer.queuesOf(newTopic(scenery), options)),
  },
}

// -- Admin -------------------------------------------------------------------------------------------------------------

function administering(call: (admin: Admin, options: CallOptions) => Promise<unknown>): Call['client'] {
  return async scenery => {
    scenery.cluster.broker.put({ topic: TOPIC })
    const { group: _, ...given } = shared(scenery)
    const admin = scenery.cluster.own(await scenery.cluster.outcome(Admin.start(given)))
    return options => call(admin, options)
  }
}

const ALL = { cluster: 'DefaultCluster' }
const GROUP = 'readers'

/** Calls that the scripted brokers refuse: only the wait is tested. */
const refused = (call: (admin: Admin, options: CallOptions) => Promise<unknown>): Call => ({
  client: administering(call),
  endsWith: 'BROKER_REFUSED',
})

const adminCalls: Readonly<Record<string, Call>> = {
  'topics.route': { client: administering((admin, options) => admin.topics.route(TOPIC, options)) },
  'topics.create': refused((admin, options) => admin.topics.create('Fresh', ALL, {}, options)),
  'topics.list': refused((admin, options) => admin.topics.list(options)),
  'groups.create': refused((admin, options) => admin.groups.create(GROUP, ALL, {}, options)),
  'clusters.info': { client: administering((admin, options) => admin.clusters.info(options)) },
  'brokers.runtimeInfo': refused((admin, options) => admin.brokers.runtimeInfo(ALL, options)),
  'messages.byKey': { client: administering((admin, options) => admin.messages.byKey(TOPIC, 'k', options)) },
  'messages.at': { client: administering((admin, options) => admin.messages.at(QUEUE, 0, options)) },
  'offsets.max': { client: administering((admin, options) => admin.offsets.max(QUEUE, options)) },
  'offsets.commit': { client: administering((admin, options) => admin.offsets.commit(GROUP, QUEUE, 0, options)) },
  'offsets.reset': refused((admin, options) =>
    admin.offsets.reset({ group: GROUP, topic: TOPIC, to: 'begin' }, options),
  ),
  'consumers.connections': refused((admin, options) => admin.consumers.connections(GROUP, { ...options, target: ALL })),
  'producers.connections': refused((admin, options) => admin.producers.connections(GROUP, TOPIC, options)),
  'stats.ofTopic': refused((admin, options) => admin.stats.ofTopic(TOPIC, options)),
  'tracks.of': refused((admin, options) => admin.tracks.of({ topic: TOPIC } as never, options)),
  'config.ofBroker': refused((admin, options) => admin.config.ofBroker(ALL, options)),
  'config.ofNameServers': refused((admin, options) => admin.config.ofNameServers(options)),
  'permissions.wipeWrite': refused((admin, options) => admin.permissions.wipeWrite('broker-a', options)),
  'acl.versions': refused((admin, options) => admin.acl.versions(ALL, options)),
  'auth.users': refused((admin, options) => admin.auth.users(ALL, options)),
}

/** Every call of a client that may be aborted, by its name. */
export const CALLS: Readonly<Record<string, Call>> = {
  ...producerCalls,
  ...simpleCalls,
  ...pushCalls,
  ...liteCalls,
  ...pullCalls,
  ...adminCalls,
}
