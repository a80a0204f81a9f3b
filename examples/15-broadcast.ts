// Every member gets every message. Each keeps its own offsets in a file. Failed messages are not retried.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Producer, PushConsumer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
const topic = 'ExampleBroadcast'
await using producer = await Producer.start({ nameServers, group: 'example-broadcast' })
await producer.send({ topic, body: 'prices have changed' })

// The default folder is ~/.rocketmq_offsets.
const offsetsFolder = await mkdtemp(join(tmpdir(), 'broadcast-'))
await using cleanUp = new AsyncDisposableStack()
cleanUp.defer(() => rm(offsetsFolder, { recursive: true }))

async function member(instanceName: string): Promise<void> {
  const done = Promise.withResolvers<void>()
  await using consumer = await PushConsumer.start({
    nameServers,
    group: 'example-broadcast',
    instanceName,
    subscriptions: { [topic]: '*' },
    consumeFrom: 'first',
    broadcast: true,
    offsetsFolder,
    onMessage(message) {
      console.log(`${instanceName}: ${message.body.toString()}`)
      done.resolve()
    },
  })
  await done.promise
  await consumer.close()
}

await Promise.all([member('first'), member('second')])
