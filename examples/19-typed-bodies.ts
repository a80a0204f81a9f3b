// Typed bodies: a codec encodes them, and checks them when they are received.
import { json, Producer, PushConsumer } from '@gantrymq/client'

interface Order {
  readonly id: number
  readonly amount: number
}

/** Throws if the value is not an order. Such a message fails when the listener reads its body, and is retried. */
function order(value: unknown): Order {
  const { id, amount } = value as Order
  if (typeof id !== 'number' || typeof amount !== 'number') throw new TypeError('not an order')
  return { id, amount }
}

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
await using producer = await Producer.start({ nameServers, group: 'example-typed', codec: json(order) })
await producer.send({ topic: 'ExampleTyped', body: { id: 42, amount: 20 } })

const done = Promise.withResolvers<Order>()
await using consumer = await PushConsumer.start({
  nameServers,
  group: 'example-typed',
  subscriptions: { ExampleTyped: '*' },
  consumeFrom: 'first',
  codec: json(order),
  onMessage: message => done.resolve(message.body),
})
const { id, amount } = await done.promise
console.log(`order ${id} over ${amount} reached ${consumer.group}`)
