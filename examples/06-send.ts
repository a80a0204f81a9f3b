// Sends messages: one, many concurrently, and one-way.
import { Producer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
await using producer = await Producer.start({ nameServers, group: 'example-send' })

const receipt = await producer.send({
  topic: 'ExampleSend',
  body: 'hello',
  tags: 'greeting',
  keys: ['order-42'],
  properties: { country: 'fr' },
})
console.log(`stored as ${receipt.messageId} in ${receipt.queue.brokerName}, queue ${receipt.queue.queueId}`)

// All of these are in flight at the same time, over one connection.
const numbers = Array.from({ length: 100 }, (_, number) => number)
await Promise.all(numbers.map(number => producer.send({ topic: 'ExampleSend', body: `number ${number}` })))

// There is no answer that says whether this one was stored.
await producer.sendOneway({ topic: 'ExampleSend', body: 'a log line' })

const { sent, latency } = producer.stats
console.log(`${sent} sent, half of them in ${Math.ceil(latency.p50)} ms at most`)
