// A worker with our client and its default options.
import { Producer, PushConsumer } from '@gantrymq/client'
import { type BenchClient, runWorker } from './worker.ts'

async function start(nameServers: string): Promise<BenchClient> {
  const producer = await Producer.start({ nameServers, group: 'bench-producer' })
  return {
    send: (topic, body) => producer.send({ topic, body }),
    consume: (topic, group, onMessage) =>
      PushConsumer.start({
        nameServers,
        group,
        subscriptions: { [topic]: '*' },
        consumeFrom: 'first',
        onMessage: message => onMessage(message.body),
      }),
    close: () => producer.close(),
  }
}

await runWorker(start)
