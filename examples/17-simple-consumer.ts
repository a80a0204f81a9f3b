// Receives messages that are invisible to other members until they are acknowledged or time out. For 5.x brokers.
import { Producer, SimpleConsumer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
const topic = 'ExampleSimple'
await using producer = await Producer.start({ nameServers, group: 'example-simple' })
await using consumer = await SimpleConsumer.start({
  nameServers,
  group: 'example-simple',
  subscriptions: { [topic]: '*' },
  consumeFrom: 'first',
})
for (const body of ['one', 'two', 'three']) await producer.send({ topic, body })

let count = 0
while (count < 3) {
  for (const message of await consumer.receive({ max: 16, invisibleMs: 30_000, waitMs: 5000 })) {
    console.log(message.body.toString(), `until ${new Date(message.invisibleUntil).toISOString()}`)
    // More time for long work; a short time to receive the message again soon.
    if (message.body.toString() === 'two') await message.changeInvisible(60_000)
    await message.ack()
    count++
  }
}
