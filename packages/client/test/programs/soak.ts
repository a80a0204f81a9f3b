// Sends and consumes messages with a broker that forgets consumed messages, and prints the size of the heap after each
// tenth. Run it with --expose-gc. Argument: the number of messages.
import { TestCluster } from '@gantrymq/testkit/cluster'
import { PushConsumer } from '../../src/consumer/push-consumer.ts'
import { Producer } from '../../src/producer/producer.ts'

const COUNT = Number(process.argv[2] ?? 200_000)
const BURST = 200
// The log's files are small, so that those with consumed messages can be deleted.
const options = { mappedFileSizeCommitLog: 256 << 10, fileReservedTime: 1 }
const cluster = await TestCluster.start({ brokers: [{ options }] })
const { broker, nameServer, clock, dial } = cluster
await broker.setTopic('Orders')

const counts = { received: 0, failed: 0 }
const shared = { nameServers: cluster.nameServerList, clock, dial }
const producer = await cluster.outcome(Producer.start({ ...shared, group: 'senders' }))
const consumer = await cluster.outcome(
  PushConsumer.start({
    ...shared,
    group: 'readers',
    consumeFrom: 'first',
    subscriptions: { Orders: '*' },
    onMessage: ({ reconsumeTimes }) => {
      // About every fiftieth message is retried.
      if (reconsumeTimes === 0 && counts.received >= counts.failed * 50) {
        counts.failed++
        throw new Error('not now')
      }
      counts.received++
    },
  }),
)

/** Empties the servers, so that only the clients can grow. */
async function forget(): Promise<void> {
  clock.jump(2 * 3_600_000)
  await broker.broker.store.deleteExpired()
  await broker.broker.store.deleteExpiredUnits()
  broker.forget()
  nameServer.server.requests.length = 0
}

async function burst(until: number): Promise<void> {
  const body = Buffer.alloc(200, 'x')
  const sends = Array.from({ length: BURST }, () => producer.send({ topic: 'Orders', body, keys: `k${until}` }))
  await cluster.outcome(Promise.all(sends))
  await cluster.until(() => counts.received >= until, { stepMs: 20 })
  clock.advance(200)
  await forget()
}

for (let sent = BURST; sent <= COUNT; sent += BURST) {
  await burst(sent)
  if ((sent * 10) % COUNT !== 0) continue
  await cluster.settle()
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  console.log(JSON.stringify({ sent, received: counts.received, heapUsed, arrayBuffers }))
}
await cluster.outcome(Promise.all([producer.close(), consumer.close()]))
await cluster.assertNothingLeft()
console.log(JSON.stringify({ timersLeft: cluster.clientTimers }))
await cluster.close()
