// What compiles in users' programs and what does not. `npm run check` compiles these functions; they are never called.
import { test } from 'node:test'
import {
  type Admin,
  type Codec,
  ClientError,
  json,
  LitePullConsumer,
  Producer,
  PullConsumer,
  PushConsumer,
  type ReceivedMessage,
  type SendReceipt,
  SimpleConsumer,
  text,
} from '@gantrymq/client'

interface Order {
  readonly id: number
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- two types are equal if the conditional types agree for all T
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Does not compile if the two types differ, also if one of them is `any`. */
function same<A, B>(_equal: Equal<A, B>): void {}

const group = 'shop'
const subscriptions = { Orders: '*' }
const codec = json<Order>()

/** Compiles the program without calling it. */
function compiles(name: string, _program: () => unknown): void {
  test(name, () => {})
}

compiles('bodies of a producer have the type of its codec', async () => {
  const producer = await Producer.start({ group, codec })
  same<typeof producer, Producer<Order>>(true)
  const receipt = await producer.send({ topic: 'Orders', body: { id: 42 } })
  same<typeof receipt, SendReceipt>(true)
  const reply = await producer.request({ topic: 'Orders', body: { id: 42 } })
  same<typeof reply.body, Order>(true)
  await producer.sendInTransaction({ topic: 'Orders', body: { id: 42 } }, async ({ body }) => {
    same<typeof body, Order>(true)
    return 'commit'
  })
  // @ts-expect-error: an id is a number
  await producer.send({ topic: 'Orders', body: { id: '42' } })
  // @ts-expect-error: a string is not an Order
  await producer.sendBatch([{ topic: 'Orders', body: 'text' }])
  // @ts-expect-error: neither may be a reply
  await producer.reply(reply, 'text')
})

compiles('without a codec strings and bytes are sent, and bytes are received', async () => {
  const producer = await Producer.start({ group })
  await producer.send({ topic: 'Orders', body: 'text' })
  await producer.send({ topic: 'Orders', body: Buffer.of(1) })
  await producer.send({ topic: 'Orders', body: Uint8Array.of(1) })
  const reply = await producer.request({ topic: 'Orders', body: 'text' })
  same<typeof reply.body, Buffer>(true)
  // @ts-expect-error: an object needs a codec
  await producer.send({ topic: 'Orders', body: { id: 42 } })
})

compiles('the messages of all consumers have bodies of the type of their codec', async () => {
  const push = await PushConsumer.start({
    group,
    subscriptions,
    codec,
    onMessage: ({ body }) => same<typeof body, Order>(true),
  })
  for await (const { body } of push) same<typeof body, Order>(true)
  const several = { group, subscriptions, batchSize: 8 }
  await PushConsumer.start({
    ...several,
    codec: text(),
    onMessages: messages => same<typeof messages, readonly ReceivedMessage<string>[]>(true),
  })
  const lite = await LitePullConsumer.start({ group, codec })
  for (const { body } of await lite.poll()) same<typeof body, Order>(true)
  for await (const { body } of lite) same<typeof body, Order>(true)
  const simple = await SimpleConsumer.start({ group, subscriptions, codec })
  for (const { body } of await simple.receive()) same<typeof body, Order>(true)
})

compiles('without a codec consumers have bytes', async () => {
  await PushConsumer.start({ group, subscriptions, onMessage: ({ body }) => same<typeof body, Buffer>(true) })
  const lite = await LitePullConsumer.start({ group })
  for await (const { body } of lite) same<typeof body, Buffer>(true)
})

compiles('a listener returns nothing or asks for a retry', async () => {
  const options = { group, subscriptions }
  await PushConsumer.start({ ...options, onMessage: () => {} })
  await PushConsumer.start({ ...options, onMessage: async () => ({ retry: { delayLevel: 3 } }) })
  // @ts-expect-error: a level is a number
  await PushConsumer.start({ ...options, onMessage: () => ({ retry: { delayLevel: '3' } }) })
  // @ts-expect-error: true has no meaning
  await PushConsumer.start({ ...options, onMessage: () => true })
})

compiles('options that are missing, misspelt or of another type do not compile', async () => {
  // @ts-expect-error: without a group
  await Producer.start({ nameServers: '127.0.0.1:9876' })
  // @ts-expect-error: without subscriptions
  await PushConsumer.start({ group, onMessage() {} })
  // @ts-expect-error: misspelt
  await Producer.start({ group, nameServer: '127.0.0.1:9876' })
  // @ts-expect-error: not a number
  await Producer.start({ group, retries: '2' })
  // @ts-expect-error: an option of push consumers
  await Producer.start({ group, orderly: true })
  // @ts-expect-error: neither last, first nor a Date
  await PushConsumer.start({ group, subscriptions, consumeFrom: 'latest', onMessage() {} })
})

compiles('messages without a topic, or with properties that are not strings, do not compile', async () => {
  const producer = await Producer.start({ group })
  // @ts-expect-error: without a topic
  await producer.send({ body: 'text' })
  // @ts-expect-error: properties are strings
  await producer.send({ topic: 'Orders', body: 'text', properties: { amount: 5 } })
  // @ts-expect-error: misspelt
  await producer.send({ topic: 'Orders', body: 'text', tag: 'new' })
  // @ts-expect-error: a transaction ends in one of three ways
  await producer.sendInTransaction({ topic: 'Orders', body: 'text' }, async () => 'done')
})

compiles('a codec is not assignable to one of another type', () => {
  const strings: Codec<string> = text()
  // @ts-expect-error: the codec's bodies are strings
  const numbers: Codec<number> = text()
  return [strings, numbers]
})

compiles('the code of an error is one of those in docs/errors.md', (error?: unknown) => {
  if (!(error instanceof ClientError)) return false
  // @ts-expect-error: there is no such code
  return error.code === 'NO_SUCH_CODE'
})

compiles('every call of a consumer that waits for servers takes a timeout and a signal', async () => {
  const ends = { timeoutMs: 1000, signal: AbortSignal.timeout(500) }
  const push = await PushConsumer.start({ group, subscriptions })
  await push.subscribe('Returns', 'new', ends)
  await push.unsubscribe('Returns', ends)
  const simple = await SimpleConsumer.start({ group, subscriptions })
  await simple.subscribe('Returns', { sql: 'amount > 5' }, ends)
  await simple.unsubscribe('Returns', ends)
  await simple.receive({ max: 8, ...ends })
  const lite = await LitePullConsumer.start({ group })
  const [queue] = await lite.queuesOf('Orders', ends)
  if (queue === undefined) return
  await lite.assign([queue], {}, ends)
  await lite.subscribe('Orders', '*', ends)
  await lite.unsubscribe('Orders', ends)
  same<number | undefined, Awaited<ReturnType<typeof lite.committed>>>(true)
  await lite.committed(queue, ends)
  const pull = await PullConsumer.start({ group })
  await pull.fetchOffset(queue, { fromBroker: true, ...ends })
  const { messages } = await pull.pull(queue, '*', 0, 1, ends)
  for (const message of messages) await pull.sendMessageBack(message, 0, ends)
  // @ts-expect-error: misspelt
  await lite.committed(queue, { timeout: 1000 })
})

compiles('a target is given in exactly one way', async (admin?: Admin) => {
  await admin?.topics.create('Orders', { cluster: 'DefaultCluster' })
  // @ts-expect-error: no target is given
  await admin?.topics.create('Orders', {})
})
