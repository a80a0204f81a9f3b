// Consumes messages concurrently. Failed messages are retried later, and in the end go to the dead letter topic.
import { Producer, PushConsumer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
await using producer = await Producer.start({ nameServers, group: 'example-push' })
for (const body of ['good', 'not now', 'never']) await producer.send({ topic: 'ExamplePush', body })

const done = Promise.withResolvers<void>()
let left = 4
await using consumer = await PushConsumer.start({
  nameServers,
  group: 'example-push',
  subscriptions: { ExamplePush: '*' },
  consumeFrom: 'first',
  concurrency: 10,
  async onMessage(message, { queue, signal }) {
    console.log(`${message.body.toString()}, attempt ${message.reconsumeTimes + 1}, queue ${queue.queueId}`)
    signal.throwIfAborted()
    if (--left === 0) done.resolve()
    switch (message.body.toString()) {
      case 'not now':
        // Throwing does the same with growing delays: 10 s, 30 s, 1 min ...
        return message.reconsumeTimes === 0 ? { retry: { delayLevel: 1 } } : undefined
      case 'never':
        // To the dead letter topic %DLQ%example-push at once.
        return { retry: { delayLevel: -1 } }
      default:
        return undefined
    }
  },
})
await done.promise
console.log(`consumed ${consumer.queues.length} queues`)
