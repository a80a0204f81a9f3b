// What people get wrong when they connect a client: each has to be named in the error, with what to do.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createWebServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { createSecureContext, TLSSocket } from 'node:tls'
import { NameServer } from '@gantrymq/namesrv'
import { nameServerRequests } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'
import { type RocketMQ, startRocketMQ } from '@gantrymq/testing'
import { Admin, type ClientError, type ClientOptions, type Problem, Producer, PushConsumer } from '../src/index.ts'

const open: { close(): unknown }[] = []
let mq: RocketMQ
let nameServer: NameServer
let nameServers: string
let brokerAddress: string
let secure: NameServer
let secureNameServers: string

before(async () => {
  mq = await startRocketMQ({ broker: { autoCreateTopicEnable: false, autoCreateSubscriptionGroup: false } })
  await using admin = await Admin.start({ nameServers: mq.connection.nameServers })
  const { brokerAddrTable } = await admin.clusters.info()
  brokerAddress = [...brokerAddrTable.values()][0]?.brokerAddrs.get(0) ?? ''
  const target = { topic: 'SELF_TEST_TOPIC' }
  for (const name of ['Present', 'other%Spaced']) await admin.topics.create(name, target)
  await admin.topics.create('WriteOnly', target, { perm: 2 })
  secure = await NameServer.start({ host: '127.0.0.1', port: 0, tlsTestModeEnable: true, tlsServerMode: 'enforcing' })
  secureNameServers = `127.0.0.1:${secure.address.port}`
  nameServer = await NameServer.start({ host: '127.0.0.1', port: 0 })
  nameServers = `127.0.0.1:${nameServer.address.port}`
})
after(async () => {
  for (const each of open) await each.close()
  await nameServer.close()
  await secure.close()
  await mq.close()
})

async function listening(server: Server): Promise<string> {
  server.unref()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(server)
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function serving(serve: (socket: Socket) => unknown): Promise<string> {
  return listening(
    createServer(socket => {
      socket.on('error', () => {})
      socket.unref()
      serve(socket)
    }),
  )
}

const afterRequest = (answer: Buffer | string | null) => (socket: Socket) =>
  socket.once('data', () => (answer === null ? socket.destroy() : socket.end(answer)))

async function failureOf(options: ClientOptions, topic = 'Orders'): Promise<ClientError> {
  try {
    await using producer = await Producer.start({ group: 'g', requestTimeoutMs: 1000, retries: 0, ...options })
    await producer.send({ topic, body: 'x' }, { timeoutMs: 1500 })
  } catch (error) {
    return error as ClientError
  }
  return assert.fail('the message was sent')
}

/** What a consumer reports first with one of the codes, while time passes. */
async function problemOf(codes: string, given: object = {}): Promise<Problem> {
  const problems: Problem[] = []
  const onProblem = (problem: Problem): void => void problems.push(problem)
  const subscriptions = { Present: '*' }
  await using _ = await PushConsumer.start({
    ...mq.connection,
    group: 'billing',
    subscriptions,
    onMessage() {},
    onProblem,
    ...given,
  })
  for (let step = 0; step < 200; step++) {
    const found = problems.find(({ code }) => code === codes)
    if (found !== undefined) return found
    await mq.advance({ seconds: 5 })
  }
  return assert.fail(`no ${codes}, but ${problems.map(({ message }) => message).join('; ')}`)
}

interface Settings {
  readonly perm?: number
  readonly writeQueueNums?: number
  readonly brokerId?: number
}

/** Registers a broker that need not exist. */
async function register(name: string, addr: string, topic: string, settings: Settings = {}): Promise<void> {
  const { perm = 6, writeQueueNums = 1, brokerId = 0 } = settings
  const client = new RemotingClient()
  open.push(client)
  const config = { topicName: topic, readQueueNums: 1, writeQueueNums, perm, topicFilterType: 'SINGLE_TAG' }
  const dataVersion = { counter: 1, timestamp: 1, stateVersion: 0 }
  const body = {
    topicConfigSerializeWrapper: { dataVersion, topicConfigTable: { [topic]: config } },
    filterServerList: [],
  }
  await client.call(nameServers, nameServerRequests.REGISTER_BROKER, {
    header: {
      brokerName: name,
      brokerAddr: addr,
      clusterName: 'c',
      haServerAddr: '',
      brokerId,
      compressed: false,
      bodyCrc32: 0,
    },
    body: Buffer.from(JSON.stringify(body)),
  })
}

async function unregister(brokerName: string, brokerAddr: string): Promise<void> {
  const client = new RemotingClient()
  open.push(client)
  const header = { brokerName, brokerAddr, clusterName: 'c', brokerId: 0 }
  await client.call(nameServers, nameServerRequests.UNREGISTER_BROKER, { header })
}

interface Case {
  readonly what: string
  readonly options: () => ClientOptions | Promise<ClientOptions>
  readonly names: RegExp
  readonly code: string
  readonly topic?: string
  /** What a consumer reports instead, with these options. */
  readonly consumer?: object
}

const at = async (address: Promise<string>): Promise<ClientOptions> => ({ nameServers: await address })

const cases: readonly Case[] = [
  {
    what: 'a broker given as name server',
    options: () => ({ nameServers: brokerAddress }),
    names: /is not a name server.*as a broker does not.*9876/,
    code: 'NO_NAME_SERVER',
  },
  {
    what: 'a web server given as name server',
    options: () => at(listening(createWebServer((_, answer) => void answer.end('<html>')))),
    names: /web server \(HTTP\)/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'the gRPC port of a proxy',
    options: () =>
      at(serving(socket => socket.write(Buffer.from('00000c04000000000000037fffffff000400100000', 'hex')))),
    names: /gRPC port of a RocketMQ proxy/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'an SSH server',
    options: () => at(serving(socket => socket.write('SSH-2.0-OpenSSH_9.6\r\n'))),
    names: /SSH server/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'a Redis server',
    options: () => at(serving(afterRequest('-ERR unknown command\r\n'))),
    names: /Redis/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'a TLS server that sends an alert to a plain client',
    options: () => at(serving(afterRequest(Buffer.from('15030300020246', 'hex')))),
    names: /TLS only: set option tls$/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'a server that hangs up at the first byte',
    options: () => at(serving(afterRequest(null))),
    names: /accepts only TLS \(set option tls\) or is no RocketMQ server/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'a port that takes connections and is silent',
    options: () => at(serving(() => {})),
    names: /accepts connections, and has sent nothing so far/,
    code: 'TIMEOUT',
  },
  {
    what: 'TLS towards a plain web server',
    options: async () => ({ ...(await at(listening(createWebServer()))), tls: { rejectUnauthorized: false } }),
    names: /failed: wrong version number: the server speaks no TLS.*leave option tls out/,
    code: 'TLS',
  },
  {
    what: 'TLS towards a server that hangs up',
    options: async () => ({ ...(await at(serving(afterRequest(null)))), tls: { rejectUnauthorized: false } }),
    names: /speaks no TLS \(leave option tls out\)/,
    code: 'TLS',
  },
  {
    what: 'a TLS server without a common cipher',
    options: async () => ({
      ...(await at(
        serving(socket =>
          new TLSSocket(socket, { isServer: true, secureContext: createSecureContext() }).on('error', () => {}),
        ),
      )),
      tls: { rejectUnauthorized: false },
    }),
    names: /failed: [\w/ ]*handshake failure: check that/,
    code: 'TLS',
  },
  {
    what: 'a port on which nothing listens',
    options: () => ({ nameServers: '127.0.0.1:1' }),
    names: /nothing listens on this port \(ECONNREFUSED\)/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'an address without a port',
    options: () => ({ nameServers: '127.0.0.1' }),
    names: /"127\.0\.0\.1" is not an address: write host:port; name servers listen on 9876/,
    code: 'BAD_OPTION',
  },
  {
    what: 'a list with blanks',
    options: () => ({ nameServers: '127.0.0.1:9876 127.0.0.2:9876' }),
    names: /separate addresses by ;/,
    code: 'BAD_OPTION',
  },
  {
    what: 'the URL of an address server as a list',
    options: () => ({ nameServers: 'http://ns.example.org:8080/rocketmq/nsaddr' }),
    names: /write \{ url: \.\.\. \}/,
    code: 'BAD_OPTION',
  },
  {
    what: 'a topic that no broker has',
    options: () => mq.connection,
    names: /No route info of this topic: Orders\. The name server 127\.0\.0\.1:\d+ explains: /,
    code: 'ROUTE_MISSING',
  },
  {
    what: 'a name server without brokers',
    options: () => ({ nameServers }),
    names: /explains: .*No broker/i,
    code: 'ROUTE_MISSING',
  },
  {
    what: 'a topic that takes no messages',
    options: async () => {
      await register('read-only', '127.0.0.1:2', 'ReadOnly', { perm: 4 })
      return { nameServers }
    },
    topic: 'ReadOnly',
    names: /No queue of it takes messages.*explains: /,
    code: 'ROUTE_MISSING',
  },
  {
    what: 'a broker whose address no client can reach',
    options: async () => {
      await register('lost', '0.0.0.0:1', 'Lost')
      return { nameServers }
    },
    topic: 'Lost',
    names: /The broker lost registered this address.*brokerIP1.*explains: .*0\.0\.0\.0/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'a host name that does not exist',
    options: () => ({ nameServers: 'mq.invalid:9876' }),
    names: /host name is not known \(ENOTFOUND\).*Check option nameServers/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'an IPv6 address without brackets',
    options: () => ({ nameServers: 'fe80::1:9876' }),
    names: /fe80::1:9876.*write host:port.*\[2001:db8::1\]:9876/,
    code: 'BAD_OPTION',
  },
  {
    what: 'a port that cannot be',
    options: () => ({ nameServers: '127.0.0.1:98760' }),
    names: /127\.0\.0\.1:98760.*with a port from 1 to 65535/,
    code: 'BAD_OPTION',
  },
  {
    what: 'a plain client of a name server that takes only TLS',
    options: () => ({ nameServers: secureNameServers }),
    names: /accepts only TLS \(set option tls\)/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'a certificate that no known authority signed',
    options: () => ({ nameServers: secureNameServers, tls: {} }),
    names: /self-signed certificate.*set the authority's certificate \(ca,/,
    code: 'TLS',
  },
  {
    what: 'a topic whose name has a wrong letter',
    options: () => mq.connection,
    topic: 'Presant',
    names: /nearly this name: "Present".*mqadmin updateTopic -c DefaultCluster -t Presant/,
    code: 'ROUTE_MISSING',
  },
  {
    what: 'a topic whose name has another case',
    options: () => mq.connection,
    topic: 'present',
    names: /nearly this name: "Present"/,
    code: 'ROUTE_MISSING',
  },
  {
    what: 'a namespace that is missing',
    options: () => mq.connection,
    topic: 'Spaced',
    names: /nearly this name: "other%Spaced"/,
    code: 'ROUTE_MISSING',
  },
  {
    what: 'a namespace too many',
    options: () => ({ ...mq.connection, namespace: 'shop' }),
    topic: 'Present',
    names: /No route info of this topic: shop%Present.*nearly this name: "Present"/,
    code: 'ROUTE_MISSING',
  },
  {
    what: 'a topic without write queues',
    options: async () => {
      await register('queueless', '127.0.0.1:3', 'Queueless', { writeQueueNums: 0 })
      return { nameServers }
    },
    topic: 'Queueless',
    names:
      /queueless has permission 6 and 0 write queues.*on queueless it has 0 write queues.*mqadmin updateTopic -b 127\.0\.0\.1:3 -t Queueless -w 8/,
    code: 'ROUTE_MISSING',
  },
  {
    what: 'a broker of which only a slave is registered',
    options: async () => {
      await register('alone', '127.0.0.1:4', 'SlaveOnly')
      await register('alone', '127.0.0.1:5', 'SlaveOnly', { brokerId: 1 })
      await unregister('alone', '127.0.0.1:4')
      return { nameServers }
    },
    topic: 'SlaveOnly',
    names: /of alone only slaves are registered.*Start the master of alone/,
    code: 'ROUTE_MISSING',
  },
  {
    what: 'a broker that is registered on a loopback address and does not listen',
    options: async () => {
      await register('loopback', '127.0.0.1:6', 'Loopback')
      return { nameServers }
    },
    topic: 'Loopback',
    names: /The broker loopback registered this address.*set brokerIP1/,
    code: 'CONNECT_FAILED',
  },
  {
    what: 'credentials that are missing',
    options: () => {
      mq.fail.next('SEND_MESSAGE', {
        code: 1,
        remark: 'org.apache.rocketmq.acl.common.AclException: No accessKey is configured',
      })
      return mq.connection
    },
    topic: 'Present',
    names: /No accessKey is configured; the server takes signed requests only: set option credentials$/,
    code: 'BROKER_REFUSED',
  },
  {
    what: 'a wrong secret key',
    options: () => {
      mq.fail.next('SEND_MESSAGE', {
        code: 1,
        remark: 'org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey=shop',
      })
      return { ...mq.connection, credentials: { accessKey: 'shop', secretKey: 'wrong-secret' } }
    },
    topic: 'Present',
    names: /Check signature failed for accessKey=shop; check the secret key of option credentials$/,
    code: 'BROKER_REFUSED',
  },
  {
    what: 'a group that does not exist',
    consumer: { group: 'unknown-readers' },
    options: () => mq.connection,
    names: /lists no member of its group.*Create the group/,
    code: 'GROUP_MISSING',
  },
  {
    what: 'a consumer of a topic that does not exist',
    consumer: { subscriptions: { Presents: '*' } },
    options: () => mq.connection,
    names: /nearly this name: "Present".*Create it/,
    code: 'TOPIC_MISSING',
  },
  {
    what: 'a consumer of a topic without read permission',
    consumer: { subscriptions: { WriteOnly: '*' } },
    options: () => mq.connection,
    names: /broker-a has permission 2.*Give the topic permission to read/,
    code: 'NOT_READABLE',
  },
  {
    what: 'options with the names of the Java client',
    options: () => ({ namesrvAddr: nameServers }) as unknown as ClientOptions,
    names: /no option namesrvAddr.*this client calls it nameServers/,
    code: 'BAD_OPTION',
  },
]

for (const { what, options, names, code, topic, consumer } of cases) {
  test(`the error names ${what}`, async () => {
    const given = await options()
    const error = await (consumer === undefined ? failureOf(given, topic) : problemOf(code, consumer))
    assert.match(error.message, names)
    assert.equal(error.code, code)
  })
}

test('at least 29 kinds of misconfiguration are named', () => {
  assert.ok(new Set(cases.map(({ what }) => what)).size >= 29)
})

test('an error because of a route has the name server’s code for the reason', async () => {
  const { diagnosis, cause } = await failureOf({ nameServers })
  assert.equal(diagnosis, 'NOT_REGISTERED')
  assert.doesNotMatch((cause as Error).message, /explains/)
})

test('an administrator gets the reason as an answer, and with an error', async () => {
  await using admin = await Admin.start({ nameServers })
  assert.equal((await admin.topics.why('Orders')).code, 'NOT_REGISTERED')
  await assert.rejects(admin.topics.route('Orders'), { code: 'ROUTE_MISSING', diagnosis: 'NOT_REGISTERED' })
})

test('a name server that does not explain, such as Apache’s, leaves the error as it is', async () => {
  const plain = await NameServer.start({ host: '127.0.0.1', port: 0, httpEnabled: false })
  const error = await failureOf({ nameServers: `127.0.0.1:${plain.address.port}` })
  await plain.close()
  assert.equal(error.code, 'ROUTE_MISSING')
  assert.match(error.message, /No route info of this topic: Orders\. .* Next: create the topic/)
  assert.equal(error.diagnosis, undefined)
})
