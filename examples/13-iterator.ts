// Consumes with `for await`. Each message is settled with `ack`, or with `retry` to receive it again later.
import { Producer, PushConsumer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
await using producer = await Producer.start({ nameServers, group: 'example-iterator' })
for (const body of ['one', 'two', 'three']) await producer.send({ topic: 'ExampleIterator', body })

await using consumer = await PushConsumer.start({
  nameServers,
  group: 'example-iterator',
  subscriptions: { ExampleIterator: '*' },
  consumeFrom: 'first',
})

let count = 0
for await (const message of consumer) {
  console.log(message.body.toString(), message.reconsumeTimes)
  if (message.body.toString() === 'two' && message.reconsumeTimes === 0) await message.retry({ delayLevel: 1 })
  else await message.ack()
  if (++count === 4) break
}
