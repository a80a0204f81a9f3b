import assert from 'node:assert/strict'
import type { TestCluster } from '@gantrymq/testkit'
import { Admin } from '../src/admin/admin.ts'
import { ClientError } from '../src/errors.ts'
import { Producer } from '../src/producer/producer.ts'
import type { TransactionState } from '../src/producer/transactions.ts'
import { CONSUMERS, shared, startPush } from './consumer-roles.ts'
import type { Books, Role } from './lives.ts'
import { TOPIC } from './survival-scene.ts'

function endsOf({ calls }: Books): ReadonlyMap<string, unknown> {
  for (const { body, end } of calls) {
    assert.ok(end !== undefined, `${body} still waits`)
    if (end instanceof Error) assert.ok(end instanceof ClientError, end.stack)
  }
  return new Map(calls.map(({ body, end }) => [body, end]))
}

const bodiesOf = ({ log }: TestCluster['broker'], topic: string): string[] =>
  log.messages(topic).map(({ message }) => message.body.toString())

const STATES = ['commit', 'rollback', 'unknown'] as const

const transactional: Role = async books => {
  const { cluster } = books.scenery
  const decided = new Map<string, TransactionState>()
  const producer = await cluster.outcome(
    Producer.start({
      ...books.scenery.producerOptions(),
      checkTransaction: async ({ bytes }) => decided.get(bytes.toString()) ?? 'unknown',
    }),
  )
  const begin = (body: string): Promise<unknown> => {
    const state = STATES[books.calls.length % 3] ?? 'unknown'
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
      for (let n = 0; n < 3; n++) books.call(begin)
    },
    late: () => producer.sendInTransaction({ topic: TOPIC, body: 'late' }, async () => 'commit'),
    check(calm) {
      const seen = cluster.brokers.flatMap(broker => bodiesOf(broker, TOPIC))
      const halves = cluster.brokers.flatMap(({ state }) =>
        [...state.halves].map(({ message }) => String(message.body)),
      )
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
  const { cluster } = books.scenery
  const producer = await cluster.outcome(Producer.start(books.scenery.producerOptions()))
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
      const stored = cluster.brokers.flatMap(broker =>
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
  const { cluster } = books.scenery
  const replier = await cluster.outcome(Producer.start({ ...books.scenery.producerOptions(), group: 'repliers' }))
  const consumer = await startPush(books, {
    group: 'asked',
    subscriptions: { Questions: '*' },
    async onMessage(message) {
      await cluster.settle(2)
      await replier.reply(message, `re: ${message.bytes.toString()}`)
    },
  })
  const producer = await cluster.outcome(Producer.start(books.scenery.producerOptions()))
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
  const admin = await books.scenery.cluster.outcome(Admin.start(given))
  const queue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 }
  return {
    client: admin,
    work() {
      books.call(() => admin.topics.route(TOPIC))
      books.call(() => admin.offsets.max(queue))
      books.call(() => admin.offsets.commit('readers', queue, 0))
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
  ...CONSUMERS,
  'a producer': plain,
  'a transactional producer': transactional,
  'a producer of requests': requesting,
  'an admin': administering,
}
