import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testCluster } from '@gantrymq/testkit/cluster'
import { startConsumer } from '../../../test/push-fixture.ts'
import type { Problem } from '../../problems.ts'

async function setUp(t: TestContext) {
  const cluster = await testCluster(t, { brokers: 2 })
  for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 1 })
  const [first, second] = cluster.brokers
  assert.ok(first !== undefined && second !== undefined)
  const problems: Problem[] = []
  const start = async () =>
    await startConsumer(cluster, { onMessage() {}, onProblem: problem => void problems.push(problem) })
  return { cluster, first, second, problems, start }
}

test('members that subscribe differently are found, although the first broker does not list the members', async t => {
  const { cluster, first, second, problems, start } = await setUp(t)
  first.fault('GET_CONSUMER_CONNECTION_LIST', { answer: 'code', code: 16, times: Infinity })
  second.fault('GET_CONSUMER_CONNECTION_LIST', {
    answer: 'altered',
    alter: reply => ({
      ...reply,
      body: Buffer.from(String(reply.body).replaceAll('"subString":"*"', '"subString":"paid"')),
    }),
  })
  await start()
  await cluster.until(() => problems.length > 0, { stepMs: 500 })
  assert.equal(problems[0]?.code, 'DIFFERENT_SUBSCRIPTIONS')
  assert.match(problems[0].message, /Orders is subscribed with "\*" here, and with "paid" there \(as broker-b has it/)
})

test('GROUP_MISSING names the one broker that does not know the group, and ends when it does', async t => {
  const { cluster, second, problems, start } = await setUp(t)
  const unknown = second.fault('GET_CONSUMER_CONNECTION_LIST', { answer: 'code', code: 206, times: 4 })
  const consumer = await start()
  await cluster.until(() => problems.length > 0, { stepMs: 500 })
  assert.equal(problems[0]?.code, 'GROUP_MISSING')
  assert.match(problems[0].message, /^broker-b takes the heartbeats of this consumer, and lists no member/)
  await cluster.until(() => consumer.readiness.problems.length === 0, { stepMs: 500 })
  assert.equal(unknown.met, 4)
})
