// A worker with the npm package ali-ons 3.12.0, which uses the protocol of RocketMQ 3.4.9 with JSON headers.
import { Consumer, Message, Producer } from 'ali-ons'
import { type BenchClient, type BenchConsumer, runWorker } from './worker.ts'

const SAME_AS_THREADS = 20

async function start(nameServers: string): Promise<BenchClient> {
  // `httpclient` is required, but not used if the name server is set.
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
    // The default is one message at a time; the other clients have 20 threads or 20 concurrent calls.
    parallelConsumeLimit: SAME_AS_THREADS,
  })
  consumer.on('error', error => console.error(error))
  consumer.subscribe(topic, '*', async message => onMessage(message.body))
  await consumer.ready()
  return consumer
}

await runWorker(start)
