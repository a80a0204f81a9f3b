// Receives only some messages: by tags, or by an SQL92 expression on properties, which brokers evaluate.
import { Producer, PushConsumer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
await using producer = await Producer.start({ nameServers, group: 'example-filters' })

const topic = 'ExampleFilters'
for (const [at, tags] of ['new', 'paid', 'cancelled'].entries()) {
  await producer.send({ topic, body: tags, tags, properties: { amount: String(at * 10) } })
}

async function firstTwo(group: string, expression: string | { readonly sql: string }): Promise<void> {
  const got: string[] = []
  const done = Promise.withResolvers<void>()
  await using consumer = await PushConsumer.start({
    nameServers,
    group,
    subscriptions: { [topic]: expression },
    consumeFrom: 'first',
    onMessage(message) {
      got.push(message.body.toString())
      if (got.length === 2) done.resolve()
    },
  })
  await done.promise
  console.log(consumer.group, got.toSorted())
}

// SQL92 needs enablePropertyFilter=true at the broker.
await Promise.all([
  firstTwo('example-by-tags', 'new || paid'),
  firstTwo('example-by-sql', { sql: "amount >= 10 AND TAGS <> 'new'" }),
])
