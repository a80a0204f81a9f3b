// Sends and consumes so many messages with a scripted broker that forgets what was consumed, and tells of the heap after
// each tenth: run with --expose-gc. Argument: how many messages.
import { HandClock, memorySockets, ScriptedBroker, ScriptedNameServer } from '@gantrymq/testkit'
import { PushConsumer } from '../../src/consumer/push-consumer.ts'
import { Producer } from '../../src/producer/producer.ts'

const COUNT = Number(process.argv[2] ?? 200_000)
const BURST = 200
const clock = new HandClock()
const nameServer = new ScriptedNameServer({ address: '10.0.0.1:9876', clock })
const broker = new ScriptedBroker({ clock, address: '10.0.1.1:10911', routeOf: topic => nameServer.routeOf(topic) })
nameServer.brokers.add(broker)
broker.setTopic('Orders')
const servers = [nameServer.server, broker.server]
const dial = async (address: string) => {
  const [near, far] = memorySockets()
  servers.find(server => server.address === address)?.accept(far, '10.0.2.1:50000')
  return near
}

let received = 0
let retried = 0
let arrived: (() => void) | undefined
const shared = { nameServers: nameServer.address, clock, dial }
const starting = Promise.all([
  Producer.start({ ...shared, group: 'senders' }),
  PushConsumer.start({
    ...shared,
    group: 'readers',
    consumeFrom: 'first',
    subscriptions: { Orders: '*' },
    onMessage: ({ reconsumeTimes }) => {
      // Every fiftieth comes again.
      if (reconsumeTimes === 0 && received % 50 === 49 && retried++ >= 0) throw new Error('not now')
      received++
      arrived?.()
    },
  }),
])
let started = false
starting.then(
  () => (started = true),
  () => (started = true),
)
while (!started) {
  clock.advance(10)
  await new Promise(setImmediate)
}
const [producer, consumer] = await starting

/** The broker keeps nothing, so that only the clients can grow. */
function forget(): void {
  const { log } = broker
  for (const [topic, { queues }] of log.topics) {
    for (const queueId of queues.keys()) log.trim(topic, queueId, log.maxOffset(topic, queueId))
  }
  broker.server.requests.length = 0
  nameServer.server.requests.length = 0
}

const body = Buffer.alloc(200, 'x')
for (let sent = 0; sent < COUNT; sent += BURST) {
  await Promise.all(Array.from({ length: BURST }, () => producer.send({ topic: 'Orders', body, keys: `k${sent}` })))
  while (received < sent + BURST) {
    clock.advance(10)
    await new Promise(setImmediate)
  }
  clock.advance(200)
  forget()
  if (((sent + BURST) * 10) % COUNT === 0) {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    globalThis.gc?.()
    globalThis.gc?.()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    console.log(JSON.stringify({ sent: sent + BURST, received, heapUsed, arrayBuffers }))
  }
}
const closing = Promise.all([producer.close(), consumer.close()])
let closed = false
closing.then(
  () => (closed = true),
  () => (closed = true),
)
while (!closed) {
  clock.advance(10)
  await new Promise(setImmediate)
}
await closing
for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
console.log(JSON.stringify({ timersLeft: clock.timers }))
