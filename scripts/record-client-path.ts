// Runs a producer and a push consumer in memory. architecture.test.ts starts it and sends `send` or `consume`; it answers
// with the functions that ran.
import { Producer, PushConsumer } from '@gantrymq/client'
import { TestCluster } from '@gantrymq/testkit/cluster'
import { startRecording } from './recording.ts'

const take = await startRecording()
const cluster = await TestCluster.start()
await cluster.broker.setTopic('Orders', { readQueues: 1 })
const { nameServerList: nameServers, clock, dial } = cluster
let received = 0

const producer = await cluster.outcome(Producer.start({ nameServers, clock, dial, group: 'shop' }))
const consumer = await cluster.outcome(
  PushConsumer.start({
    nameServers,
    clock,
    dial,
    group: 'billing',
    subscriptions: { Orders: '*' },
    consumeFrom: 'first',
    onMessage: () => void received++,
  }),
)

/** Sends a message and waits until the broker has stored it. */
async function send(): Promise<void> {
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  await cluster.settle()
}

/** Stores a message, which answers the waiting pull, and waits until the consumer has committed its offset. */
async function consume(): Promise<void> {
  const before = received
  cluster.broker.put({ topic: 'Orders', queueId: 0, body: Buffer.from('hello'), properties: new Map() })
  await cluster.until(() => received > before, { stepMs: 10 })
  await cluster.advance(6000)
}

async function record(work: () => Promise<void>): Promise<void> {
  await take()
  await work()
  process.send?.(await take())
}

// The first message asks for the route and opens connections; the following ones take the usual path.
await send()
await cluster.until(() => received === 1, { stepMs: 50 })
await cluster.advance(1000)

process.on('message', what => void record(what === 'send' ? send : consume))
process.on('disconnect', () => {
  void cluster.outcome(Promise.all([producer.close(), consumer.close()])).then(() => cluster.close())
})
process.send?.('ready')
