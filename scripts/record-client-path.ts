// Runs a producer and a push consumer, with servers in another thread. architecture.test.ts starts it and sends `send` or `consume`;
// it answers with the functions that ran.
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { Producer, PushConsumer } from '@gantrymq/client'
import { ManualClock } from '@gantrymq/remoting/testing'
import { startRecording } from './recording.ts'

/** How often the program looks whether a message has arrived, milliseconds. */
const LOOK_MS = 5
/** Longer than a consumer takes to commit its offsets, milliseconds of its clock. */
const COMMIT_MS = 6000

const take = await startRecording()
const servers = new Worker(new URL('client-path-servers.ts', import.meta.url))
const [nameServers] = (await once(servers, 'message')) as [string]
const clock = new ManualClock()
let received = 0

const producer = await Producer.start({ nameServers, clock, group: 'shop' })
const consumer = await PushConsumer.start({
  nameServers,
  clock,
  group: 'billing',
  subscriptions: { Orders: '*' },
  consumeFrom: 'first',
  onMessage: () => void received++,
})

async function ask(wanted: 'send' | 'idle' | 'close'): Promise<void> {
  servers.postMessage(wanted)
  await once(servers, 'message')
}

/** Waits until so many messages have been received, and the offsets committed. */
async function consumed(count: number): Promise<void> {
  while (received < count) {
    clock.advance(LOOK_MS)
    await setTimeout(LOOK_MS)
  }
  clock.advance(COMMIT_MS)
  await ask('idle')
}

/** Sends a message and waits until the broker has stored it. */
async function send(): Promise<void> {
  await producer.send({ topic: 'Orders', body: 'hello' })
}

/** Has a message arrive, which answers the waiting pull, and waits until the consumer has committed its offset. */
async function consume(): Promise<void> {
  const before = received
  await ask('send')
  await consumed(before + 1)
}

async function record(work: () => Promise<void>): Promise<void> {
  await take()
  await work()
  process.send?.(await take())
}

// The first message asks for the route and opens connections; the following ones take the usual path.
await send()
await consumed(2)

process.on('message', what => void record(what === 'send' ? send : consume))
process.on('disconnect', () => {
  void Promise.all([producer.close(), consumer.close()]).then(() => ask('close'))
})
process.send?.('ready')
