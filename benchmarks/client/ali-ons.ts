// A worker with the npm package ali-ons, 3.12.0. It speaks the protocol of 3.4.9, in JSON.
import { Consumer, Message, Producer } from 'ali-ons'
import { type BenchClient, type BenchConsumer, runWorker } from './worker.ts'

const SAME_AS_THREADS = 20

async function start(nameServers: string): Promise<BenchClient> {
  // It asks for a client to look addresses up with, and needs none where the name server is given.
  const shared = { nameSrv: nameServers, httpclient: {} }
  const producer = new Producer({ ...shared, producerGroup: 'bench-producer' })
  producer.on('error', error => console.error(error))
  await producer.ready()
  return {
    send: (topic, body) => producer.send(new Message(topic, '', body)),
    consume: (topic, group, onMessage) => consume(shared, topic, group, onMessage),
    close: () => producer.close(),
  }
}

async function consume(
  shared: { nameSrv: string; httpclient: object },
  topic: string,
  group: string,
  onMessage: (body: Buffer) => void,
): Promise<BenchConsumer> {
  const consumer = new Consumer({
    ...shared,
    consumerGroup: group,
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    // By default it hands out one message at a time; the other clients have 20 threads or as many calls.
    parallelConsumeLimit: SAME_AS_THREADS,
  })
  consumer.on('error', error => console.error(error))
  consumer.subscribe(topic, '*', async message => onMessage(message.body))
  await consumer.ready()
  return consumer
}

await runWorker(start)
