// Sends a request as a message and waits for the reply of its consumer.
import { Producer, PushConsumer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
const topic = 'ExampleRequest'
await using producer = await Producer.start({ nameServers, group: 'example-request' })

// Creates the topic, if brokers create topics automatically. The consumer's filter skips this message.
await producer.send({ topic, body: 'hello' })

await using replier = await Producer.start({ nameServers, group: 'example-reply' })
await using consumer = await PushConsumer.start({
  nameServers,
  group: 'example-reply',
  subscriptions: { [topic]: 'question' },
  consumeFrom: 'first',
  async onMessage(message) {
    await replier.reply(message, `you said ${message.body.toString()}`)
  },
})

const reply = await producer.request({ topic, body: 'good morning', tags: 'question' }, { timeoutMs: 10_000 })
console.log(reply.body.toString(), `(through ${consumer.clientId})`)
