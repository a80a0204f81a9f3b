// Polls for messages, from any offset of a queue, and commits offsets explicitly.
import { LitePullConsumer, Producer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
const topic = 'ExampleLitePull'
await using producer = await Producer.start({ nameServers, group: 'example-lite-pull' })
for (const body of ['one', 'two', 'three']) await producer.send({ topic, body, shardingKey: 'same queue' })

await using consumer = await LitePullConsumer.start({ nameServers, group: 'example-lite-pull', autoCommit: false })
// With `subscriptions` the members of the group would share the queues. This one takes all of them.
await consumer.assign(await consumer.queuesOf(topic))
for (const queue of consumer.assignment) await consumer.seekToBegin(queue)

const seen: string[] = []
while (seen.length < 3) {
  const messages = await consumer.poll({ timeoutMs: 5000 })
  for (const message of messages) seen.push(message.body.toString())
  await consumer.commit()
}
console.log(seen)

// The same with a loop, again from the beginning.
for (const queue of consumer.assignment) await consumer.seekToBegin(queue)
for await (const message of consumer) {
  console.log(message.body.toString(), 'at offset', message.queueOffset)
  if (message.body.toString() === 'three') break
}
