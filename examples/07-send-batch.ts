// Sends many small messages in few requests. A batch too large for one request is split, and every message gets its receipt.
import { BatchError, Producer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
await using producer = await Producer.start({ nameServers, group: 'example-batch' })

const messages = Array.from({ length: 1000 }, (_, at) => ({ topic: 'ExampleBatch', body: `row ${at}` }))
try {
  const receipts = await producer.sendBatch(messages)
  console.log(`${receipts.length} stored, the last at offset ${receipts.at(-1)?.queueOffset}`)
} catch (error) {
  // Of a batch with several requests some messages may be stored: send only the others again.
  if (!(error instanceof BatchError)) throw error
  const { receipts } = error
  console.log(`still to be sent: ${messages.filter((_, at) => receipts[at] === undefined).length}`)
}
