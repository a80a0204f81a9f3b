// The servers of record-client-path.ts, in a thread of their own, so that only what the client runs is recorded. A message to this
// thread has a message sent, or waits until all of them are consumed and committed; it answers when that is done.
import { parentPort } from 'node:worker_threads'
import { Producer } from '@gantrymq/client'
import { startRocketMQ } from '@gantrymq/testing'

const mq = await startRocketMQ()
const producer = await Producer.start({ nameServers: mq.connection.nameServers, group: 'other' })
const send = () => producer.send({ topic: 'Orders', body: 'hello' })
await send()

async function answer(wanted: 'send' | 'idle' | 'close'): Promise<void> {
  if (wanted === 'send') await send()
  else if (wanted === 'idle') await mq.idle('billing')
  else await producer.close().then(() => mq.close())
  parentPort?.postMessage('done')
  if (wanted === 'close') parentPort?.close()
}

parentPort?.on('message', wanted => void answer(wanted))
parentPort?.postMessage(mq.connection.nameServers)
