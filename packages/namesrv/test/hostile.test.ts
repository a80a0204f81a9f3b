import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { crc32, deflateSync } from 'node:zlib'
import { nameServerRequests, type TopicConfig } from '@gantrymq/protocol'
import {
  Connection,
  encodeFrame,
  type Logger,
  Outbox,
  type ResponseError,
  silent,
  writeProperties,
} from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import fc from 'fast-check'
import { NameServer, type StartOptions } from '../src/index.ts'
import { registerBody, topicConfig } from './registrations.ts'

const {
  REGISTER_BROKER,
  GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
  GET_BROKER_CLUSTER_INFO,
  GET_KV_CONFIG,
  GET_KVLIST_BY_NAMESPACE,
  GET_ROUTEINFO_BY_TOPIC,
  UNREGISTER_BROKER,
  UPDATE_NAMESRV_CONFIG,
} = nameServerRequests

async function started(t: TestContext, options: StartOptions = {}) {
  const server = await NameServer.start({ port: 0, host: '127.0.0.1', clock: new ManualClock(), ...options })
  t.after(() => server.close())
  const connect = () => {
    const [near, far] = memorySockets()
    server.accept(near, '10.0.0.1:50000')
    return far
  }
  const caller = () => {
    const connection = new Connection(connect(), { remoteAddress: 'server:9876', limits: { maxFrame: 1 << 26 } })
    t.after(() => connection.destroy())
    return connection
  }
  return { server, connect, caller }
}

const header = { brokerName: 'b', brokerAddr: '10.0.0.1:10911', clusterName: 'C', brokerId: 0 }

const encode = (topics: readonly TopicConfig[]) => registerBody({ topics })

/** Nothing of a refused registration is left: no cluster, no broker, no topic. */
async function assertEmpty(caller: Connection): Promise<void> {
  const info = await caller.call(GET_BROKER_CLUSTER_INFO)
  assert.equal(info.body?.brokerAddrTable.size, 0)
  assert.equal(info.body?.clusterAddrTable.size, 0)
  const list = await caller.call(GET_ALL_TOPIC_LIST_FROM_NAMESERVER)
  assert.deepEqual(list.body?.topicList, [])
}

const bomb = deflateSync(Buffer.alloc(100 << 20), { level: 1 })

const badBodies: readonly [name: string, body: Buffer, compressed: boolean, remark: RegExp][] = [
  ['a zip bomb', bomb, true, /when decompressed/],
  ['a zip bomb that claims to be plain', bomb, false, /when decompressed/],
  ['compressed garbage', randomBytes(1000), true, /not a zlib stream/],
  [
    'a compressed list of two billion topics',
    deflateSync(Buffer.from('000000027b7d7fffffff', 'hex')),
    true,
    /REGISTER_BROKER/,
  ],
  ['a megabyte of brackets', Buffer.from('['.repeat(1 << 20)), false, /REGISTER_BROKER/],
  ['a megabyte of braces', Buffer.from('{"a":'.repeat(200_000)), false, /REGISTER_BROKER/],
  ['half a body', encode([topicConfig('T')]).subarray(0, 100), false, /REGISTER_BROKER/],
  ['no JSON', Buffer.from('hello'), false, /REGISTER_BROKER/],
  ['the word null', Buffer.from('null'), false, /REGISTER_BROKER/],
  ['a topic name with a control character', encode([topicConfig('a\u0007b')]), false, /control character/],
  ['an empty topic name', encode([topicConfig('')]), false, /empty/],
  [
    'a filter server of a kilobyte',
    registerBody({ filterServers: ['f'.repeat(1024)] }),
    false,
    /a filter server has 1024 bytes, the limit is 512/,
  ],
  ['a topic name of a megabyte', encode([topicConfig('x'.repeat(1 << 20))]), false, /has 1048576 bytes/],
]
for (const [name, body, compressed, remark] of badBodies) {
  test(`a registration with ${name} is refused with a reason and leaves nothing behind`, async t => {
    const { caller } = await started(t)
    const connection = caller()
    await assert.rejects(
      connection.call(REGISTER_BROKER, { header: { ...header, compressed }, body }, { timeoutMs: 60_000 }),
      {
        name: 'ResponseError',
        responseCode: 1,
        message: remark,
      },
    )
    await assertEmpty(connection)
  })
}

test('forty zip bombs at once take no more memory than a few, and others are served meanwhile', async t => {
  const { caller } = await started(t, { maxInflatedBodySize: 8 << 20 })
  const honest = caller()
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  const refused: number[] = []
  const bombs = Array.from({ length: 40 }, async (_, i) => {
    const identity = { ...header, brokerAddr: `10.0.0.1:${i}`, compressed: true }
    const call = caller().call(REGISTER_BROKER, { header: identity, body: bomb }, { timeoutMs: 120_000 })
    await assert.rejects(call, /when decompressed/)
    refused.push(i)
  })
  const answered = Promise.all(bombs)
  while (refused.length < bombs.length) {
    assert.equal((await honest.call(GET_BROKER_CLUSTER_INFO, {}, { timeoutMs: 120_000 })).code, 0)
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    await turn()
  }
  await answered
  // Four are inflated at a time, and the memory of others may not have been collected yet; all of them have 320 MiB.
  assert.ok(most < 200 << 20, `${most >> 20} MiB`)
})

test('a registration with more topics than allowed is refused', async t => {
  const { caller } = await started(t, { maxTopicsPerRegistration: 10 })
  const connection = caller()
  const body = encode(Array.from({ length: 11 }, (_, i) => topicConfig(`t${i}`)))
  await assert.rejects(connection.call(REGISTER_BROKER, { header, body }), /11 topics/)
  await assertEmpty(connection)
})

test('a connection that registers one broker after the other is refused at the limit, and others register', async t => {
  const { caller, server } = await started(t, { maxBrokersPerConnection: 5 })
  const [stranger, broker] = [caller(), caller()]
  const registerAt = (connection: Connection, port: number) =>
    connection.call(REGISTER_BROKER, {
      header: { ...header, brokerName: `b${port}`, brokerAddr: `10.0.0.1:${port}` },
      body: encode([topicConfig('T')]),
    })
  for (let port = 1; port <= 5; port++) await registerAt(stranger, port)
  await assert.rejects(registerAt(stranger, 6), {
    responseCode: 1,
    remark: 'REGISTER_BROKER: this connection has registered 5 brokers, which is the limit (maxBrokersPerConnection)',
  })
  await registerAt(broker, 7)
  assert.equal(server.status.brokerCount(), 6)
})

test('an administrator unregisters more brokers over one connection than it could register', async t => {
  const { caller, server } = await started(t, { maxBrokersPerConnection: 1 })
  const admin = caller()
  const identities = Array.from({ length: 10 }, (_, i) => ({
    ...header,
    brokerName: `b${i}`,
    brokerAddr: `10.0.0.1:${i}`,
  }))
  for (const identity of identities) {
    await caller().call(REGISTER_BROKER, { header: identity, body: encode([topicConfig('T')]) })
  }
  for (const identity of identities) await admin.call(UNREGISTER_BROKER, { header: identity })
  assert.equal(server.status.brokerCount(), 0)
})

for (const missing of ['brokerName', 'brokerAddr', 'clusterName', 'brokerId'] as const) {
  test(`a registration without ${missing} is refused with that name and leaves nothing behind`, async t => {
    const { caller } = await started(t)
    const connection = caller()
    const call = connection.call(REGISTER_BROKER, {
      header: { ...header, [missing]: undefined },
      body: encode([topicConfig('T')]),
    })
    await assert.rejects(call, { remark: new RegExp(`REGISTER_BROKER: the header field ${missing} .* is missing`) })
    await assertEmpty(connection)
  })
}

test('a registration whose checksum is wrong is refused', async t => {
  const { caller } = await started(t)
  const connection = caller()
  const body = encode([topicConfig('T')])
  const bodyCrc32 = (crc32(body) & 0x7fffffff) ^ 1
  await assert.rejects(connection.call(REGISTER_BROKER, { header: { ...header, bodyCrc32 }, body }), {
    remark: 'crc32 not match',
  })
  await assertEmpty(connection)
})

test('names that are special in JavaScript are ordinary names', async t => {
  const { caller } = await started(t)
  const connection = caller()
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  for (const name of names) {
    const brokerAddr = `10.0.0.1:${10_000 + name.length}`
    await connection.call(REGISTER_BROKER, {
      header: { ...header, brokerName: name, clusterName: name, brokerAddr },
      body: encode(names.map(name => topicConfig(name))),
    })
  }
  const route = await connection.call(GET_ROUTEINFO_BY_TOPIC, { header: { topic: '__proto__' } })
  assert.equal(route.body?.queueDatas.length, 4)
  assert.equal(({} as Record<string, unknown>)['perm'], undefined)
  const unknown = connection.call(GET_ROUTEINFO_BY_TOPIC, { header: { topic: 'valueOf' } })
  await assert.rejects(unknown, { responseCode: 17 })
})

test('connections that send a million bytes of garbage are closed without disturbing others', async t => {
  const clock = new ManualClock()
  const { connect, caller, server } = await started(t, { clock })
  const connection = caller()
  const strangers = Array.from({ length: 10 }, () => {
    const stranger = connect()
    stranger.on('error', () => {})
    const garbage = randomBytes(100_000)
    // This looks like the start of a frame, so the server waits for the rest of it, but only for a limited time.
    garbage[0] = 0
    stranger.write(garbage)
    return stranger
  })
  for (let turns = 0; turns < 20; turns++) await turn()
  await assertEmpty(connection)
  assert.ok(server.status.frameMemory().requests >= 1_000_000)
  clock.advance(62_000)
  for (let turns = 0; turns < 20; turns++) await turn()
  for (const stranger of strangers) assert.equal(stranger.destroyed, true)
  assert.equal(server.status.frameMemory().requests, 0)
  await assertEmpty(connection)
})

test('random fields, codes and bodies get an answer or a closed connection, and the server keeps running', async t => {
  const errors: unknown[] = []
  const log: Logger = { ...silent, error: fields => errors.push(fields) }
  const { connect, caller } = await started(t, { log })
  const codes = Object.values(nameServerRequests).map(({ code }) => code)
  const words = fc.oneof(
    fc.constantFrom(
      'topic',
      'brokerName',
      'brokerId',
      'clusterName',
      'brokerAddr',
      'namespace',
      'key',
      'value',
      'compressed',
    ),
    fc.string({ maxLength: 30 }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...codes),
      fc.dictionary(words, fc.string({ maxLength: 30 }), { maxKeys: 8 }),
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.json().map(text => Buffer.from(text)),
      ),
      fc.constantFrom('JSON', 'ROCKETMQ'),
      async (code, fields, body, serializeType) => {
        const connection = new Connection(connect(), { remoteAddress: 'server:9876' })
        const reply = await connection.exchange(
          {
            code,
            language: 'JAVA',
            version: 513,
            flag: 0,
            remark: null,
            extFields: new Map(Object.entries(fields)),
            body: Buffer.from(body),
            serializeType,
          },
          { timeoutMs: 5000 },
        )
        assert.equal(typeof reply.code, 'number')
        connection.destroy()
      },
    ),
    { numRuns: 500 },
  )
  assert.deepEqual(errors, [], 'no handler fails unexpectedly')
  await caller().call(GET_BROKER_CLUSTER_INFO)
})

/** Large bodies that take long to read, by any of the readers. */
const large: readonly [name: string, make: () => Buffer][] = [
  ['as brokers write it', () => encode(Array.from({ length: 50_000 }, (_, i) => topicConfig(`topic-number-${i}`)))],
  [
    'with blanks',
    () =>
      Buffer.from(
        encode(Array.from({ length: 50_000 }, (_, i) => topicConfig(`topic-${i}`)))
          .toString()
          .replaceAll(':', ' : '),
      ),
  ],
]
for (const [name, make] of large) {
  test(`a registration of 50,000 topics ${name} lets route queries pass`, async t => {
    const { caller, server } = await started(t)
    const [broker, client] = [caller(), caller()]
    await broker.call(REGISTER_BROKER, {
      header: { ...header, brokerName: 'a', brokerAddr: 'a:1' },
      body: encode([topicConfig('T')]),
    })
    const order: string[] = []
    const registration = broker
      .call(REGISTER_BROKER, { header, body: make() }, { timeoutMs: 60_000 })
      .then(() => order.push('registration'))
    await turn()
    await turn()
    const routes = Array.from({ length: 3 }, async () => {
      await client.call(GET_ROUTEINFO_BY_TOPIC, { header: { topic: 'T' } }, { timeoutMs: 60_000 })
      order.push('route')
    })
    await Promise.all([registration, ...routes])
    assert.equal(order.at(-1), 'registration')
    assert.equal(server.status.topicCount(), 50_001)
  })
}

test('a broker that unregisters while its large registration is read is removed', async t => {
  const { caller, server } = await started(t)
  const broker = caller()
  const body = encode(Array.from({ length: 50_000 }, (_, i) => topicConfig(`topic-${i}`)))
  const registration = broker.call(REGISTER_BROKER, { header, body }, { timeoutMs: 60_000 })
  const unregistration = broker.call(UNREGISTER_BROKER, { header }, { timeoutMs: 60_000 })
  await Promise.all([registration, unregistration])
  assert.equal(server.status.brokerCount(), 0)
  assert.deepEqual([...server.status.topics()], [])
  for (let i = 0; i < 2000 && server.status.topicCount() > 0; i++) await turn()
  assert.equal(server.status.topicCount(), 0)
})

test('a broker whose connection ends while its large registration is read is removed', async t => {
  const { caller, server } = await started(t)
  const broker = caller()
  const body = encode(Array.from({ length: 50_000 }, (_, i) => topicConfig(`topic-${i}`)))
  const registration = broker.call(REGISTER_BROKER, { header, body }, { timeoutMs: 60_000 })
  await turn()
  await turn()
  broker.destroy()
  await assert.rejects(registration, { code: 'CLOSED' })
  for (let i = 0; i < 200; i++) await turn()
  assert.equal(server.status.brokerCount(), 0)
  assert.equal(server.status.topicCount(), 0)
})

test('a list of 100,000 topics lets route queries pass', async t => {
  const { caller } = await started(t)
  const [broker, client] = [caller(), caller()]
  const body = encode(Array.from({ length: 100_000 }, (_, i) => topicConfig(`topic-${i}`)))
  await broker.call(REGISTER_BROKER, { header, body }, { timeoutMs: 60_000 })
  const order: string[] = []
  const list = client
    .call(GET_ALL_TOPIC_LIST_FROM_NAMESERVER, {}, { timeoutMs: 60_000 })
    .then(reply => order.push(`list of ${reply.body?.topicList.length}`))
  const route = broker
    .call(GET_ROUTEINFO_BY_TOPIC, { header: { topic: 'topic-1' } }, { timeoutMs: 60_000 })
    .then(() => order.push('route'))
  await Promise.all([list, route])
  assert.deepEqual(order, ['route', 'list of 100000'])
})

test('large registrations that come at once on one connection do not mix', async t => {
  const { connect, server } = await started(t)
  const stream = connect().resume()
  const names = Array.from({ length: 8 }, (_, i) => `group-${i}`)
  const frames = names.map((brokerName, i) => {
    const topics = Array.from({ length: 5010 - i }, (_unused, n) => topicConfig(`${brokerName}-topic-${n}`))
    const body = encode(topics)
    const identity = { ...header, brokerName, brokerAddr: `10.0.0.1:${i}`, bodyCrc32: crc32(body) & 0x7fffffff }
    const extFields = REGISTER_BROKER.header.encode(identity)
    const command = { code: 103, language: 'JAVA', version: 513, opaque: i, flag: 0, remark: null } as const
    return encodeFrame({ ...command, extFields, body, serializeType: 'JSON' }, new Outbox())
  })
  // In pieces, as sockets bring them.
  const bytes = Buffer.concat(frames)
  for (let at = 0; at < bytes.length; at += 60_000) stream.write(bytes.subarray(at, at + 60_000))
  const expected = names.reduce((sum, _, i) => sum + 5010 - i, 0)
  for (let turns = 0; turns < 2000 && server.status.topicCount() < expected; turns++) await turn()
  assert.equal(server.status.topicCount(), expected)
  for (const brokerName of names) {
    assert.equal(server.status.route(`${brokerName}-topic-4999`)?.queueDatas[0]?.brokerName, brokerName)
  }
})

/** The server refuses most of them after many slices, and answers the query first. */
const heavy: readonly [name: string, body: string, first: string | undefined][] = [
  ['empty arrays', `{"filterServerList":[${'[],'.repeat(5_000_000)}`, 'route'],
  ['short members', `{"a":{${Array.from({ length: 1_000_000 }, (_, i) => `"${i}":0`).join(',')}}`, 'route'],
  ['deep beginnings', '[[[[[[{"a":'.repeat(1_000_000), undefined],
  ['numbers', `{"filterServerList":[${'1.5e3,'.repeat(2_000_000)}`, 'route'],
]
for (const [name, text, first] of heavy) {
  test(`a body of millions of ${name} is refused without blocking route queries`, async t => {
    const { caller } = await started(t)
    const [broker, client] = [caller(), caller()]
    await broker.call(REGISTER_BROKER, {
      header: { ...header, brokerName: 'a', brokerAddr: 'a:1' },
      body: encode([topicConfig('T')]),
    })
    const order: string[] = []
    const body = Buffer.from(text)
    const refusal = assert
      .rejects(broker.call(REGISTER_BROKER, { header, body }, { timeoutMs: 60_000 }), { responseCode: 1 })
      .then(() => order.push('refusal'))
    await turn()
    const route = client
      .call(GET_ROUTEINFO_BY_TOPIC, { header: { topic: 'T' } }, { timeoutMs: 60_000 })
      .then(() => order.push('route'))
    await Promise.all([refusal, route])
    if (first !== undefined) assert.equal(order[0], first)
    assert.ok(body.length < 1 << 24, 'it is no larger than a frame may be')
  })
}

test('a remark shows the control and direction characters of names as escapes, in one line', async t => {
  const { caller } = await started(t)
  const connection = caller()
  const name = 'a\nSee evil\u001b[2J\u202e'
  const shown = 'a\\u000aSee evil\\u001b[2J\\u202e'
  const calls = [
    connection.call(GET_ROUTEINFO_BY_TOPIC, { header: { topic: name } }),
    connection.call(GET_KV_CONFIG, { header: { namespace: name, key: name } }),
    connection.call(GET_KVLIST_BY_NAMESPACE, { header: { namespace: name } }),
    connection.call(UPDATE_NAMESRV_CONFIG, { body: writeProperties([['productEnvName', name]]) }),
  ]
  for (const call of calls) {
    await assert.rejects(call, (error: ResponseError) => {
      assert.ok(error.remark?.split('\n')[0]?.includes(shown), error.remark ?? '')
      return true
    })
  }
})
