// Arguments that callers without types may pass, at every call: refused with a ClientError, or accepted. Never an error of the inside.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import { startRocketMQ } from '@gantrymq/testing'
import { ClientError, LitePullConsumer, Producer, PullConsumer, PushConsumer, SimpleConsumer } from '../src/index.ts'

/* oxlint-disable typescript/no-explicit-any -- what callers without types pass */
type Any = any

const ODD: readonly Any[] = [
  undefined,
  null,
  0,
  -1,
  Number.NaN,
  'x',
  {},
  [],
  () => 1,
  Symbol('s'),
  new Date(Number.NaN),
]
/** Calls that wait for messages are taken as accepted after so long, milliseconds. */
const ACCEPTED_MS = 100

test('odd arguments of calls are refused with a ClientError that shows them, or accepted', async t => {
  const mq = await startRocketMQ()
  const options = { ...mq.connection, log: false } as const
  const subscriptions = { T: '*' }
  const started: { close(): Promise<void> }[] = []
  t.after(async () => {
    for (const each of started) await each.close()
    await mq.close()
  })
  const own = (client: { close(): Promise<void> }): Any => (started.push(client), client)
  const producer = own(await Producer.start({ ...options, group: 'p', checkTransaction: () => 'commit' }))
  await producer.send({ topic: 'T', body: 'x' })
  const lite = own(await LitePullConsumer.start({ ...options, group: 'l' }))
  const pull = own(await PullConsumer.start({ ...options, group: 'u' }))
  const push = own(await PushConsumer.start({ ...options, group: 'h', subscriptions, onMessage() {} }))
  const simple = own(await SimpleConsumer.start({ ...options, group: 's', subscriptions }))
  await lite.assign(await lite.queuesOf('T'))
  const [q] = lite.assignment
  const calls: Readonly<Record<string, (v: Any) => unknown>> = {
    'producer.queues': v => producer.queues(v),
    'producer.recall': v => producer.recall(v, 'h'),
    'recall handle': v => producer.recall('T', v),
    'producer.reply': v => producer.reply(v, 'x'),
    'sendInTransaction run': v => producer.sendInTransaction({ topic: 'T', body: 'x' }, v),
    'producer.request': v => producer.request(v),
    'lite.assign': v => lite.assign(v),
    'lite.assign filters': v => lite.assign([q], v),
    'lite.seek': v => lite.seek(v, 0),
    'lite.seek offset': v => lite.seek(q, v),
    'lite.seekToTime': v => lite.seekToTime(q, v),
    'lite.offsetForTime': v => lite.offsetForTime(q, v),
    'lite.pause': v => lite.pause(v),
    'lite.resume': v => lite.resume(v),
    'lite.commit': v => lite.commit(v),
    'lite.committed': v => lite.committed(v),
    'lite.queuesOf': v => lite.queuesOf(v),
    'lite.onTopicQueues': v => lite.onTopicQueues(v, () => {}),
    'lite.poll': v => lite.poll(v === undefined ? { timeoutMs: 1 } : v),
    'lite.unsubscribe': v => lite.unsubscribe(v),
    'pull.pull queue': v => pull.pull(v, '*', 0, 1),
    'pull.pull expr': v => pull.pull(q, v, 0, 1),
    'pull.pull offset': v => pull.pull(q, '*', v, 1),
    'pull.pull opts': v => pull.pull(q, '*', 0, 1, v),
    'pull.back': v => pull.sendMessageBack(v),
    'pull.queuesInBalance': v => pull.queuesInBalance(v),
    'pull.fetchOffset': v => pull.fetchOffset(v),
    'fetchOffset opt': v => pull.fetchOffset(q, v),
    'pull.updateOffset': v => pull.updateOffset(v, 1),
    'pull.persist': v => pull.persist(v),
    'pull.offsetForTime': v => pull.offsetForTime(q, v),
    'pull.minOffset': v => pull.minOffset(v),
    'push.subscribe': v => push.subscribe(v),
    'push.subscribe expr': v => push.subscribe('T', v === undefined ? '*' : v),
    'push.subscribe opts': v => push.subscribe('T', '*', v === undefined ? {} : v),
    'push.updateConcurrency': v => push.updateConcurrency(v),
    'simple.ack': v => simple.ack(v),
    'simple.receive': v => simple.receive(v === undefined ? { waitMs: 1 } : v),
  }
  const endOf = async (call: () => unknown): Promise<unknown> => {
    try {
      return await Promise.race([call(), delay(ACCEPTED_MS)])
    } catch (error) {
      return error
    }
  }
  for (const [name, call] of Object.entries(calls)) {
    for (const odd of ODD) {
      const end = await endOf(() => call(odd))
      if (!(end instanceof Error)) continue
      const what = `${name} with ${inspect(odd)}: ${end.stack}`
      assert.ok(end instanceof ClientError, what)
      assert.doesNotMatch(end.message, /undefined|\[object/, what)
    }
  }
})
