// A message that consumers see only if a local transaction succeeds.
import { Producer, type TransactionState } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'

/** Stands for a database. */
const orders = new Map<string, 'paid' | 'refused'>()

await using producer = await Producer.start({
  nameServers,
  group: 'example-transaction',
  // The broker calls it when it has not received the outcome, for example because the sending process has died.
  checkTransaction(message): TransactionState {
    const state = orders.get(message.keys[0] ?? '')
    if (state === undefined) return 'unknown'
    return state === 'paid' ? 'commit' : 'rollback'
  },
})

async function pay(order: string, amount: number): Promise<void> {
  const message = { topic: 'ExampleTransaction', body: `${amount}`, keys: order }
  const { transactionState, localError } = await producer.sendInTransaction(message, async () => {
    // The broker has stored the message by now, invisibly. If this throws, the outcome is unknown and the broker asks later.
    orders.set(order, amount > 100 ? 'refused' : 'paid')
    return amount > 100 ? 'rollback' : 'commit'
  })
  console.log(order, transactionState, localError ?? '')
}

await pay('order-1', 20)
await pay('order-2', 2000)
