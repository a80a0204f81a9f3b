// Sends many small messages in few requests. What is too large for one is split, and every message has its receipt.
import { BatchError, Producer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
await using producer = await Producer.start({ nameServers, group: 'example-batch' })

const messages = Array.from({ length: 1000 }, (_, at) => ({ topic: 'ExampleBatch', body: `row ${at}` }))
try {
  const receipts = await producer.sendBatch(messages)
  console.log(`${receipts.length} stored, the last at offset ${receipts.at(-1)?.queueOffset}`)
} catch (error) {
  // A batch of several requests may be stored in part: send only the others again.
  if (!(error instanceof BatchError)) throw error
  const { receipts } = error
  console.log(`still to be sent: ${messages.filter((_, at) => receipts[at] === undefined).length}`)
}
