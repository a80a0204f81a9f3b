// A consumer in a process of its own, so that a test can kill it. Prints each received body on a line. Arguments: name servers,
// group, topic.
import { PushConsumer } from '@gantrymq/client'

const [nameServers = '', group = '', topic = ''] = process.argv.slice(2)
await PushConsumer.start({
  nameServers,
  group,
  consumeFrom: 'first',
  routeRefreshMs: 1000,
  subscriptions: { [topic]: '*' },
  onMessage: ({ bytes }) => console.log(`got ${bytes.toString()}`),
})
console.log('started')
