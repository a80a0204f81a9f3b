// The servers of recorded-client.ts, in a process of their own, so that only what the client runs is recorded. A message to this
// process has a message sent, or waits until all of them are consumed and committed; it answers when that is done.
import { Producer } from '@gantrymq/client'
import { startRocketMQ } from '@gantrymq/testing'

const mq = await startRocketMQ()
const producer = await Producer.start({ nameServers: mq.connection.nameServers, group: 'other' })
const send = () => producer.send({ topic: 'Orders', body: 'hello' })
await send()

process.on('message', (wanted: 'send' | 'idle') => {
  void (wanted === 'send' ? send() : mq.idle('billing')).then(() => process.send?.('done'))
})
process.on('disconnect', () => void producer.close().then(() => mq.close()))
process.send?.(mq.connection.nameServers)
