import assert from 'node:assert/strict'
import type { TestCluster } from '@gantrymq/testkit/cluster'
import { Admin } from '../src/admin/admin.ts'
import { ClientError } from '../src/errors.ts'
import { Producer } from '../src/producer/producer.ts'
import type { TransactionState } from '../src/producer/transactions.ts'
import { CONSUMER_KINDS, shared, startPush } from './consumer-kinds.ts'
import type { ClientWorkload, ClientKind } from './workload.ts'
import { TOPIC } from './outage-cluster.ts'

function resultsOf({ calls }: ClientWorkload): ReadonlyMap<string, unknown> {
  for (const { body, end } of calls) {
    assert.ok(end !== undefined, `${body} has not ended`)
    if (end instanceof Error) assert.ok(end instanceof ClientError, end.stack)
  }
  return new Map(calls.map(({ body, end }) => [body, end]))
}

const bodiesOf = (broker: TestCluster['broker'], topic: string): string[] =>
  broker.messages(topic).map(({ body }) => body.toString())

/** The bodies of the half messages that are neither committed nor rolled back: Apache's TransactionalMessageServiceImpl. */
function undecided(broker: TestCluster['broker']): string[] {
  const ended = new Set(bodiesOf(broker, 'RMQ_SYS_TRANS_OP_HALF_TOPIC').flatMap(offsets => offsets.split(',')))
  const halves = broker.messages('RMQ_SYS_TRANS_HALF_TOPIC')
  return halves.filter(({ queueOffset }) => !ended.has(String(queueOffset))).map(({ body }) => body.toString())
}

const STATES = ['commit', 'rollback', 'unknown'] as const

const transactional: ClientKind = async workload => {
  const { cluster } = workload.fixture
  const decided = new Map<string, TransactionState>()
  const producer = await cluster.outcome(
    Producer.start({
      ...workload.fixture.producerOptions(),
      checkTransaction: async ({ bytes }) => decided.get(bytes.toString()) ?? 'unknown',
    }),
  )
  const begin = (body: string): Promise<unknown> => {
    const state = STATES[workload.calls.length % 3] ?? 'unknown'
    return producer.sendInTransaction({ topic: TOPIC, body }, async () => {
      await cluster.settle(2)
      decided.set(body, state === 'unknown' ? 'commit' : state)
      if (state === 'unknown') throw new Error('the answer was lost')
      return state
    })
  }
  return {
    client: producer,
    work() {
      for (let n = 0; n < 3; n++) workload.call(begin)
    },
    callAfterClose: () => producer.sendInTransaction({ topic: TOPIC, body: 'late' }, async () => 'commit'),
    check(calm) {
      const seen = cluster.brokers.flatMap(broker => bodiesOf(broker, TOPIC))
      const halves = cluster.brokers.flatMap(undecided)
      for (const [body, end] of resultsOf(workload)) {
        if (end instanceof Error) assert.ok(!calm, String(end))
        if (end instanceof Error) continue
        const { transactionState } = end as { readonly transactionState: TransactionState }
        if (transactionState === 'rollback') assert.ok(!seen.includes(body), `${body} was rolled back, but is stored`)
        else assert.ok(seen.includes(body) || halves.includes(body), `${body} is lost`)
        if (calm && transactionState === 'commit') assert.ok(seen.includes(body), `${body} is not committed`)
      }
    },
  }
}

const plain: ClientKind = async workload => {
  const { cluster } = workload.fixture
  const producer = await cluster.outcome(Producer.start(workload.fixture.producerOptions()))
  return {
    client: producer,
    work() {
      // Also to a topic that does not exist yet, which needs the route of the template topic.
      for (const topic of [TOPIC, `${TOPIC}${workload.calls.length}`]) {
        workload.call(body => producer.send({ topic, body }))
      }
    },
    callAfterClose: () => producer.send({ topic: TOPIC, body: 'late' }),
    check(calm) {
      const stored = cluster.brokers.flatMap(broker =>
        [...broker.broker.status.topics()].flatMap(each => bodiesOf(broker, each)),
      )
      for (const [body, end] of resultsOf(workload)) {
        if (end instanceof Error) assert.ok(!calm, String(end))
        else assert.ok(stored.includes(body), `${body} is lost`)
      }
    },
  }
}

const requesting: ClientKind = async workload => {
  const { cluster } = workload.fixture
  const replier = await cluster.outcome(Producer.start({ ...workload.fixture.producerOptions(), group: 'repliers' }))
  const consumer = await startPush(workload, {
    group: 'asked',
    subscriptions: { Questions: '*' },
    async onMessage(message) {
      await cluster.settle(2)
      await replier.reply(message, `re: ${message.bytes.toString()}`)
    },
  })
  const producer = await cluster.outcome(Producer.start(workload.fixture.producerOptions()))
  return {
    client: producer,
    others: [consumer, replier],
    work() {
      for (let n = 0; n < 2; n++) workload.call(body => producer.request({ topic: 'Questions', body }))
    },
    callAfterClose: () => producer.request({ topic: 'Questions', body: 'late' }),
    check() {
      for (const [body, end] of resultsOf(workload)) {
        if (!(end instanceof Error)) assert.equal(String((end as { bytes: Buffer }).bytes), `re: ${body}`)
      }
    },
  }
}

const administering: ClientKind = async workload => {
  const { group: _, ...given } = shared(workload)
  const admin = await workload.fixture.cluster.outcome(Admin.start(given))
  const queue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 }
  return {
    client: admin,
    work() {
      workload.call(() => admin.topics.route(TOPIC))
      workload.call(() => admin.offsets.max(queue))
      workload.call(() => admin.offsets.commit('readers', queue, 0))
      workload.call(() => admin.messages.byKey(TOPIC, 'k'))
      workload.call(() => admin.config.ofNameServers())
      workload.call(() => admin.stats.ofTopic(TOPIC))
    },
    callAfterClose: () => admin.clusters.info(),
    check: () => void resultsOf(workload),
  }
}

/** All kinds of clients, by name. */
export const CLIENT_KINDS: Readonly<Record<string, ClientKind>> = {
  ...CONSUMER_KINDS,
  'a producer': plain,
  'a transactional producer': transactional,
  'a producer of requests': requesting,
  'an admin': administering,
}
