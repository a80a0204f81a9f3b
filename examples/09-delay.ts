// Delivers later: by a level of the broker's table, after any time (5.x), at a time (5.x); and takes one back (5.x).
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
    console.log(`taken back: ${await producer.recall(topic, recallHandle)}`)
  } catch (error) {
    // Brokers allow it only with recallMessageEnable=true.
    if (!(error instanceof ClientError)) throw error
    console.log(`not taken back: ${error.message}`)
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
