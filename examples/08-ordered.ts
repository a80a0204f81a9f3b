// Keeps the messages of an order in sequence: a sharding key sends them to one queue, and an orderly consumer takes them one
// after the other.
import { Producer, PushConsumer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
await using producer = await Producer.start({ nameServers, group: 'example-ordered' })

const steps = ['created', 'paid', 'sent']
for (const step of steps) {
  for (const order of ['order-1', 'order-2', 'order-3']) {
    await producer.send({ topic: 'ExampleOrdered', body: step, keys: order, shardingKey: order })
  }
}

const done = Promise.withResolvers<void>()
let count = 0
await using consumer = await PushConsumer.start({
  nameServers,
  group: 'example-ordered',
  subscriptions: { ExampleOrdered: '*' },
  consumeFrom: 'first',
  orderly: true,
  onMessage(message) {
    console.log(message.keys[0], message.body.toString())
    // A thrown error or `{ retry: {} }` blocks the queue: the message is retried before later ones.
    if (++count === 9) done.resolve()
  },
})
await done.promise
console.log(`${consumer.queues.length} queues`)
