// Starts a consumer and does nothing else. It must not end by itself, whichever servers are down.
import { PushConsumer } from '../../src/consumer/push-consumer.ts'

const [nameServers = ''] = process.argv.slice(2)
await PushConsumer.start({
  nameServers,
  group: 'readers',
  waitForNameServer: false,
  log: false,
  consumeFrom: 'first',
  subscriptions: { Orders: '*' },
  onMessage: ({ bytes }) => console.log(bytes.toString()),
})
console.log('started')
