import { Admin } from '../src/admin/admin.ts'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import { PullConsumer } from '../src/consumer/pull-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import type { PushConsumer } from '../src/consumer/push-consumer.ts'
import type { ClientErrorCode } from '../src/errors.ts'
import type { CallOptions, MessageQueue } from '../src/message/message.ts'
import { type OutageCluster, TOPIC } from './outage-cluster.ts'

export type MakeCall = (options: CallOptions) => Promise<unknown>

/** A call that takes a timeout and a signal. */
export interface Call {
  /**
   * Starts the client and returns a function that makes the call. Each time it uses a new topic or message, if the client
   * would otherwise have cached the route or used up the receipt.
   */
  readonly client: (fixture: OutageCluster) => Promise<MakeCall>
  /** Something that must happen elsewhere for the call to end. */
  readonly answer?: (fixture: OutageCluster) => void
  /** The code of the error that it ends with without faults; undefined for a value. */
  readonly endsWith?: ClientErrorCode
  /** True if its last wait is optional: aborted there, it ends as without faults. */
  readonly endsAnyway?: boolean
}

const GROUP = 'readers'
const QUEUE: MessageQueue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 }

const shared = (fixture: OutageCluster) => {
  const { clock, nameServers, log, dial } = fixture.consumerOptions()
  return { clock, nameServers, log, dial, group: GROUP }
}

// -- Producers ---------------------------------------------------------------------------------------------------------

type Sending = Awaited<ReturnType<OutageCluster['producer']>>

function sending(
  call: (producer: Sending, fixture: OutageCluster, options: CallOptions) => Promise<unknown>,
): Call['client'] {
  return async fixture => {
    const producer = await fixture.producer({ retries: 1, checkTransaction: () => 'commit' })
    return options => call(producer, fixture, options)
  }
}

const request = {
  topic: TOPIC,
  properties: new Map([
    ['CLUSTER', 'DefaultCluster'],
    ['CORRELATION_ID', '1'],
    ['REPLY_TO_CLIENT', 'unknown'],
  ]),
}

const producerCalls: Readonly<Record<string, Call>> = {
  send: {
    client: sending((producer, fixture, options) => producer.send({ topic: fixture.newTopic(), body: 'x' }, options)),
  },
  'send to a known topic': {
    client: sending((producer, _, options) => producer.send({ topic: TOPIC, body: 'x' }, options)),
  },
  'send to a known topic of one broker': {
    client: async fixture => {
      const { cluster } = fixture
      const producer = await fixture.producer({ retries: 1 })
      await cluster.broker.setTopic('Lone', { readQueues: 2 })
      await cluster.outcome(producer.queues('Lone'))
      return options => producer.send({ topic: 'Lone', body: 'x' }, options)
    },
  },
  'send to a queue': {
    client: sending((producer, fixture, options) => {
      const topic = fixture.newTopic()
      return producer.send({ topic, body: 'x' }, { ...options, queue: { ...QUEUE, topic } })
    }),
  },
  sendOneway: {
    client: sending((producer, fixture, options) =>
      producer.sendOneway({ topic: fixture.newTopic(), body: 'x' }, options),
    ),
  },
  sendBatch: {
    client: sending((producer, fixture, options) => {
      const [topic, other] = [fixture.newTopic(), fixture.newTopic()]
      return producer.sendBatch(
        [topic, topic, other].map(each => ({ topic: each, body: 'x' })),
        options,
      )
    }),
  },
  sendInTransaction: {
    client: sending((producer, fixture, options) =>
      producer.sendInTransaction({ topic: fixture.newTopic(), body: 'x' }, async () => 'commit', options),
    ),
  },
  request: {
    endsWith: 'REPLY_TIMEOUT',
    client: sending((producer, fixture, options) =>
      producer.request({ topic: fixture.newTopic(), body: 'x' }, options),
    ),
  },
  reply: { endsWith: 'SEND_FAILED', client: sending((producer, _, options) => producer.reply(request, 'x', options)) },
  recall: {
    client: sending((producer, fixture, options) => {
      const topic = fixture.newTopic()
      const handle = Buffer.from(`v1 ${topic} broker-a ${fixture.cluster.clock.now() + 60_000} id`).toString(
        'base64url',
      )
      return producer.recall(topic, handle, options)
    }),
  },
  queues: { client: sending((producer, fixture, options) => producer.queues(fixture.newTopic(), options)) },
}

// -- Consumers ---------------------------------------------------------------------------------------------------------

function simple(
  call: (consumer: SimpleConsumer, fixture: OutageCluster) => Promise<MakeCall> | MakeCall,
): Call['client'] {
  return async fixture => {
    const given = { ...shared(fixture), subscriptions: { [TOPIC]: '*' }, consumeFrom: 'first' } as const
    const consumer = fixture.cluster.own(await fixture.cluster.outcome(SimpleConsumer.start(given)))
    return await call(consumer, fixture)
  }
}

async function received(consumer: SimpleConsumer, { cluster }: OutageCluster) {
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
  'receive without messages': {
    answer: put,
    client: simple(consumer => options => consumer.receive({ ...options, waitMs: 60_000 })),
  },
  'subscribe of a simple consumer': {
    endsAnyway: true,
    client: simple((consumer, fixture) => options => consumer.subscribe(fixture.newTopic(), '*', options)),
  },
  'unsubscribe of a simple consumer': {
    endsAnyway: true,
    client: async fixture => {
      const topics = await manyTopics(fixture)
      const given = { ...shared(fixture), subscriptions: subscriptionsTo(topics) }
      const consumer = fixture.cluster.own(await fixture.cluster.outcome(SimpleConsumer.start(given)))
      return options => consumer.unsubscribe(topics.pop() ?? missing(), options)
    },
  },
  'ack of a message': {
    client: simple(async (consumer, fixture) => {
      const [message] = await received(consumer, fixture)
      return options => (message ?? missing()).ack(options)
    }),
  },
  'ack of several': {
    client: simple(async (consumer, fixture) => {
      const messages = await received(consumer, fixture)
      return options => consumer.ack(messages, options)
    }),
  },
  changeInvisible: {
    client: simple(async (consumer, fixture) => {
      const [message] = await received(consumer, fixture)
      return options => (message ?? missing()).changeInvisible(3_000_000, options)
    }),
  },
}

function put({ cluster }: OutageCluster): void {
  for (const broker of cluster.brokers) broker.put({ topic: TOPIC })
}

function missing(): never {
  throw new Error('nothing was received')
}

function lite(
  call: (consumer: LitePullConsumer, fixture: OutageCluster, options: CallOptions) => Promise<unknown>,
): Call['client'] {
  return async fixture => {
    const consumer = fixture.cluster.own(await fixture.cluster.outcome(LitePullConsumer.start(shared(fixture))))
    await fixture.cluster.outcome(consumer.assign([QUEUE]))
    await fixture.cluster.advance(500)
    return options => call(consumer, fixture, options)
  }
}

/** Topics that a consumer subscribes to at the start. Each call unsubscribes another, since only that sends a heartbeat. */
async function manyTopics({ cluster }: OutageCluster): Promise<string[]> {
  const topics = Array.from({ length: 32 }, (_, at) => `Given${at}`)
  await Promise.all(topics.map(topic => cluster.broker.setTopic(topic, { readQueues: 1 })))
  return topics
}

/** Has brokers accept a filter in SQL, as Apache's do with enablePropertyFilter. Ours refuse it. */
function acceptSql({ cluster }: OutageCluster): void {
  for (const { server } of cluster.brokers) {
    server.alter = answer => (/SQL92/.test(answer.remark ?? '') ? { ...answer, code: 0, remark: null } : answer)
  }
}

const subscriptionsTo = (topics: readonly string[]) => Object.fromEntries(topics.map(topic => [topic, '*']))

function subscribing(
  call: (consumer: LitePullConsumer, fixture: OutageCluster, options: CallOptions, topic: string) => Promise<unknown>,
): Call['client'] {
  return async fixture => {
    const topics = await manyTopics(fixture)
    const given = { ...shared(fixture), subscriptions: subscriptionsTo(topics) }
    const consumer = fixture.cluster.own(await fixture.cluster.outcome(LitePullConsumer.start(given)))
    return options => call(consumer, fixture, options, topics.pop() ?? missing())
  }
}

function pushing(
  call: (consumer: PushConsumer, fixture: OutageCluster, options: CallOptions, topic: string) => Promise<unknown>,
): Call['client'] {
  return async fixture => {
    const topics = await manyTopics(fixture)
    const consumer = await fixture.consumer({ subscriptions: subscriptionsTo(topics) })
    return options => call(consumer, fixture, options, topics.pop() ?? missing())
  }
}

const pushCalls: Readonly<Record<string, Call>> = {
  'subscribe of a push consumer': {
    endsAnyway: true,
    client: pushing((consumer, fixture, options) => consumer.subscribe(fixture.newTopic(), '*', options)),
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
    client: lite((consumer, fixture, options) =>
      consumer.assign([QUEUE, { ...QUEUE, topic: fixture.newTopic() }], {}, options),
    ),
  },
  'assign with a filter': {
    client: lite((consumer, fixture, options) => {
      acceptSql(fixture)
      return consumer.assign([QUEUE], { [TOPIC]: { sql: 'a > 5' } }, options)
    }),
  },
  'subscribe of a lite pull consumer': {
    endsAnyway: true,
    client: subscribing((consumer, fixture, options) => consumer.subscribe(fixture.newTopic(), '*', options)),
  },
  'subscribe with a filter': {
    endsAnyway: true,
    client: subscribing((consumer, fixture, options) => {
      acceptSql(fixture)
      return consumer.subscribe(TOPIC, { sql: 'a > 5' }, options)
    }),
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
  call: (consumer: PullConsumer, options: CallOptions, fixture: OutageCluster) => Promise<unknown>,
): Call['client'] {
  return async fixture => {
    const { broker } = fixture.cluster
    broker.put({ topic: TOPIC })
    // Until a heartbeat has arrived, brokers of 5.x take no offsets of a new group.
    await broker.commit(TOPIC, GROUP, 1, 0)
    const consumer = fixture.cluster.own(await fixture.cluster.outcome(PullConsumer.start(shared(fixture))))
    return options => call(consumer, options, fixture)
  }
}

const pullCalls: Readonly<Record<string, Call>> = {
  'pull of a pull consumer': { client: pulling((consumer, options) => consumer.pull(QUEUE, '*', 0, 8, options)) },
  'pull that waits': {
    answer: put,
    client: pulling((consumer, options, { cluster }) => {
      const end = cluster.broker.maxOffset(TOPIC, 0)
      return consumer.pull(QUEUE, '*', end, 8, { wait: true, ...options })
    }),
  },
  'fetchOffset of a pull consumer': {
    client: pulling((consumer, options) => consumer.fetchOffset(QUEUE, { fromBroker: true, ...options })),
  },
  'sendMessageBack of a pull consumer': {
    client: async fixture => {
      const { cluster } = fixture
      cluster.broker.put({ topic: TOPIC })
      const consumer = cluster.own(await cluster.outcome(PullConsumer.start(shared(fixture))))
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
    client: pulling((consumer, options, fixture) => consumer.queuesOf(fixture.newTopic(), options)),
  },
}

// -- Admin -------------------------------------------------------------------------------------------------------------

function administering(call: (admin: Admin, options: CallOptions) => Promise<unknown>): Call['client'] {
  return async fixture => {
    fixture.cluster.broker.put({ topic: TOPIC })
    for (const broker of fixture.cluster.brokers) await broker.addMember(GROUP, 'another', [TOPIC])
    const { group: _, ...given } = shared(fixture)
    const admin = fixture.cluster.own(await fixture.cluster.outcome(Admin.start(given)))
    return options => call(admin, options)
  }
}

const ALL = { cluster: 'DefaultCluster' }

const succeeding = (call: (admin: Admin, options: CallOptions) => Promise<unknown>): Call => ({
  client: administering(call),
})

/** A call that the servers refuse, for which only the wait is tested. */
const refused = (call: (admin: Admin, options: CallOptions) => Promise<unknown>): Call => ({
  client: administering(call),
  endsWith: 'BROKER_REFUSED',
})

const adminCalls: Readonly<Record<string, Call>> = {
  'topics.route': succeeding((admin, options) => admin.topics.route(TOPIC, options)),
  'topics.create': succeeding((admin, options) => admin.topics.create('Fresh', ALL, {}, options)),
  'topics.list': succeeding((admin, options) => admin.topics.list(options)),
  'groups.create': succeeding((admin, options) => admin.groups.create(GROUP, ALL, {}, options)),
  'clusters.info': succeeding((admin, options) => admin.clusters.info(options)),
  'brokers.runtimeInfo': succeeding((admin, options) => admin.brokers.runtimeInfo(ALL, options)),
  'messages.byKey': succeeding((admin, options) => admin.messages.byKey(TOPIC, 'k', options)),
  'messages.at': succeeding((admin, options) => admin.messages.at(QUEUE, 0, options)),
  'offsets.max': succeeding((admin, options) => admin.offsets.max(QUEUE, options)),
  'offsets.commit': succeeding((admin, options) => admin.offsets.commit(GROUP, QUEUE, 0, options)),
  'offsets.reset': succeeding((admin, options) =>
    admin.offsets.reset({ group: GROUP, topic: TOPIC, to: 'begin' }, options),
  ),
  'consumers.connections': succeeding((admin, options) =>
    admin.consumers.connections(GROUP, { ...options, target: ALL }),
  ),
  'producers.connections': {
    endsWith: 'NOT_FOUND',
    client: administering((admin, options) => admin.producers.connections(GROUP, TOPIC, options)),
  },
  'stats.ofTopic': succeeding((admin, options) => admin.stats.ofTopic(TOPIC, options)),
  'tracks.of': succeeding((admin, options) => admin.tracks.of({ topic: TOPIC } as never, options)),
  'config.ofBroker': succeeding((admin, options) => admin.config.ofBroker(ALL, options)),
  'config.ofNameServers': succeeding((admin, options) => admin.config.ofNameServers(options)),
  'permissions.wipeWrite': succeeding((admin, options) => admin.permissions.wipeWrite('broker-a', options)),
  'acl.versions': refused((admin, options) => admin.acl.versions(ALL, options)),
  'auth.users': refused((admin, options) => admin.auth.users(ALL, options)),
}

/** All calls of the clients that take a timeout and a signal, by name. */
export const CALLS: Readonly<Record<string, Call>> = {
  ...producerCalls,
  ...simpleCalls,
  ...pushCalls,
  ...liteCalls,
  ...pullCalls,
  ...adminCalls,
}
