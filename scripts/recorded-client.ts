// Runs a producer and a push consumer, with servers in another process. architecture.test.ts starts it and sends `send` or
// `consume`; it answers with the functions that ran.
import { fork } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Producer, PushConsumer } from '@gantrymq/client'
import { ManualClock } from '@gantrymq/remoting/testing'
import { startRecording } from './recording.ts'

const TICK_MS = 5
/** Longer than a consumer takes to commit its offsets, in steps that are short for a call under way, milliseconds of its clock. */
const COMMIT_MS = 6000
const STEP_MS = 50
/** Longer than members take to know each other, milliseconds. */
const BALANCED_MS = 300

const take = await startRecording()
const servers = fork(fileURLToPath(new URL('recorded-client-servers.ts', import.meta.url)))
const [nameServers] = (await once(servers, 'message')) as [string]
const clock = new ManualClock()
const ticking = setInterval(() => clock.advance(TICK_MS), TICK_MS)
const arrivals = new EventEmitter()

async function ask(wanted: 'send' | 'idle'): Promise<void> {
  servers.send(wanted)
  await once(servers, 'message')
}

/** Does what makes a message arrive, which answers the waiting pull, and waits until the consumer has committed its offset. */
async function consume<T>(work: () => Promise<T>): Promise<T> {
  const arrived = once(arrivals, 'message')
  const result = await work()
  await arrived
  for (let passed = 0; passed < COMMIT_MS; passed += STEP_MS) {
    clock.advance(STEP_MS)
    await setTimeout(1)
  }
  await ask('idle')
  return result
}

const producer = await Producer.start({ nameServers, clock, group: 'shop' })
const consumer = await consume(() =>
  PushConsumer.start({
    nameServers,
    clock,
    group: 'billing',
    subscriptions: { Orders: '*' },
    consumeFrom: 'first',
    onMessage: () => void arrivals.emit('message'),
  }),
)
/** Sends a message and waits until the broker has stored it. */
const send = () => producer.send({ topic: 'Orders', body: 'hello' })
// The first message asks for the route and opens connections; the following ones take the usual path.
await consume(send)
await setTimeout(BALANCED_MS)

async function record(work: () => Promise<unknown>): Promise<void> {
  await take()
  await work()
  process.send?.(await take())
}

process.on('message', what => void record(what === 'send' ? send : () => consume(() => ask('send'))))
process.on('disconnect', () => {
  clearInterval(ticking)
  void Promise.all([producer.close(), consumer.close()]).then(() => servers.disconnect())
})
process.send?.('ready')
