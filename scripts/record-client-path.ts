// A producer and a push consumer on a stage in memory, which tell which functions ran. Started by architecture.test.ts: to
// `send` and `consume` it answers with what ran for that.
import { Producer, PushConsumer } from '@gantrymq/client'
import { Stage } from '@gantrymq/testkit'
import { startRecording } from './recording.ts'

const take = await startRecording()
const play = new Stage({})
play.broker.setTopic('Orders', { readQueues: 1 })
const { nameServerList: nameServers, clock, dial } = play
let heard = 0

const producer = await play.outcome(Producer.start({ nameServers, clock, dial, group: 'shop' }))
const consumer = await play.outcome(
  PushConsumer.start({
    nameServers,
    clock,
    dial,
    group: 'billing',
    subscriptions: { Orders: '*' },
    consumeFrom: 'first',
    onMessage: () => void heard++,
  }),
)

/** Sends one and waits until the broker has it. */
async function send(): Promise<void> {
  await play.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  await play.settle()
}

/** Lets a message come to the pull that waits, and its offset be kept. */
async function consume(): Promise<void> {
  const before = heard
  play.broker.put({ topic: 'Orders', queueId: 0, body: Buffer.from('hello'), properties: new Map() })
  await play.until(() => heard > before, { stepMs: 10 })
  await play.advance(6000)
}

async function record(work: () => Promise<void>): Promise<void> {
  await take()
  await work()
  process.send?.(await take())
}

// The first message finds the route, connects and wakes the consumer; those that follow go the usual way.
await send()
await play.until(() => heard === 1, { stepMs: 50 })
await play.advance(1000)

process.on('message', what => void record(what === 'send' ? send : consume))
process.on('disconnect', () => {
  void play.outcome(Promise.all([producer.close(), consumer.close()])).then(() => play.close())
})
process.send?.('ready')
