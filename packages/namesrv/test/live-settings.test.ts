// Options that may change at run time: each one takes effect at once, on a server that has been serving with the old value.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { nameServerRequests } from '@gantrymq/protocol'
import { type Command, Connection, encodeFrame, Outbox, silent } from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import { NameServer, nameServerOptions, type StartOptions } from '../src/index.ts'
import { registerBody, topicConfig } from './registrations.ts'

const {
  REGISTER_BROKER,
  UPDATE_NAMESRV_CONFIG,
  GET_NAMESRV_CONFIG,
  GET_ROUTEINFO_BY_TOPIC,
  GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
  GET_TOPICS_BY_CLUSTER,
  PUT_KV_CONFIG,
} = nameServerRequests

async function started(t: TestContext, options: StartOptions = {}) {
  const clock = new ManualClock()
  const lines: string[] = []
  const log = { ...silent, info: (_: object, text: string) => void lines.push(text) }
  const server = await NameServer.start({ port: 0, host: '127.0.0.1', clock, log, ...options })
  t.after(async () => {
    const closed = server.close()
    clock.advance(60_000)
    await closed
  })
  let peers = 0
  const dial = () => {
    const [near, far] = memorySockets()
    server.accept(near, `10.0.0.9:${50_000 + peers++}`)
    return far
  }
  const connect = () => new Connection(dial(), { remoteAddress: 'server:1' })
  const admin = connect()
  const update = (body: string) => admin.call(UPDATE_NAMESRV_CONFIG, { body })
  const route = async (topic: string) => (await admin.call(GET_ROUTEINFO_BY_TOPIC, { header: { topic } })).body
  return { server, clock, lines, dial, connect, admin, update, route }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await turn()
}

/** Whether a shutdown has ended when the clock has moved on. */
async function closedAfter(server: NameServer, clock: ManualClock, ms: number): Promise<boolean> {
  let closed = false
  void server.close().then(() => {
    closed = true
  })
  await settle()
  clock.advance(ms)
  await settle()
  return closed
}

async function register(connection: Connection, brokerId: number, topics: readonly string[], counter = 1, perm = 6) {
  const header = {
    clusterName: 'C',
    brokerName: 'a',
    brokerId,
    brokerAddr: `10.0.0.${brokerId + 1}:10911`,
    haServerAddr: `10.0.0.${brokerId + 1}:10912`,
    enableActingMaster: true,
  }
  const body = registerBody({ topics: topics.map(topic => topicConfig(topic, { perm })), version: counter })
  return await connection.call(REGISTER_BROKER, { header, body })
}

const unread: Command = {
  code: GET_NAMESRV_CONFIG.code,
  language: 'JAVA',
  version: 0,
  opaque: 1,
  flag: 0,
  remark: null,
  extFields: null,
  body: null,
  serializeType: 'JSON',
}

const refusal = (call: Promise<unknown>) => call.then(() => undefined, (error: Error) => error.message) // biome-ignore format: one thought

/** For each option that changes at once: how its effect shows. */
const effects: Readonly<Record<string, (t: TestContext) => Promise<void>>> = {
  async orderMessageEnable(t) {
    const { connect, admin, update, route } = await started(t)
    await register(connect(), 0, ['T'])
    await admin.call(PUT_KV_CONFIG, { header: { namespace: 'ORDER_TOPIC_CONFIG', key: 'T', value: 'a:4' } })
    assert.equal((await route('T'))?.orderTopicConf, undefined)
    await update('orderMessageEnable=true')
    assert.equal((await route('T'))?.orderTopicConf, 'a:4')
  },

  async returnOrderTopicConfigToBroker(t) {
    const { connect, admin, update } = await started(t)
    await admin.call(PUT_KV_CONFIG, { header: { namespace: 'ORDER_TOPIC_CONFIG', key: 'T', value: 'a:4' } })
    const broker = connect()
    assert.equal((await register(broker, 0, ['T'])).body?.get('T'), 'a:4')
    await update('returnOrderTopicConfigToBroker=false')
    assert.equal((await register(broker, 0, ['T'])).body, null)
  },

  async supportActingMaster(t) {
    const { connect, update, route } = await started(t)
    await register(connect(), 1, ['T'], 1, 4)
    assert.deepEqual([...((await route('T'))?.brokerDatas[0]?.brokerAddrs.keys() ?? [])], [1])
    await update('supportActingMaster=true')
    assert.deepEqual([...((await route('T'))?.brokerDatas[0]?.brokerAddrs.keys() ?? [])], [0])
  },

  async enableAllTopicList(t) {
    const { admin, update } = await started(t)
    const asked = () => refusal(admin.call(GET_ALL_TOPIC_LIST_FROM_NAMESERVER))
    assert.equal(await asked(), undefined)
    await update('enableAllTopicList=false')
    assert.equal(await asked(), 'response code 1: disable')
  },

  async enableTopicList(t) {
    const { admin, update } = await started(t)
    const asked = () => refusal(admin.call(GET_TOPICS_BY_CLUSTER, { header: { cluster: 'C' } }))
    assert.equal(await asked(), undefined)
    await update('enableTopicList=false')
    assert.equal(await asked(), 'response code 1: disable')
  },

  async notifyMinBrokerIdChanged(t) {
    const { connect, update, lines } = await started(t)
    await register(connect(), 2, ['T'])
    await register(connect(), 1, ['T'])
    assert.ok(!lines.includes('min broker id changed, notify'))
    await update('notifyMinBrokerIdChanged=true')
    await register(connect(), 0, ['T'])
    assert.ok(lines.includes('min broker id changed, notify'))
  },

  async deleteTopicWithBrokerRegistration(t) {
    const { connect, update, route } = await started(t)
    const broker = connect()
    await register(broker, 0, ['T', 'U'])
    await register(broker, 0, ['T'], 2)
    assert.ok(await route('U'))
    await update('deleteTopicWithBrokerRegistration=true')
    await register(broker, 0, ['T'], 3)
    assert.match((await refusal(route('U'))) ?? '', /response code 17/)
  },

  async serverChannelMaxIdleTimeSeconds(t) {
    const { clock, connect, update, admin } = await started(t, { serverChannelMaxIdleTimeSeconds: 0 })
    const quiet = connect()
    for (const each of [quiet, admin]) await each.call(GET_NAMESRV_CONFIG)
    clock.advance(24 * 3_600_000)
    await settle()
    assert.ok(quiet.isOpen, '0 means never')
    await update('serverChannelMaxIdleTimeSeconds=60')
    clock.advance(1000)
    await settle()
    assert.deepEqual([quiet.isOpen, admin.isOpen], [false, true])
  },

  async enableShutdownGracefully(t) {
    const { server, clock, admin, update } = await started(t, { shutdownWaitTimeSeconds: 20 })
    await update('enableShutdownGracefully=true')
    assert.equal(await closedAfter(server, clock, 19_000), false)
    assert.match((await refusal(admin.call(GET_NAMESRV_CONFIG))) ?? '', /response code 1500/)
  },

  async shutdownWaitTimeSeconds(t) {
    const { server, clock, update } = await started(t, { enableShutdownGracefully: true, shutdownWaitTimeSeconds: 20 })
    await update('shutdownWaitTimeSeconds=40')
    assert.equal(await closedAfter(server, clock, 39_000), false)
  },

  async shutdownDrainMillis(t) {
    const { server, clock, dial, update } = await started(t, { shutdownDrainMillis: 3000 })
    // A peer that does not read its answer, for which the server waits.
    dial().write(encodeFrame(unread, new Outbox()))
    await update('shutdownDrainMillis=7000')
    assert.equal(await closedAfter(server, clock, 6000), false)
  },
}

for (const name of nameServerOptions.names.filter(each => nameServerOptions.option(each).change === 'live')) {
  test(`a change of ${name} at run time takes effect at once`, async t => {
    assert.ok(effects[name], `${name} has no case in this file`)
    await effects[name](t)
  })
}

for (const [key, value] of [
  ['needWaitForService', 'true'],
  ['needWaitForService', 'false'],
  ['waitSecondsForService', '9'],
]) {
  test(`${key}=${value} is refused at run time with the reason, and route queries are still answered`, async t => {
    const { connect, update, route } = await started(t)
    await register(connect(), 0, ['T'])
    const why = `${key} cannot be updated at run time, as it could stop the answers to all route queries`
    assert.equal(await refusal(update(`${key}=${value}`)), `response code 16: ${why}: set it in the file and restart`)
    assert.ok(await route('T'))
  })
}
