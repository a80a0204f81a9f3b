// Why a client cannot use a topic, at our name server with real brokers of Apache: mqadmin, or the registration of a broker, causes
// each reason, the answer of the page `why` is compared, and where it advises a command, that command must cure it.
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { after, before, describe, test } from 'node:test'
import { Producer, PushConsumer } from '@gantrymq/client'
import { type JavaClient, javaClient } from '../src/drivers/java-client.ts'
import { eventually } from '../src/eventually.ts'
import { type Release, RELEASES, skipReason } from '../src/launch/apache.ts'
import type { RunningNameServer } from '../src/launch/launcher.ts'
import { startOurProgram, startOurs } from '../src/launch/our-name-server.ts'
import { unique } from '../src/unique.ts'
import { ChangeableBroker } from '../src/why/changeable-broker.ts'
import { advisedCommand, type Diagnosis, whyIs } from '../src/why/diagnosis.ts'
import { ask } from '../src/wire/raw-connection.ts'

const DELETE_TOPIC_IN_BROKER = 215
const UPDATE_AND_CREATE_TOPIC = 17
const UNREGISTER_BROKER = 104

/** An address of this machine that is not loopback: a broker that connects from it has to register it. */
const outside = Object.values(networkInterfaces())
  .flat()
  .find(each => each?.family === 'IPv4' && !each.internal)?.address
const noOutside = outside === undefined && 'this machine has no address but loopback'

/** The servers that the cases of one release line share. */
interface Servers {
  readonly nameServer: RunningNameServer
  /** A name server that waits for brokers, ten minutes long. */
  readonly waiting: RunningNameServer
  /** It connects from 127.0.0.1. */
  readonly a: ChangeableBroker
  /** It connects from the outside address, and is in the zone north if its line has zones. */
  readonly b: ChangeableBroker
  readonly java: JavaClient
}

async function start(release: Release, after: (close: () => Promise<void>) => void): Promise<Servers> {
  const owner = { after }
  const nameServer = await startOurProgram(owner)
  const waiting = await startOurs(owner, { needWaitForService: true, waitSecondsForService: 600 })
  const nameServers = [nameServer, waiting].map(({ port }) => `127.0.0.1:${port}`)
  const host = outside ?? '127.0.0.1'
  const [a, b, java] = await Promise.all([
    ChangeableBroker.start(owner, { release, name: 'a', nameServers }),
    ChangeableBroker.start(owner, {
      release,
      name: 'b',
      host,
      nameServers: [`${host}:${nameServer.port}`],
      flags: ['-Drocketmq.zone=north'],
    }),
    javaClient(owner, release, `127.0.0.1:${nameServer.port}`),
  ])
  return { nameServer, waiting, a, b, java }
}

for (const release of RELEASES) {
  describe(`why, brokers ${release}, name server ours`, { skip: await skipReason() }, () => reasons(release))
}

function reasons(release: Release): void {
  const closes: (() => Promise<void>)[] = []
  let servers: Servers
  before(async () => {
    servers = await start(release, close => closes.push(close))
  })
  after(async () => {
    for (const close of closes.toReversed()) await close()
  })
  const nameServers = () => `127.0.0.1:${servers.nameServer.port}`
  const mqadmin = (name: string, ...args: readonly string[]) => servers.java.mqadmin(name, '-n', nameServers(), ...args)

  const why = (topic: string, code: string, ...says: readonly RegExp[]) =>
    whyIs({ topic, port: servers.nameServer.port }, code, ...says)

  /** Runs the command that is advised, after which clients can use the topic. */
  async function follow(diagnosis: Diagnosis, then = 'FOUND'): Promise<void> {
    await mqadmin(...advisedCommand(diagnosis))
    await why(diagnosis.topic, then)
  }

  async function topicOn(broker: ChangeableBroker, name: string): Promise<string> {
    await servers.java.createTopic(broker.local, name, 4)
    await why(name, 'FOUND')
    return name
  }

  test('a topic that clients can use', async () => {
    await topicOn(servers.a, unique('usable'))
    await whyIs({ topic: 'TBW102', port: servers.nameServer.port }, 'NOT_REGISTERED', /autoCreateTopicEnable=true/)
  })

  test('a topic that was not created', async () => {
    await follow(await why(unique('missing'), 'NOT_REGISTERED', /No broker registers TBW102/, /Create it/))
  })

  test('a name with another letter or two, in another case, or with or without a namespace', async () => {
    await topicOn(servers.a, 'Invoices')
    await topicOn(servers.a, 'shop%Parcels')
    for (const name of ['Invoises', 'Invoises2', 'invoices', 'INVOICES', 'shop%Invoices'])
      await why(name, 'NOT_REGISTERED', /nearly this name: "Invoices"/)
    await why('Parcels', 'NOT_REGISTERED', /nearly this name: "shop%Parcels"/)
    await why('other%parcel', 'NOT_REGISTERED', /nearly this name: "shop%Parcels"/)
  })

  test('a name that no topic can have', async () => {
    await why('a topic', 'BAD_NAME', /There can be no such topic/)
  })

  test('the retry and dead-letter topics of a group', async t => {
    const topic = await topicOn(servers.a, unique('consumed'))
    const group = unique('consumers')
    const problems: string[] = []
    const consumer = await PushConsumer.start({
      nameServers: nameServers(),
      group,
      subscriptions: { [topic]: '*' },
      maxReconsumeTimes: 0,
      onMessage: () => assert.fail('this message is not for it'),
      onProblem: ({ code }) => void problems.push(code),
      log: false,
    })
    t.after(() => consumer.close())
    // The broker refuses its heartbeats, as 4.9 and 5.x do with autoCreateSubscriptionGroup=false.
    await eventually(async () => assert.ok(problems.includes('GROUP_MISSING'), problems.join()), 60_000)
    const retries = await why(
      `%RETRY%${group}`,
      'NOT_REGISTERED',
      /retry topic of the consumer group/,
      /updateSubGroup/,
    )
    await why(`%DLQ%${group}`, 'NOT_REGISTERED', /dead-letter topic of the consumer group/, /nothing is wrong/)
    await mqadmin(...advisedCommand(retries))
    await why(`%RETRY%${group}`, 'FOUND')
    await why(`%RETRY%${group}s`, 'NOT_REGISTERED', /topics of groups with nearly this name: "%RETRY%consumers-/)
    await using producer = await Producer.start({ nameServers: nameServers(), group: 'producers' })
    await producer.send({ topic, body: 'dead' })
    const dead = `%DLQ%${group}`
    await why(dead, 'FOUND')
    await mqadmin('updateTopicPerm', '-b', servers.a.local, '-t', dead, '-p', '2')
    await follow(await why(dead, 'NOT_READABLE', /Older brokers create dead-letter topics without read permission/))
  })

  test('a client in another zone', async () => {
    const topic = await topicOn(servers.b, unique('zoned'))
    const south = { topic, port: servers.nameServer.port, zone: 'south' }
    if (release === '4.9.7') {
      await whyIs(south, 'OTHER_ZONE', /brokers with this topic are in no zone/, /rocketmq\.zone\.mode=false/)
      return
    }
    await whyIs(south, 'OTHER_ZONE', /brokers with this topic are in the zone north/, /Set the zone of the client/)
    await whyIs({ ...south, zone: 'North' }, 'FOUND')
    await why(topic, 'FOUND', /a client in zone mode gets those of its own zone only/)
  })

  test('a topic without permission to write, or to read', async () => {
    const topic = await topicOn(servers.a, unique('permission'))
    await mqadmin('updateTopicPerm', '-b', servers.a.local, '-t', topic, '-p', '4')
    const unwritable = await why(topic, 'NOT_WRITABLE', /on a it has no write permission \(perm 4\)/)
    await using producer = await Producer.start({ nameServers: nameServers(), group: 'producers' })
    await assert.rejects(producer.send({ topic, body: 'x' }), { code: 'ROUTE_MISSING', diagnosis: 'NOT_WRITABLE' })
    await follow(unwritable)
    await mqadmin('updateTopicPerm', '-b', servers.a.local, '-t', topic, '-p', '2')
    await follow(await why(topic, 'NOT_READABLE', /on a it has no read permission \(perm 2\)/))
  })

  test('a broker whose brokerPermission forbids to write, or to read', async () => {
    const topic = await topicOn(servers.b, unique('broker-permission'))
    await servers.b.become({ brokerPermission: 4 })
    await follow(await why(topic, 'NOT_WRITABLE', /all topics of b have no write permission/))
    await servers.b.become({ brokerPermission: 2 })
    await follow(await why(topic, 'NOT_READABLE', /all topics of b have no read permission/))
    await servers.b.restore()
  })

  test('a topic without write queues, without read queues, or with fewer queues to read than to write', async () => {
    const topic = await topicOn(servers.a, unique('queues'))
    // mqadmin refuses zero queues, and brokers do not.
    const set = async (readQueueNums: number, writeQueueNums: number) => {
      const queues = { readQueueNums: String(readQueueNums), writeQueueNums: String(writeQueueNums) }
      const rest = {
        perm: '6',
        topicFilterType: 'SINGLE_TAG',
        topicSysFlag: '0',
        order: 'false',
        defaultTopic: 'TBW102',
      }
      const answer = await ask(servers.a.server.port, {
        code: UPDATE_AND_CREATE_TOPIC,
        extFields: { topic, ...queues, ...rest },
      })
      assert.equal(answer.code, 0, answer.remark ?? '')
    }
    await set(4, 0)
    await follow(await why(topic, 'NOT_WRITABLE', /on a it has 0 write queues/))
    await set(0, 4)
    await follow(await why(topic, 'NOT_READABLE', /on a it has 0 read queues/))
    await set(2, 4)
    await follow(await why(topic, 'UNREAD_QUEUES', /4 are written and 2 read on a/))
  })

  test('an order configuration with brokers or queues that are not there', async () => {
    const topic = await topicOn(servers.a, unique('ordered'))
    const order = (value: string) => mqadmin('updateOrderConf', '-m', 'put', '-t', topic, '-v', value)
    await mqadmin('updateNamesrvConfig', '-k', 'orderMessageEnable', '-v', 'false')
    await order('elsewhere:4')
    const off = await why(topic, 'FOUND', /clients do not get, because orderMessageEnable is false/, /elsewhere/)
    await follow(off, 'BAD_ORDER_CONFIG')
    await follow(await why(topic, 'BAD_ORDER_CONFIG', /elsewhere is not registered here/))
    await order('b:4')
    await follow(await why(topic, 'BAD_ORDER_CONFIG', /b does not have the topic/))
    await order('a:40')
    await follow(await why(topic, 'BAD_ORDER_CONFIG', /a has 4 write queues and not 40/))
    await order('a=4')
    await follow(await why(topic, 'BAD_ORDER_CONFIG', /"a=4" is not BROKER:QUEUES/))
  })

  test('a deleted topic', async () => {
    const topic = await topicOn(servers.a, unique('deleted'))
    await mqadmin('deleteTopic', '-c', 'DefaultCluster', '-t', topic)
    await follow(await why(topic, 'TOPIC_DELETED', /mqadmin deleteTopic\); it was on a/))
  })

  test('a topic that its broker no longer registers', async () => {
    const topic = await topicOn(servers.a, unique('dropped'))
    await mqadmin('updateNamesrvConfig', '-k', 'deleteTopicWithBrokerRegistration', '-v', 'true')
    await ask(servers.a.server.port, { code: DELETE_TOPIC_IN_BROKER, extFields: { topic } })
    await servers.a.restore()
    await follow(await why(topic, 'TOPIC_DELETED', /a registered \d+ s ago without this topic/))
    await mqadmin('updateNamesrvConfig', '-k', 'deleteTopicWithBrokerRegistration', '-v', 'false')
  })

  test('a broker that an operator made read-only', async () => {
    const topic = await topicOn(servers.a, unique('wiped'))
    await mqadmin('wipeWritePerm', '-b', 'a')
    await follow(await why(topic, 'NOT_WRITABLE', /a was made read-only here/))
  })

  test('addresses of a broker that clients cannot reach', { skip: noOutside }, async () => {
    const topic = await topicOn(servers.b, unique('addresses'))
    const wrong = {
      '127.0.0.1': /can be reached on its own machine only/,
      '0.0.0.0': /stands for all addresses of a machine/,
      'http://mq.example.org': /is a URL and not HOST:PORT/,
      [`${outside} #own`]: /has the character " "/,
      '10.0.0': /has the host 10\.0\.0, which is no IP address/,
    }
    for (const [brokerIP1, says] of Object.entries(wrong)) {
      await servers.b.become({ brokerIP1 })
      const advice = new RegExp(`Set brokerIP1 in the broker\\.conf of b .*, perhaps ${outside} \\(`)
      await why(topic, 'UNREACHABLE_ADDRESS', /Clients cannot reach b: its address/, says, advice)
    }
    await servers.b.become({ brokerIP1: '203.0.113.7' })
    const differs = new RegExp(`203\\.0\\.113\\.7:\\d+ of b differs from ${outside}`)
    await why(topic, 'FOUND', differs, /If clients cannot reach it: Set brokerIP1/)
    await servers.b.restore()
    await why(topic, 'FOUND')
  })

  test('an address that is not of the machine of a broker beside the name server', async () => {
    const topic = await topicOn(servers.a, unique('beside'))
    await servers.a.become({ brokerIP1: '203.0.113.7' })
    await why(topic, 'FOUND', /203\.0\.113\.7:\d+ of a is none of this machine/)
    await servers.a.restore()
  })

  test('a slave without a master', async () => {
    const topic = await topicOn(servers.b, unique('slave'))
    await servers.b.become({ brokerName: 'lone' })
    await servers.b.become({ brokerId: 1 })
    await why(
      topic,
      'NO_MASTER',
      /of lone only slaves are registered/,
      /Start the master of lone: a broker with brokerId=0/,
    )
    await servers.b.become({ brokerId: 0 })
    await why(topic, 'FOUND')
    await servers.b.restore()
  })

  test("another cluster's broker of the same name, beside it or in its place", async () => {
    const topic = await topicOn(servers.a, unique('mixed'))
    await servers.b.become({ brokerClusterName: 'Other', brokerName: 'a', brokerId: 1 })
    await why(
      topic,
      'SAME_BROKER_NAME',
      /broker name a is used in the clusters DefaultCluster, Other/,
      /own brokerName/,
    )
    await servers.b.become({ brokerId: 0 })
    const place = /a \(id 0\) was at .* in the cluster \w+ until .* of the cluster \w+ took its place/
    await why(topic, 'SAME_BROKER_NAME', place, /its own brokerName or brokerId/)
    // The other cluster's broker is shut down; only then its connection gives the place back.
    const [clusterName, brokerName, brokerId, brokerAddr] = ['Other', 'a', '0', servers.b.registered]
    const extFields = { clusterName, brokerName, brokerId, brokerAddr }
    await ask(servers.nameServer.port, { code: UNREGISTER_BROKER, extFields })
    await servers.b.restore()
    await servers.a.restore()
    await why(topic, 'FOUND')
  })

  test('a name server that waits for brokers', async () => {
    const topic = await topicOn(servers.a, unique('waiting'))
    const question = { topic, port: servers.waiting.port }
    await whyIs(question, 'NOT_READY', /brokers have 600 s after the start to register/, /other name servers/)
  })

  test('brokers that left', async () => {
    const topic = await topicOn(servers.b, unique('left'))
    await servers.b.server.kill()
    const says = [/since b \(id 0, .*\) left \d+ s ago: its connection was closed/, /Check that b \(id 0\) runs/]
    await why(topic, 'BROKERS_LEFT', ...says)
    await servers.a.server.stop()
    await why(
      topic,
      'NO_BROKERS',
      /No broker is registered here/,
      /a \(id 0, .*\) left \d+ s ago: it unregistered itself/,
    )
  })
}
