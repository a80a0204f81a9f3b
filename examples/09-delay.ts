// Delays delivery: by a level of the broker's table, by any time (5.x), until a time (5.x). Recalls a message (5.x).
import { ClientError, Producer, PushConsumer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
await using producer = await Producer.start({ nameServers, group: 'example-delay' })

const topic = 'ExampleDelay'
await producer.send({ topic, body: 'level 1 of the table, one second', delayLevel: 1 })
await producer.send({ topic, body: 'after 1.5 seconds', delayMs: 1500 })
await producer.send({ topic, body: 'at a time', deliverAt: new Date(Date.now() + 2000) })

const { recallHandle } = await producer.send({ topic, body: 'never seen', delayMs: 60_000 })
if (recallHandle !== undefined) {
  try {
    console.log(`recalled: ${await producer.recall(topic, recallHandle)}`)
  } catch (error) {
    // Brokers allow it only with recallMessageEnable=true.
    if (!(error instanceof ClientError)) throw error
    console.log(`not recalled: ${error.message}`)
  }
}

const done = Promise.withResolvers<void>()
let count = 0
await using consumer = await PushConsumer.start({
  nameServers,
  group: 'example-delay',
  subscriptions: { [topic]: '*' },
  consumeFrom: 'first',
  onMessage(message) {
    console.log(`${Date.now() - message.bornTimestamp} ms after it was sent: ${message.body.toString()}`)
    if (++count === 3) done.resolve()
  },
})
await done.promise
console.log(`received by ${consumer.clientId}`)
