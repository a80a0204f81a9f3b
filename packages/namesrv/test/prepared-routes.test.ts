import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { encodeTopicRoute, nameServerRequests, type TopicConfig } from '@gantrymq/protocol'
import { type Command, Connection, encodeFrame, Outbox } from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import fc from 'fast-check'
import { NameServer, type StartOptions } from '../src/index.ts'
import { registerBody } from './registrations.ts'

const { REGISTER_BROKER, DELETE_TOPIC_IN_NAMESRV, WIPE_WRITE_PERM_OF_BROKER, UNREGISTER_BROKER, PUT_KV_CONFIG } =
  nameServerRequests

async function started(t: TestContext, options: StartOptions = {}) {
  const server = await NameServer.start({ port: 0, host: '127.0.0.1', clock: new ManualClock(), ...options })
  const [near, far] = memorySockets()
  server.accept(near, '10.0.0.9:50000')
  t.after(() => server.close())
  return { server, far }
}

function topicOf(topicName: string, perm = 6): TopicConfig {
  return {
    topicName,
    readQueueNums: 4,
    writeQueueNums: 4,
    perm,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
  }
}

/** A route query; `odd` puts a blank into its header, which the fast path does not read. */
function query(topic: string, version: number, odd: boolean, more: Record<string, string> = {}): Buffer {
  const extFields = JSON.stringify({ topic, ...more })
  const blank = odd ? ' ' : ''
  const header = Buffer.from(
    `{"code":105,${blank}"extFields":${extFields},"flag":0,"language":"JAVA","opaque":4711,"serializeTypeCurrentRPC":"JSON","version":${version}}`,
  )
  const frame = Buffer.alloc(8 + header.length)
  frame.writeUInt32BE(4 + header.length, 0)
  frame.writeUInt32BE(header.length, 4)
  header.copy(frame, 8)
  return frame
}

async function answersTo(
  far: {
    write(bytes: Buffer): unknown
    on(event: 'data', listener: (chunk: Buffer) => void): unknown
    off(event: 'data', listener: (chunk: Buffer) => void): unknown
  },
  frame: Buffer,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  const listen = (chunk: Buffer) => void chunks.push(chunk)
  far.on('data', listen)
  far.write(frame)
  for (let i = 0; i < 20 && chunks.length === 0; i++) await turn()
  far.off('data', listen)
  return Buffer.concat(chunks)
}

function bodyOf(frame: Buffer): string {
  return frame.toString('utf8', 8 + frame.readUIntBE(5, 3))
}

async function broker(server: NameServer, name: string, brokerId: number) {
  const [near, far] = memorySockets()
  const address = `10.0.0.${name.charCodeAt(0)}:${10911 + brokerId}`
  server.accept(near, address)
  const connection = new Connection(far, { remoteAddress: 'server:9876', version: 513 })
  let counter = 0
  const header = { brokerName: name, brokerAddr: address, clusterName: 'C', brokerId, haServerAddr: address }
  return {
    connection,
    header,
    register: (topics: readonly TopicConfig[]) =>
      connection.call(REGISTER_BROKER, {
        header: { ...header, enableActingMaster: false },
        body: registerBody({ topics, version: counter++ }),
      }),
  }
}

test('prepared and routed answers match the registry after any changes', async t => {
  const { server, far } = await started(t)
  const names = ['a', 'b', 'ü€', '__proto__']
  const a = await broker(server, 'a', 0)
  const slave = await broker(server, 'a', 1)
  const b = await broker(server, 'b', 0)
  const actions: ((topic: string) => Promise<unknown>)[] = [
    topic => a.register([topicOf(topic), topicOf('a')]),
    topic => b.register([topicOf(topic, 4), topicOf('b')]),
    () => slave.register([]),
    topic => a.connection.call(DELETE_TOPIC_IN_NAMESRV, { header: { topic } }),
    () => a.connection.call(WIPE_WRITE_PERM_OF_BROKER, { header: { brokerName: 'a' } }),
    () => a.connection.call(UNREGISTER_BROKER, { header: a.header }),
  ]
  const step = fc.tuple(fc.nat(actions.length - 1), fc.constantFrom(...names))
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async done => {
      for (const [action, topic] of done) await actions[action]?.(topic)
      for (const topic of names) {
        for (const [version, more] of [
          [513, {}],
          [0, {}],
          [0, { acceptStandardJsonOnly: 'true' }],
        ] as const) {
          const quick = await answersTo(far, query(topic, version, false, more))
          const routed = await answersTo(far, query(topic, version, true, more))
          assert.ok(quick.length > 0)
          assert.equal(quick.toString(), routed.toString(), `${topic} ${version}`)
          const route = server.status.route(topic)
          const dialect = version === 0 && !('acceptStandardJsonOnly' in more) ? 'fastjson' : 'standard'
          if (route === undefined) assert.match(quick.toString('latin1'), /^.{8}{"code":17,/s)
          else assert.equal(bodyOf(quick), encodeTopicRoute(route, dialect).toString(), `${topic} ${version}`)
        }
      }
    }),
    { numRuns: 60 },
  )
  for (const { connection } of [a, b, slave]) connection.destroy()
})

test('escapes in a topic name are decoded, prepared or not', async t => {
  const { server, far } = await started(t)
  const a = await broker(server, 'a', 0)
  const spelled = String.raw`a\u0062`
  await a.register([topicOf('ab', 6), topicOf(spelled, 4)])
  const escaped = Buffer.from(query('a_____b', 513, false).toString('latin1').replace('a_____b', spelled), 'latin1')
  for (const odd of [false, true]) {
    assert.match(bodyOf(await answersTo(far, query('ab', 513, odd))), /"perm":6/)
    assert.match(bodyOf(await answersTo(far, query(spelled, 513, odd))), /"perm":4/)
    assert.match(bodyOf(await answersTo(far, escaped)), /"perm":6/)
  }
  a.connection.destroy()
})

test('a changed order configuration takes effect at once', async t => {
  const { server, far } = await started(t, { orderMessageEnable: true })
  const a = await broker(server, 'a', 0)
  await a.register([topicOf('T')])
  for (const value of ['a:4', 'a:8']) {
    await a.connection.call(PUT_KV_CONFIG, { header: { namespace: 'ORDER_TOPIC_CONFIG', key: 'T', value } })
    assert.match(bodyOf(await answersTo(far, query('T', 513, false))), new RegExp(`"orderTopicConf":"${value}"`))
  }
  a.connection.destroy()
})

test('a binary query gets its answer in a binary header', async t => {
  const { server, far } = await started(t)
  const a = await broker(server, 'a', 0)
  await a.register([topicOf('T')])
  const command: Command = {
    code: 105,
    language: 'JAVA',
    version: 409,
    opaque: -7,
    flag: 0,
    remark: null,
    extFields: new Map([['topic', 'T']]),
    body: null,
    serializeType: 'ROCKETMQ',
  }
  const binary = await answersTo(far, encodeFrame(command, new Outbox()))
  const json = await answersTo(far, encodeFrame({ ...command, serializeType: 'JSON' }, new Outbox()))
  const body =
    '{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.97:10911"},"brokerName":"a","cluster":"C","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}'
  const fixed = '0000' + '00' + '0201' + 'fffffff9' + '00000001' + '00000000' + '00000000'
  assert.equal(binary.subarray(4, 8 + 21).toString('hex'), `01000015${fixed}`)
  assert.equal(binary.subarray(29).toString(), body)
  assert.equal(binary.readUInt32BE(0), binary.length - 4)
  assert.equal(
    json.subarray(8).toString(),
    `{"code":0,"flag":1,"language":"JAVA","opaque":-7,"serializeTypeCurrentRPC":"JSON","version":513}${body}`,
  )
  a.connection.destroy()
})

test('route queries are refused until the service is ready, prepared or not', async t => {
  const clock = new ManualClock()
  const { server, far } = await started(t, { needWaitForService: true, waitSecondsForService: 45, clock })
  const a = await broker(server, 'a', 0)
  await a.register([topicOf('T')])
  assert.match((await answersTo(far, query('T', 513, false))).toString(), /"remark":"name server not ready"/)
  clock.advance(45_000)
  assert.match((await answersTo(far, query('T', 513, false))).toString(), /brokerDatas/)
  a.connection.destroy()
})

test('a client that names its zone gets the brokers of its zone', async t => {
  const { server, far } = await started(t)
  const a = await broker(server, 'a', 0)
  await a.register([topicOf('T')])
  await answersTo(far, query('T', 513, false))
  const zoned = await answersTo(far, query('T', 513, false, { __ZONE_MODE: 'true', __ZONE_NAME: 'z' }))
  assert.match(zoned.toString(), /"brokerDatas":\[\]/)
  a.connection.destroy()
})
