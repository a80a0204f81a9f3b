import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test, type TestContext } from 'node:test'
import {
  consumeRequests,
  membershipRequests,
  pullFlags,
  queryRequests,
  sendRequests,
  topicRequests,
} from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'
import { sendInput } from './requests.ts'

const QUEUES = 8
/** What one held pull may take, bytes: its header, its promise, its places in the tables. */
const MOST_BYTES = 2500
/** A busy machine is slow while 100,000 requests are under way. */
const PATIENT = { timeoutMs: 100_000 }

interface Memory {
  readonly held: number
  readonly rss: number
  /** The most that the process ever had. */
  readonly peak: number
}

/** A broker in a process of its own, with a message in each queue of the topic Orders. */
async function brokerProcess(t: TestContext) {
  const program = fileURLToPath(new URL('held-pulls-broker.ts', import.meta.url))
  const child = fork(program, { execArgv: ['--expose-gc', '--max-semi-space-size=2'] })
  t.after(() => child.kill('SIGKILL'))
  const [port] = (await once(child, 'message')) as [number]
  const address = `127.0.0.1:${port}`
  const ask = async (question: 'held' | 'memory'): Promise<Memory> => {
    child.send(question)
    return ((await once(child, 'message')) as [Memory])[0]
  }
  const untilHeld = async (count: number): Promise<void> => {
    while ((await ask('held')).held !== count) await sleep(20)
  }
  const send = (queueId: number, body = 'hello') =>
    client.call(
      address,
      sendRequests.SEND_MESSAGE,
      sendInput({ queueId, defaultTopicQueueNums: QUEUES }, body),
      PATIENT,
    )
  const client = clientOf(t)
  for (let queueId = 0; queueId < QUEUES; queueId++) await send(queueId)
  return { address, memory: () => ask('memory'), untilHeld, send, client }
}

function clientOf(t: TestContext, sockets?: Socket[]): RemotingClient {
  const dial = async (address: string): Promise<Socket> => {
    const [host, port] = address.split(':')
    const socket = connect(Number(port), host)
    await once(socket, 'connect')
    sockets?.push(socket)
    return socket
  }
  const client = new RemotingClient(sockets === undefined ? {} : { dial })
  t.after(() => client.close())
  return client
}

/** Pulls behind the end of a queue. @returns The response code, when the pull is answered; undefined if the connection ended. */
async function pull(client: RemotingClient, address: string, queueId: number): Promise<number | undefined> {
  const header = { consumerGroup: 'billing', topic: 'Orders', queueId, queueOffset: 1, maxMsgNums: 32, sysFlag: pullFlags.subscription | pullFlags.suspend, commitOffset: 0, suspendTimeoutMillis: PATIENT.timeoutMs, subscription: '*', subVersion: 0 } // biome-ignore format: one thought
  return client.call(address, consumeRequests.PULL_MESSAGE, { header }, PATIENT).then(
    ({ code }) => code,
    (error: { responseCode?: number }) => error.responseCode,
  )
}

/** What clients and operators ask for at all times. */
async function checkOthers(client: RemotingClient, address: string): Promise<void> {
  const heartbeat = { clientID: 'c', producerDataSet: [{ groupName: 'shop' }], consumerDataSet: [] }
  await client.call(address, membershipRequests.HEART_BEAT, { body: heartbeat }, PATIENT)
  const queue = { consumerGroup: 'billing', topic: 'Orders', queueId: 0 }
  await client.call(address, consumeRequests.UPDATE_CONSUMER_OFFSET, { header: { ...queue, commitOffset: 1 } }, PATIENT)
  const committed = await client.call(address, consumeRequests.QUERY_CONSUMER_OFFSET, { header: queue }, PATIENT)
  assert.equal(committed.header.offset, 1)
  await client.call(address, queryRequests.GET_MAX_OFFSET, { header: { topic: 'Orders', queueId: 0 } }, PATIENT)
  await client.call(address, topicRequests.GET_TOPIC_STATS_INFO, { header: { topic: 'Orders' } }, PATIENT)
}

test('a broker holds 100,000 pulls in bounded memory, answers everything else, and refuses the next pull', {
  timeout: 100_000,
}, async t => {
  const { address, memory, untilHeld, send, client } = await brokerProcess(t)
  const clients = Array.from({ length: 100 }, () => clientOf(t))
  const before = await memory()
  const answers: (number | undefined)[] = []
  for (const each of clients) {
    // Connected one after the other, for no connection waits while thousands of pulls are being written.
    await each.call(address, queryRequests.GET_MAX_OFFSET, { header: { topic: 'Orders', queueId: 0 } }, PATIENT)
    for (let count = 0; count < 1000; count++) {
      void pull(each, address, count % QUEUES).then(code => answers.push(code))
    }
  }
  await untilHeld(100_000)
  const bytes = ((await memory()).rss - before.rss) / 100_000
  t.diagnostic(`${Math.round(bytes)} bytes for each held pull`)
  assert.ok(bytes < MOST_BYTES, `${bytes} bytes for each held pull`)

  await checkOthers(client, address)
  await checkOthers(clients[0]!, address)
  assert.equal(await pull(client, address, 0), 2, 'SYSTEM_BUSY makes consumers pull again later')

  await Promise.all([send(3), checkOthers(clients[1]!, address)])
  await untilHeld(100_000 - 100_000 / QUEUES)
  await checkOthers(client, address)
  assert.deepEqual(new Set(answers), new Set([0]))
})

test('connections that do not read their messages take bounded memory, and others are served', {
  timeout: 100_000,
}, async t => {
  const { address, memory, untilHeld, send, client } = await brokerProcess(t)
  const sockets: Socket[] = []
  const slow = Array.from({ length: 40 }, () => clientOf(t, sockets))
  for (const each of slow) for (let count = 0; count < 100; count++) void pull(each, address, 7)
  await untilHeld(4000)
  for (const socket of sockets) socket.pause()
  const good = pull(client, address, 7)
  await untilHeld(4001)
  const before = await memory()
  // 800 MB of answers.
  await Promise.all([send(7, 'x'.repeat(200_000)), checkOthers(clientOf(t), address)])
  assert.equal(await good, 0)
  await checkOthers(client, address)
  await untilHeld(0)
  const grown = ((await memory()).peak - before.rss) >> 20
  t.diagnostic(`${grown} MiB more for 800 MB of messages that were not read`)
  assert.ok(grown < 250, `${grown} MiB`)
})
