// Starts a consumer and does nothing more: it must not end by itself, whoever is away.
import { PushConsumer } from '../../src/consumer/push-consumer.ts'

const [nameServers = ''] = process.argv.slice(2)
await PushConsumer.start({
  nameServers,
  group: 'readers',
  consumeFrom: 'first',
  subscriptions: { Orders: '*' },
  onMessage: ({ bytes }) => console.log(bytes.toString()),
})
console.log('started')
