// Bodies with a type: a codec makes bytes of them and checks what comes back.
import { json, Producer, PushConsumer } from '@gantrymq/client'

interface Order {
  readonly id: number
  readonly amount: number
}

/** Throws if it is no order: such a message is retried, and lands among the dead letters, without reaching the handler. */
function order(value: unknown): Order {
  const { id, amount } = value as Order
  if (typeof id !== 'number' || typeof amount !== 'number') throw new TypeError('this is no order')
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
