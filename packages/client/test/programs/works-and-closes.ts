// Sends, receives and closes, and must then end by itself. Arguments: the list of name servers; with `--idle` it sends nothing,
// and closes at the end of its input.
import { PushConsumer } from '../../src/consumer/push-consumer.ts'
import { Producer } from '../../src/producer/producer.ts'

const [nameServers = '', mode = ''] = process.argv.slice(2)
const COUNT = 50

/** Short, so that unanswered requests do not delay the end. */
const requestTimeoutMs = 500
const producer = await Producer.start({ nameServers, group: 'senders', timeoutMs: 1000, requestTimeoutMs })
const all = Promise.withResolvers<void>()
let received = 0
const consumers = await Promise.all(
  ['one', 'two'].map(group =>
    PushConsumer.start({
      nameServers,
      group,
      requestTimeoutMs,
      waitForNameServer: false,
      log: false,
      consumeFrom: 'first',
      subscriptions: { Orders: '*' },
      onMessage: () => {
        if (++received === COUNT * 2) all.resolve()
      },
    }),
  ),
)
console.log('started')
if (mode === '--idle') {
  process.stdin.resume()
  await new Promise(resolve => process.stdin.once('end', resolve))
} else {
  const sends = Array.from({ length: COUNT }, (_, index) => producer.send({ topic: 'Orders', body: `m${index}` }))
  const failed = (await Promise.allSettled(sends)).filter(({ status }) => status === 'rejected').length
  if (failed === 0) await all.promise
  console.log(`failed ${failed}, received ${received}`)
}
await Promise.all([producer.close({ drainMs: 1000 }), ...consumers.map(consumer => consumer.close({ drainMs: 1000 }))])
console.log('closed')
