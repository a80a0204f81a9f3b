// Why a client cannot use a topic: each case is a name server to which something happened, what it says is the cause, what
// advice it gives, and what it must not advise, because it would not help.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { nameServerRequests, type TopicConfig, topicRouteBody } from '@gantrymq/protocol'
import { Connection, finish, printable, silent } from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import { type DiagnosisCode, diagnosisCodes } from '../src/diagnosis/finding.ts'
import { explain } from '../src/http/why.ts'
import { NameServer, type StartOptions } from '../src/index.ts'
import { registerBody, topicConfig } from './registrations.ts'

const { REGISTER_BROKER, UNREGISTER_BROKER, DELETE_TOPIC_IN_NAMESRV, WIPE_WRITE_PERM_OF_BROKER, PUT_KV_CONFIG } =
  nameServerRequests

interface Registered {
  readonly name?: string
  readonly cluster?: string
  readonly id?: number
  readonly addr?: string
  /** Where its connection comes from. */
  readonly from?: string
  readonly topics?: readonly (string | TopicConfig)[]
  readonly zone?: string
  /** Its connection; default: its own. */
  readonly on?: Connection
  readonly version?: number
}

class TestServer {
  readonly clock = new ManualClock()
  readonly #server: NameServer
  readonly admin: Connection

  static async open(t: TestContext, options: StartOptions = {}) {
    const clock = new ManualClock()
    const server = await NameServer.start({ port: 0, host: '127.0.0.1', clock, ...options })
    t.after(() => server.close())
    return new TestServer(server, clock)
  }

  private constructor(server: NameServer, clock: ManualClock) {
    this.#server = server
    this.clock = clock
    this.admin = this.connect('10.0.0.99')
  }

  connect(from: string): Connection {
    const [near, far] = memorySockets()
    this.#server.accept(near, `${from}:50000`)
    return new Connection(far, { remoteAddress: 'server:1' })
  }

  async register(given: Registered = {}): Promise<Connection> {
    const { name = 'a', cluster = 'C', id = 0, from = '10.0.0.1', topics = ['T'], zone, version = 1 } = given
    const connection = given.on ?? this.connect(from)
    const body = registerBody({ topics, version })
    const brokerAddr = given.addr ?? `${from}:10911`
    const header = { clusterName: cluster, brokerName: name, brokerId: id, brokerAddr, haServerAddr: '10.0.0.1:10912' }
    const zoned = { ...header, enableActingMaster: false, ...(zone !== undefined && { __ZONE_NAME: zone }) }
    await connection.call(REGISTER_BROKER, { header: zoned, body })
    return connection
  }

  async end(connection: Connection): Promise<void> {
    connection.destroy()
    for (let i = 0; i < 10; i++) await turn()
  }

  /** The page of a topic, as text. */
  async page(path: string): Promise<string> {
    const { host, port } = this.#server.address
    return await (await fetch(`http://${host}:${port}/api/v1/topics/${path}`)).text()
  }

  why(topic: string, zone?: string) {
    return finish(explain(topic, this.#server.status, this.clock.now(), zone))
  }
}

interface Case {
  readonly what: string
  readonly options?: StartOptions
  readonly happens: (server: TestServer) => Promise<unknown>
  /** Default T. */
  readonly topic?: string
  readonly zone?: string
  readonly code: DiagnosisCode
  /** In the message or a hint, in this order of importance. */
  readonly says: readonly RegExp[]
  readonly never?: RegExp
}

const order = (value: string) => ({ namespace: 'ORDER_TOPIC_CONFIG', key: 'T', value })

const CASES: readonly Case[] = [
  {
    what: 'a topic that clients can use',
    happens: server => server.register(),
    code: 'FOUND',
    says: [/1 broker, 1 with a master/],
    never: /updateTopic|brokerIP1|Start/,
  },
  {
    what: 'a topic without write permission',
    happens: server => server.register({ topics: [topicConfig('T', { perm: 4 })] }),
    code: 'NOT_WRITABLE',
    says: [
      /on a it has no write permission \(perm 4\)/,
      /mqadmin updateTopicPerm -b 10\.0\.0\.1:10911 -t T -p 6/,
      /brokerPermission/,
    ],
    never: /addWritePerm/,
  },
  {
    what: 'a broker that an operator made read-only',
    async happens(server) {
      await server.register()
      await server.admin.call(WIPE_WRITE_PERM_OF_BROKER, { header: { brokerName: 'a' } })
    },
    code: 'NOT_WRITABLE',
    says: [/a was made read-only here/, /mqadmin addWritePerm -b a makes it writable/],
    never: /updateTopicPerm/,
  },
  {
    what: 'a broker whose brokerPermission forbids to write',
    happens: server =>
      server.register({ topics: [topicConfig('T', { perm: 4 }), topicConfig('SELF_TEST_TOPIC', { perm: 4 })] }),
    code: 'NOT_WRITABLE',
    says: [
      /all topics of a have no write permission \(its brokerPermission\)/,
      /mqadmin updateBrokerConfig -b 10\.0\.0\.1:10911 -k brokerPermission -v 6/,
    ],
    never: /updateTopicPerm/,
  },
  {
    what: 'a broker whose brokerPermission forbids to read',
    happens: server =>
      server.register({ topics: [topicConfig('T', { perm: 2 }), topicConfig('SELF_TEST_TOPIC', { perm: 2 })] }),
    code: 'NOT_READABLE',
    says: [/all topics of a have no read permission/, /-k brokerPermission -v 6/],
    never: /updateTopicPerm/,
  },
  {
    what: 'a topic without write permission on a broker that may be written',
    happens: server => server.register({ topics: [topicConfig('T', { perm: 4 }), topicConfig('SELF_TEST_TOPIC')] }),
    code: 'NOT_WRITABLE',
    says: [/on a it has no write permission \(perm 4\)/, /updateTopicPerm -b 10\.0\.0\.1:10911 -t T -p 6/],
    never: /brokerPermission/,
  },
  {
    what: 'a topic without write queues',
    happens: server => server.register({ topics: [topicConfig('T', { writeQueueNums: 0 })] }),
    code: 'NOT_WRITABLE',
    says: [/on a it has 0 write queues/, /mqadmin updateTopic -b 10\.0\.0\.1:10911 -t T -w 8/],
    never: /Perm/,
  },
  {
    what: 'a topic without read permission',
    happens: server => server.register({ topics: [topicConfig('T', { perm: 2 })] }),
    code: 'NOT_READABLE',
    says: [/no read permission \(perm 2\)/, /updateTopicPerm -b 10\.0\.0\.1:10911 -t T -p 6/],
  },
  {
    what: 'a dead-letter topic of an older broker',
    happens: server => server.register({ topics: [topicConfig('%DLQ%billing', { perm: 2 })] }),
    topic: '%DLQ%billing',
    code: 'NOT_READABLE',
    says: [/Older brokers create dead-letter topics without read permission/, /-t %DLQ%billing -p 6/],
  },
  {
    what: 'a broker on this machine with an address of another',
    happens: server => server.register({ from: '127.0.0.1', addr: '203.0.113.7:10911' }),
    code: 'FOUND',
    says: [/203\.0\.113\.7:10911 of a is none of this machine/, /If clients cannot reach it: Set brokerIP1/],
    never: /perhaps/,
  },
  {
    what: 'a topic without read queues',
    happens: server => server.register({ topics: [topicConfig('T', { readQueueNums: 0 })] }),
    code: 'NOT_READABLE',
    says: [/on a it has 0 read queues/, /updateTopic -b 10\.0\.0\.1:10911 -t T -r 8/],
    never: /Perm/,
  },
  {
    what: 'a topic with fewer read than write queues',
    happens: server => server.register({ topics: [topicConfig('T', { readQueueNums: 2, writeQueueNums: 8 })] }),
    code: 'UNREAD_QUEUES',
    says: [/8 are written and 2 read on a/, /updateTopic -b 10\.0\.0\.1:10911 -t T -r 8 -w 8/],
  },
  {
    what: 'a slave without its master, which left',
    async happens(server) {
      const master = await server.register()
      await server.register({ id: 1, from: '10.0.0.2' })
      await server.end(master)
      server.clock.advance(35_000)
    },
    code: 'NO_MASTER',
    says: [
      /of a only slaves are registered/,
      /a \(id 0, 10\.0\.0\.1:10911\) left 35 s ago: its connection was closed/,
      /Start the master of a: a broker with brokerId=0/,
    ],
    never: /updateTopic|Perm/,
  },
  {
    what: 'slaves that never had a master',
    async happens(server) {
      const header = { topic: 'T' }
      await server.register({ id: 1 })
      await server.admin.call(nameServerRequests.REGISTER_TOPIC_IN_NAMESRV, {
        header,
        body: Buffer.from(
          topicRouteBody.encode({
            queueDatas: [{ brokerName: 'a', ...topicConfig('T') }],
            brokerDatas: [],
            filterServerTable: new Map(),
          }),
        ),
      })
    },
    code: 'NO_MASTER',
    says: [/Start the master of a: a broker with brokerId=0; the others of its name have other ids/],
  },
  {
    what: 'an order configuration with a broker that is not registered',
    options: { orderMessageEnable: true },
    async happens(server) {
      await server.register()
      await server.admin.call(PUT_KV_CONFIG, { header: order('a:8;gone:8') })
    },
    code: 'BAD_ORDER_CONFIG',
    says: [
      /"a:8;gone:8"/,
      /gone is not registered here/,
      /mqadmin updateOrderConf -m put -t T -v a:8/,
      /-m delete -t T/,
    ],
  },
  {
    what: 'an order configuration with a broker that left',
    options: { orderMessageEnable: true },
    async happens(server) {
      await server.register()
      await server.end(await server.register({ name: 'b', from: '10.0.0.2' }))
      await server.admin.call(PUT_KV_CONFIG, { header: order('a:8;b:8') })
    },
    code: 'BAD_ORDER_CONFIG',
    says: [/b left 0 s ago/, /If b is still needed, start it again/, /updateOrderConf -m put -t T -v a:8/],
  },
  {
    what: 'an order configuration that clients cannot read',
    options: { orderMessageEnable: true },
    async happens(server) {
      await server.register()
      await server.admin.call(PUT_KV_CONFIG, { header: order('a=8') })
    },
    code: 'BAD_ORDER_CONFIG',
    says: [/"a=8" is not BROKER:QUEUES/],
  },
  {
    what: 'an order configuration that leaves a broker out',
    options: { orderMessageEnable: true },
    async happens(server) {
      await server.register()
      await server.register({ name: 'aa', from: '10.0.0.2' })
      await server.admin.call(PUT_KV_CONFIG, { header: order('aa:4;') })
    },
    code: 'FOUND',
    says: [/Producers send nothing to a, which the order/, /updateOrderConf -m put -t T -v 'a:8;aa:8'/],
  },
  {
    what: 'an order configuration with more queues than a broker has',
    options: { orderMessageEnable: true },
    async happens(server) {
      await server.register()
      await server.admin.call(PUT_KV_CONFIG, { header: order('a:9') })
    },
    code: 'BAD_ORDER_CONFIG',
    says: [/a has 8 write queues and not 9/],
  },
  {
    what: 'an order configuration that clients do not get',
    async happens(server) {
      await server.register()
      await server.admin.call(PUT_KV_CONFIG, { header: order('a:8') })
    },
    code: 'FOUND',
    says: [
      /clients do not get, because orderMessageEnable is false/,
      /updateNamesrvConfig -k orderMessageEnable -v true/,
    ],
    never: /wrong/,
  },
  {
    what: 'a client of another zone',
    happens: server => server.register({ zone: 'north' }),
    zone: 'south',
    code: 'OTHER_ZONE',
    says: [/in the zone south gets an empty route: .* the zone north/, /Set the zone of the client/],
  },
  {
    what: 'a client with a zone, whose brokers have none',
    happens: server => server.register(),
    zone: 'south',
    code: 'OTHER_ZONE',
    says: [/in no zone/, /Start a broker of its zone with this topic, or turn off its zone mode/],
    never: /Set the zone/,
  },
  {
    what: 'zones, asked without one',
    happens: server => server.register({ zone: 'north' }),
    code: 'FOUND',
    says: [/in the zone north; a client in zone mode gets those of its own zone only/, /\?zone=NAME/],
  },
  {
    what: 'a topic that an operator deleted',
    async happens(server) {
      await server.register()
      await server.admin.call(DELETE_TOPIC_IN_NAMESRV, { header: { topic: 'T' } })
      server.clock.advance(5000)
    },
    code: 'TOPIC_DELETED',
    says: [
      /was deleted here 5 s ago \(mqadmin deleteTopic\); it was on a/,
      /registers it again within 30 s.*mqadmin updateTopic -c C -t T/,
    ],
    never: /TBW102/,
  },
  {
    what: 'a topic that its broker does not list any more',
    options: { deleteTopicWithBrokerRegistration: true },
    async happens(server) {
      const on = await server.register({ topics: ['T', 'U'] })
      await server.register({ topics: ['U'], on, version: 2 })
    },
    code: 'TOPIC_DELETED',
    says: [/a registered 0 s ago without this topic/, /mqadmin updateTopic -c C -t T/],
  },
  {
    what: 'a broker that was shut down',
    async happens(server) {
      await server.register({ name: 'other', from: '10.0.0.7', topics: ['U'] })
      const broker = await server.register()
      const header = { clusterName: 'C', brokerName: 'a', brokerAddr: '10.0.0.1:10911', brokerId: 0 }
      await broker.call(UNREGISTER_BROKER, { header })
      server.clock.advance(7000)
    },
    code: 'BROKERS_LEFT',
    says: [/since a \(id 0, 10\.0\.0\.1:10911\) left 7 s ago: it unregistered itself/, /Start a \(id 0\) again/],
    never: /updateTopic|TBW102/,
  },
  {
    what: 'a broker that came back without the topic',
    async happens(server) {
      await server.end(await server.register())
      await server.register({ topics: ['U'] })
    },
    code: 'BROKERS_LEFT',
    says: [
      /a is registered again, without this topic: it has lost its topics\.json/,
      /create it: mqadmin updateTopic -c C -t T/,
    ],
    never: /comes back when|Start/,
  },
  {
    what: 'no broker at all',
    happens: async () => {},
    code: 'NO_BROKERS',
    says: [/No broker is registered here/, /namesrvAddr of the brokers contains the address of this server/],
    never: /updateTopic/,
  },
  ...(
    [
      ['a loopback address', '127.0.0.1:10911', /127\.0\.0\.1:10911 can be reached on its own machine only/],
      ['a wildcard', '0.0.0.0:10911', /0\.0\.0\.0:10911 stands for all addresses/],
      ['no port', '10.0.0.1', /10\.0\.0\.1 has no port/],
      ['a comment behind it', '10.0.0.1 #own:10911', /10\.0\.0\.1 #own:10911 has the character " "/],
      ['a URL', 'http://10.0.0.1:10911', /http:\/\/10\.0\.0\.1:10911 is a URL/],
    ] as const
  ).map(([what, addr, says]) => ({
    what: `a broker with ${what} as its address`,
    happens: (server: TestServer) => server.register({ addr }),
    code: 'UNREACHABLE_ADDRESS' as const,
    says: [says, /Set brokerIP1 in the broker\.conf of a to .*, perhaps 10\.0\.0\.1 \(/],
  })),
  {
    what: "an address other than the connection's own",
    happens: server => server.register({ addr: '172.17.0.2:10911' }),
    code: 'FOUND',
    says: [/172\.17\.0\.2:10911 of a differs from 10\.0\.0\.1/, /If clients cannot reach it: Set brokerIP1/],
  },
  {
    what: 'a name with two wrong letters',
    happens: server => server.register({ topics: ['payments'] }),
    topic: 'paymnets2',
    code: 'NOT_REGISTERED',
    says: [/There are topics with nearly this name: "payments"/],
  },
  {
    what: 'a name in another case',
    happens: server => server.register({ topics: ['Payments'] }),
    topic: 'payments',
    code: 'NOT_REGISTERED',
    says: [/nearly this name: "Payments"/],
  },
  {
    what: 'a name without its namespace',
    happens: server => server.register({ topics: ['MQ_INST_1%payments'] }),
    topic: 'payments',
    code: 'NOT_REGISTERED',
    says: [/nearly this name: "MQ_INST_1%payments"/],
  },
  {
    what: 'a topic that sending would create',
    happens: server => server.register({ topics: ['TBW102'] }),
    code: 'NOT_REGISTERED',
    says: [
      /TBW102 is registered by a: these brokers create the topic when they receive the first message/,
      /updateTopic -c C -t T/,
    ],
  },
  {
    what: 'a topic that sending does not create',
    happens: server => server.register({ topics: ['U'] }),
    code: 'NOT_REGISTERED',
    says: [/No broker registers TBW102, so sending does not create topics/, /Create it: mqadmin updateTopic -c C -t T/],
  },
  {
    what: 'a name that no topic can have',
    happens: server => server.register({ topics: ['TBW102', 'order.paid'] }),
    topic: 'order paid',
    code: 'BAD_NAME',
    says: [
      /There can be no such topic: .*characters other than/,
      /nearly this name: "order\.paid"/,
      /must use another one/,
    ],
    never: /updateTopic|TBW102/,
  },
  {
    what: 'the retry topic of a group that never connected',
    happens: server => server.register({ topics: ['TBW102', '%RETRY%billing'] }),
    topic: '%RETRY%biling',
    code: 'NOT_REGISTERED',
    says: [
      /the retry topic of the consumer group biling/,
      /nearly this name: "%RETRY%billing"/,
      /when the first consumer of the group biling connects/,
      /updateSubGroup -c C -g biling/,
    ],
    never: /updateTopic|TBW102/,
  },
  {
    what: 'the dead-letter topic of a group without dead letters',
    happens: server => server.register({ topics: ['TBW102'] }),
    topic: '%DLQ%billing',
    code: 'NOT_REGISTERED',
    says: [/the dead-letter topic of the consumer group billing/, /nothing is wrong/],
    never: /updateTopic|TBW102|updateSubGroup/,
  },
  {
    what: 'a topic of RocketMQ itself',
    happens: server => server.register({ topics: ['TBW102'] }),
    topic: 'RMQ_SYS_TRACE_TOPIC',
    code: 'NOT_REGISTERED',
    says: [/traceTopicEnable=true/],
    never: /updateTopic/,
  },
  {
    what: "another cluster's broker of the same name, in one route",
    async happens(server) {
      await server.register({ cluster: 'C' })
      await server.register({ cluster: 'D', id: 1, from: '10.0.0.2' })
    },
    code: 'SAME_BROKER_NAME',
    says: [/broker name a is used in the clusters C, D/, /their own brokerName/],
  },
  {
    what: "another cluster's broker of the same name and id, which took the place of the topic's",
    async happens(server) {
      await server.register({ cluster: 'C' })
      await server.register({ cluster: 'D', from: '10.0.0.2', topics: ['U'] })
      await server.register({ cluster: 'D', name: 'b', from: '10.0.0.3', topics: ['V'] })
    },
    code: 'SAME_BROKER_NAME',
    says: [
      /a \(id 0\) was at 10\.0\.0\.1:10911 in the cluster C until 10\.0\.0\.2:10911 of the cluster D took its place/,
      /its own brokerName or brokerId/,
    ],
  },
  {
    what: 'a server that still waits',
    options: { needWaitForService: true, waitSecondsForService: 45 },
    happens: server => server.register(),
    code: 'NOT_READY',
    says: [/brokers have 45 s after the start to register/, /other name servers may already answer/],
    never: /updateTopic/,
  },
]

for (const { what, options, happens, topic = 'T', zone, code, says, never } of CASES) {
  test(`${what} is explained, with what to do`, async t => {
    const server = await TestServer.open(t, options)
    await happens(server)
    const diagnosis = server.why(topic, zone)
    const text = [diagnosis.message, ...diagnosis.hints].join('\n')
    assert.equal(diagnosis.code, code, text)
    let at = 0
    for (const pattern of says) {
      const found = text.slice(at).search(pattern)
      assert.ok(found >= 0, `${pattern} is missing or comes too late in:\n${text}`)
      at += found
    }
    if (never !== undefined) assert.doesNotMatch(text, never)
    assert.match(diagnosis.hints.at(-1) ?? '', /may be registered at another name server/)
  })
}

test('names that peers chose are quoted in commands, and have no control characters', async t => {
  const server = await TestServer.open(t)
  await server.register({ name: 'a; rm -rf \u202e$(x)', topics: [topicConfig('T', { perm: 4 })] })
  await server.admin.call(WIPE_WRITE_PERM_OF_BROKER, { header: { brokerName: 'a; rm -rf \u202e$(x)' } })
  const { hints } = server.why('T')
  assert.ok(hints.some(hint => hint.includes(`addWritePerm -b 'a; rm -rf \\u202e$(x)' makes`)))
})

test('the pages of a topic show what clients get: the order configuration, and the brokers of their zone', async t => {
  const server = await TestServer.open(t, { orderMessageEnable: true })
  await server.register({ zone: 'north' })
  await server.register({ name: 'b', zone: 'south', from: '10.0.0.2' })
  await server.admin.call(PUT_KV_CONFIG, { header: order('a:8;b:8') })
  assert.match(await server.page('T'), /"brokerName":"a".*"brokerName":"b".*"orderTopicConf":"a:8;b:8"/)
  const south = await server.page('T?zone=south')
  assert.match(south, /"brokerName":"b"/)
  assert.doesNotMatch(south, /"brokerName":"a"/)
  assert.match(await server.page('T/why?zone=west'), /"code":"OTHER_ZONE"/)
  assert.match(await server.page('T?region=west'), /"code":"BAD_QUERY"/)
})

test('hostile queries of the pages of a topic are refused, or change nothing but the zone', async t => {
  const server = await TestServer.open(t)
  await server.register()
  const page = await server.page('T/why')
  const same = ['?', '?zone=', '?zone=%20', '?#', `?zone=&`]
  for (const query of same) assert.equal(await server.page(`T/why${query}`), page, query)
  const refused = ['?zone=a&zone=b', '?Zone=a', '?__proto__=1', '?zone[]=a', '?%00', `?${'x'.repeat(1900)}`, '?limit=1']
  for (const query of refused) assert.match(await server.page(`T/why${query}`), /^{"code":"BAD_QUERY"/, query)
  const zones = [
    '%00',
    '%1b[2J',
    '%E2%80%AE',
    '%FF',
    '<script>',
    "'%22`$(x)",
    'x'.repeat(1900),
    'constructor',
    '__proto__',
  ]
  for (const zone of zones) {
    const text = await server.page(`T/why?zone=${zone}`)
    assert.equal(JSON.parse(text).code, 'OTHER_ZONE', zone)
    assert.equal(printable(text.trimEnd()), text.trimEnd(), zone)
  }
  for (const topic of [
    '%00',
    '%E2%80%AE',
    '%0aT',
    '<script>',
    'x'.repeat(1900),
    '__proto__',
    'constructor',
    '%25RETRY%25',
  ]) {
    const text = await server.page(`${topic}/why`)
    assert.match(JSON.parse(text).code, /^(?:BAD_NAME|NOT_REGISTERED)$/, topic)
    assert.equal(printable(text.trimEnd()), text.trimEnd(), topic)
  }
})

test('a broker with an address that no client can use is a warning in the log at its first registration', async t => {
  const warnings: unknown[] = []
  const log = { ...silent, warn: (fields: object, text: string) => void warnings.push([text, fields]) }
  const server = await TestServer.open(t, { log })
  const on = await server.register({ addr: 'null:10911' })
  await server.register({ addr: 'null:10911', on })
  await server.register({ name: 'b', addr: '172.17.0.2:10911' })
  const why = 'the address has no host; set brokerIP1 in broker.conf'
  const fields = { cluster: 'C', brokerName: 'a', brokerAddr: 'null:10911', why }
  assert.deepEqual(warnings, [['clients cannot reach this broker', fields]])
})

test('docs/operations.md has a row for each code, and each code a case in a test', () => {
  const document = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
  const chapter = document.split('\n## ').find(each => each.startsWith('Why a topic does not work')) ?? ''
  assert.deepEqual(
    Array.from(chapter.matchAll(/^\| `(\w+)` \|/gm), ([, code]) => code),
    [...diagnosisCodes],
  )
  assert.deepEqual(new Set(CASES.map(({ code }) => code)), new Set(diagnosisCodes))
})
