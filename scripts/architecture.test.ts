import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import {
  consumeRequests,
  encodeRegisterBroker,
  nameServerRequests,
  noRegistration,
  OUR_VERSION,
  pullFlags,
  sendRequests,
} from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'
import { readDocument, tableBelow } from './markdown.ts'
import type { Recording } from './recording.ts'

const chapterOf = (title: string) =>
  readDocument('ARCHITECTURE.md').split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? ''
const requests = chapterOf('Requests, hop by hop')
const messages = chapterOf('A message, hop by hop')

interface Hop {
  readonly file: string
  readonly names: readonly string[]
}

function hopsBelow(chapter: string, heading: string): Hop[] {
  const rows = tableBelow(chapter, heading)
  assert.ok(rows.length > 2, `the table of ${heading}`)
  return rows.map(([, file = '', functions = '']) => ({
    file,
    names: functions.split(', ').map(name => name.replace(/^.*\./, '')),
  }))
}

function next(child: ChildProcess): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const onExit = (code: number | null) => reject(new Error(`the recorder exited with code ${code}`))
  child.once('exit', onExit).once('message', message => {
    child.off('exit', onExit)
    resolve(message)
  })
  return promise
}

interface Recorder {
  readonly register: (counter: number) => Promise<unknown>
  /** Asks for a route as a current client, or as one before 4.9.4 that accepts standard JSON: the router answers that one. */
  readonly ask: (by: 'client' | 'oldClient') => Promise<unknown>
  /** What has run in the server since the last call. */
  readonly take: () => Promise<Recording>
}

/** Starts a recorder of `scripts`. It ends with the test. */
function forkRecorder(t: TestContext, file: string, ...args: string[]): ChildProcess {
  const child = fork(file, args, { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.after(async () => {
    if (child.connected) child.disconnect()
    if (child.exitCode === null) await once(child, 'exit')
  })
  return child
}

async function startRecorder(t: TestContext): Promise<Recorder> {
  const child = forkRecorder(t, 'scripts/recorded-server.ts', 'name-server')
  const client = new RemotingClient()
  const oldClient = new RemotingClient({ version: 400 })
  t.after(async () => {
    await Promise.all([client.close(), oldClient.close()])
  })
  const address = `127.0.0.1:${String(await next(child))}`
  return {
    register: counter => client.call(address, nameServerRequests.REGISTER_BROKER, registration(counter)),
    ask: by => {
      const header = { topic: 'Orders', ...(by === 'oldClient' && { acceptStandardJsonOnly: true }) }
      return { client, oldClient }[by].call(address, nameServerRequests.GET_ROUTEINFO_BY_TOPIC, { header })
    },
    take: async () => {
      child.send('take')
      return (await next(child)) as Recording
    },
  }
}

function registration(counter: number) {
  const queues = { readQueueNums: 4, writeQueueNums: 4, perm: 6, topicFilterType: 'SINGLE_TAG' }
  const topics = ['Orders', 'Refunds'].map(topicName => ({ topicName, ...queues, topicSysFlag: 0, order: false }))
  const body = {
    ...noRegistration,
    dataVersion: { stateVersion: 0, timestamp: 1, counter },
    topics: new Map(topics.map(topic => [topic.topicName, topic])),
  }
  return {
    header: { clusterName: 'c', brokerName: 'b', brokerId: 0, brokerAddr: '127.0.0.1:10911' },
    body: encodeRegisterBroker(body, { version: OUR_VERSION, compressed: false }),
  }
}

function assertPath(recording: Recording, chapter: string, heading: string): void {
  const hops = hopsBelow(chapter, heading)
  for (const { file, names } of hops) {
    for (const name of names) {
      assert.ok(
        recording[file]?.includes(name),
        `${name} of ${file} did not run; in this file ran: ${recording[file]?.join(', ')}`,
      )
    }
  }
  const ran = Object.entries(recording).filter(([, functions]) => functions.length > 0)
  const unnamed = ran.map(([file]) => file).filter(file => !chapter.includes(`\`${file}\``))
  assert.deepEqual(unnamed, [], 'the chapter does not name these files that took part')
}

/** What runs for one request on an open connection. */
async function record(request: () => Promise<unknown>, take: Recorder['take']): Promise<Recording> {
  await take()
  await request()

  return await take()
}

test('requests take the paths that ARCHITECTURE.md describes', async t => {
  const { register, ask, take } = await startRecorder(t)
  await ask('oldClient').catch(() => 'the topic does not exist yet')
  await register(1)

  await t.test('a query', async () => {
    assertPath(await record(() => ask('oldClient'), take), requests, '### GET_ROUTEINFO_BY_TOPIC (105)')
  })

  await t.test('a plain query for a topic that was asked for before', async () => {
    await ask('client')
    assertPath(await record(() => ask('client'), take), requests, '### The fast path')
  })

  await t.test('a registration', async () => {
    assertPath(await record(() => register(2), take), requests, '### REGISTER_BROKER (103)')
  })
})

test('requests to a broker take the paths that ARCHITECTURE.md describes', async t => {
  const child = forkRecorder(t, 'scripts/recorded-server.ts', 'broker')
  const address = `127.0.0.1:${String(await next(child))}`
  const client = new RemotingClient()
  t.after(() => client.close())
  const take = async () => {
    child.send('take')
    return (await next(child)) as Recording
  }
  const message = { a: 'shop', b: 'Orders', c: 'TBW102', d: 1, e: 0, f: 0, g: 1, h: 0 }
  const send = (properties: string) => {
    const header = { ...message, i: properties }
    return client.call(address, sendRequests.SEND_MESSAGE_V2, { header, body: Buffer.from('hello') })
  }
  // The broker itself must add a unique id, so this message is not plain.
  const withoutId = 'KEYS\u0001k\u0002TAGS\u0001new\u0002'
  const plain = `${withoutId}UNIQ_KEY\u0001AC11\u0002`
  const wanted = {
    consumerGroup: 'billing',
    topic: 'Orders',
    queueId: 0,
    maxMsgNums: 32,
    subVersion: 0,
  }
  const how = { sysFlag: pullFlags.subscription, subscription: 'new', commitOffset: 0, suspendTimeoutMillis: 0 }
  const pull = (queueOffset: number) =>
    client.call(address, consumeRequests.PULL_MESSAGE, { header: { ...wanted, ...how, queueOffset } })
  // The first ones create the topic and the group.
  await send(withoutId)
  await pull(0)

  await t.test('a message', async () => {
    assertPath(await record(() => send(plain), take), requests, '### SEND_MESSAGE_V2 (310)')
  })

  await t.test('a message that is not plain', async () => {
    assertPath(await record(() => send(withoutId), take), requests, '### A message that is not plain')
  })

  await t.test('a pull', async () => {
    assertPath(await record(() => pull(0), take), requests, '### PULL_MESSAGE (11)')
  })

  await t.test('a pull that is not answered at once', async () => {
    const heading = '### A pull that is not answered at once'
    assertPath(await record(() => pull(1_000), take), requests, heading)
  })
})

test('messages take the paths that ARCHITECTURE.md describes', async t => {
  const child = forkRecorder(t, 'scripts/recorded-client.ts')
  await next(child)
  const headings = { send: '### From `send` to the broker', consume: '### From the broker to the listener' }
  for (const [what, heading] of Object.entries(headings)) {
    await t.test(what, async () => {
      child.send(what)
      assertPath((await next(child)) as Recording, messages, heading)
    })
  }
})

test('every file that ARCHITECTURE.md names exists', () => {
  const named = [...readDocument('ARCHITECTURE.md').matchAll(/`((?:\w+\/src|scripts)\/[\w/-]+\.ts)`/g)].map(
    match => match[1] ?? '',
  )
  assert.ok(named.length > 20)
  const missing = named.filter(file => !existsSync(file.startsWith('scripts/') ? file : `packages/${file}`))
  assert.deepEqual(missing, [])
})
