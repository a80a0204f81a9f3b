/**
 * `npm run -w interop capture`: writes the golden frames in packages/testkit/golden, that is, what brokers, clients and
 * mqadmin of both release lines send to name servers of both lines, and what those answer. Also writes the golden bodies of
 * Java's classes in packages/protocol/test/golden. `capture client` writes one role only; everything takes minutes.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { clientBodySamples } from '@gantrymq/testkit'
import { RELEASES, type Release, skipReason } from './launch/apache.ts'
import type { Owner } from './launch/launched-program.ts'
import { throughJava } from './requests/json-bodies.ts'
import {
  type LaunchedServer,
  type BrokerStart,
  runMqadmin,
  startApacheBroker,
  startApacheNameServer,
  startProgram,
} from './launch/launcher.ts'
import { type RecordedExchange, Recorder } from './recorder.ts'
import { signingBroker, signingMqadmin } from './launch/signing.ts'
import { REQUEST_NAMES } from './request-names.ts'

const goldenFolder = join(import.meta.dirname, '..', '..', 'packages', 'testkit', 'golden')
const BINARY = ['-Drocketmq.serialize.type=ROCKETMQ']
const ANSWERS_LAG_MS = 500
const PROGRAM_DEADLINE_MS = 60_000

/** Closes what was opened, the newest first. */
class Session implements Owner {
  readonly #closes: (() => Promise<void>)[] = []

  after(close: () => Promise<void>): void {
    this.#closes.push(close)
  }

  async end(): Promise<void> {
    for (const close of this.#closes.splice(0).toReversed()) await close()
  }
}

async function inSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
  const session = new Session()
  try {
    return await work(session)
  } finally {
    await session.end()
  }
}

interface Golden {
  readonly name: string
  readonly scenario: string
  readonly request: string
  readonly answer: string | null
}

/** Exchanges of the same kind have the same request in the same form with the same result; one of each is kept. */
function kindOf({ request, answer }: RecordedExchange): string {
  const fields = Object.keys(request.extFields ?? {}).toSorted()
  const form = [request.code, request.serializeType, request.flag, request.body !== null, fields]
  return JSON.stringify([form, answer?.code, answer?.body === null, Object.keys(answer?.extFields ?? {})])
}

const UNKNOWN_TO_4_9 = [217, 901, 904]

/** False if the sender closed the connection before the answer came. */
function isWhole({ request, answer }: RecordedExchange): boolean {
  const isOneway = (request.flag & 2) === 2
  return answer !== undefined || isOneway || UNKNOWN_TO_4_9.includes(request.code)
}

function distinct(scenario: string, exchanges: readonly RecordedExchange[]): Golden[] {
  const kinds = new Map<string, RecordedExchange>()
  for (const exchange of exchanges.filter(isWhole))
    if (!kinds.has(kindOf(exchange))) kinds.set(kindOf(exchange), exchange)
  return [...kinds.values()].map(({ request, answer }) => ({
    name: REQUEST_NAMES[request.code] ?? String(request.code),
    scenario,
    request: request.bytes.toString('hex'),
    answer: answer ? answer.bytes.toString('hex') : null,
  }))
}

type RecordedScenario = (recorder: Recorder, session: Session) => Promise<void>

async function record(server: LaunchedServer, scenario: string, run: RecordedScenario): Promise<Golden[]> {
  console.log(`  ${scenario}`)
  return inSession(async session => {
    const recorder = await Recorder.start(session, server.port)
    await run(recorder, session)
    await delay(ANSWERS_LAG_MS)
    return distinct(scenario, recorder.exchanges)
  })
}

async function recordBrokers(sender: Release, server: LaunchedServer): Promise<Golden[]> {
  const start = (recorder: Recorder, name: string, more: Partial<BrokerStart> = {}): BrokerStart => ({
    release: sender,
    nameServers: [recorder.address],
    name: `golden-${name}`,
    knownAt: [server.port],
    ...more,
  })
  const runBroker = (name: string, more: Partial<BrokerStart> = {}): RecordedScenario => {
    return async (recorder, session) => {
      const broker = await startApacheBroker(session, start(recorder, name, more))
      await runMqadmin(session, sender, [
        ['updateTopic', '-n', server.address, '-b', broker.address, '-t', `topic-${name}`],
      ])
      await broker.stop()
    }
  }
  const exchanges = [
    await record(server, 'a master', runBroker('a')),
    await record(server, 'a master and its slave', async (recorder, session) => {
      await startApacheBroker(session, start(recorder, 'b'))
      const slave = await startApacheBroker(session, start(recorder, 'b', { id: 1 }))
      await slave.stop()
    }),
    await record(
      server,
      'a master that asks before it registers',
      runBroker('c', { properties: { forceRegister: false } }),
    ),
    await record(server, 'a master with binary headers', runBroker('d', { flags: BINARY })),
    // A 5.x broker sends a compressed body but declares it uncompressed, and a 4.9 server cannot read the body of 5.x at all.
    await record(server, 'a master that compresses its registration', (recorder, session) =>
      startApacheBroker(session, start(recorder, 'e', { properties: { compressedRegister: true }, knownAt: [] })).then(
        async broker => {
          await delay(5_000)
          await broker.stop()
        },
      ),
    ),
  ]
  if (sender.startsWith('5.')) exchanges.push(...(await actingMasters(server, runBroker)))
  return exchanges.flat()
}

type BrokerScenario = (name: string, more: Partial<BrokerStart>) => RecordedScenario

async function actingMasters(server: LaunchedServer, runBroker: BrokerScenario): Promise<Golden[][]> {
  const acting = { enableSlaveActingMaster: true }
  return [
    await record(server, 'a master of an acting-master group', runBroker('f', { properties: acting })),
    await record(
      server,
      'a master of an acting-master group, 5.x servers only',
      runBroker('g', { properties: { ...acting, compatibleWithOldNameSrv: false } }),
    ),
    await record(
      server,
      'a master that registers single topics',
      runBroker('h', { properties: { enableSingleTopicRegister: true } }),
    ),
    await record(server, 'a master in a zone', runBroker('i', { flags: ZONE })),
  ]
}

const ZONE = ['-Drocketmq.zone=zone-1']

async function recordClients(sender: Release, server: LaunchedServer): Promise<Golden[]> {
  const topic = 'golden-client'
  const startBroker = async (session: Session, name: string, flags: readonly string[]) => {
    const broker = await startApacheBroker(session, { release: sender, nameServers: [server.address], name, flags })
    await runMqadmin(session, sender, [['updateTopic', '-n', server.address, '-b', broker.address, '-t', topic]])
  }
  const run = (flags: readonly string[]): RecordedScenario => {
    return async (recorder, session) => {
      const produce = await startProgram(session, sender, 'Produce', [recorder.address, topic, 3, 0, 'golden'], flags)
      await produce.succeeds(PROGRAM_DEADLINE_MS)
      const args = [recorder.address, topic, 'golden-group', 3, 10, 'golden']
      const consume = await startProgram(session, sender, 'Consume', args, flags)
      await consume.succeeds(PROGRAM_DEADLINE_MS)
    }
  }
  return inSession(async session => {
    await startBroker(session, 'golden-k', [])
    const everywhere = [
      await record(server, 'a producer and a consumer', run([])),
      await record(server, 'a producer and a consumer with binary headers', run(BINARY)),
    ]
    await startBroker(session, 'golden-z', ZONE)
    const inZone = await record(
      server,
      'a producer and a consumer in a zone',
      run([...ZONE, '-Drocketmq.zone.mode=true']),
    )
    return [...everywhere.flat(), ...inZone]
  })
}

const NAMESPACE = ['-s', 'golden-namespace', '-k', 'key']

function adminCommands(nameServer: string, broker: string): string[][] {
  const commands = [
    ['clusterList'],
    ['updateTopic', '-c', 'DefaultCluster', '-t', 'golden-admin', '-o', 'true'],
    ['topicList'],
    ['topicList', '-c'],
    ['topicRoute', '-t', 'golden-admin'],
    ['topicRoute', '-t', 'golden-nowhere'],
    ['topicClusterList', '-t', 'golden-admin'],
    ['updateOrderConf', '-t', 'golden-admin', '-m', 'get'],
    ['updateKvConfig', ...NAMESPACE, '-v', 'value'],
    ['deleteKvConfig', ...NAMESPACE],
    ['getNamesrvConfig'],
    ['updateNamesrvConfig', '-k', 'productEnvName', '-v', 'golden'],
    ['updateNamesrvConfig', '-k', 'kvConfigPath', '-v', '/tmp/golden'],
    ['wipeWritePerm', '-b', 'golden-k'],
    ['addWritePerm', '-b', 'golden-k'],
    ['brokerStatus', '-b', broker],
    ['deleteTopic', '-c', 'DefaultCluster', '-t', 'golden-admin'],
  ]
  return commands.map(([name = '', ...args]) => [name, '-n', nameServer, ...args])
}

async function recordMqadmin(sender: Release, server: LaunchedServer): Promise<Golden[]> {
  return inSession(async session => {
    const broker = await startApacheBroker(session, {
      release: sender,
      nameServers: [server.address],
      name: 'golden-k',
    })
    const run = (flags: readonly string[]): RecordedScenario => {
      return async (recorder, inner) =>
        void (await runMqadmin(inner, sender, adminCommands(recorder.address, broker.address), { flags }))
    }
    return [
      await record(server, 'mqadmin', run([])),
      await record(server, 'mqadmin with binary headers', run(BINARY)),
    ].flat()
  })
}

const roles = { broker: recordBrokers, client: recordClients, mqadmin: recordMqadmin }

type RecordedRole = keyof typeof roles

async function capture(role: RecordedRole, sender: Release, release: Release): Promise<void> {
  await inSession(async session => {
    console.log(`${role} ${sender} to name server ${release}`)
    const server = await startApacheNameServer(session, release)
    const exchanges = await roles[role](sender, server)
    const file = join(goldenFolder, `${role}-${sender}-to-${release}.json`)
    await writeFile(file, `${JSON.stringify({ role, sender, server: release, exchanges }, null, 1)}\n`)
  })
}

const SIGNER = { accessKey: 'golden-account', secretKey: 'golden-secret' }

interface GoldenSigned {
  readonly name: string
  readonly sender: string
  readonly frame: string
}

/** Writes what brokers and mqadmin send to a name server when they sign; brokers of 4.9 cannot. */
async function captureSigned(): Promise<void> {
  await inSession(async session => {
    console.log('signed requests')
    const server = await startApacheNameServer(session, '5.5.0')
    const signed: GoldenSigned[] = []
    const keep = (sender: string, exchanges: readonly Golden[]) => {
      for (const { name, request } of exchanges) signed.push({ name, sender, frame: request })
    }
    for (const flags of [[], BINARY]) {
      const brokerAtWork: RecordedScenario = async (recorder, inner) => {
        const broker = await startApacheBroker(inner, {
          release: '5.5.0',
          nameServers: [recorder.address],
          knownAt: [server.port],
          name: 'golden-signed',
          properties: { ...signingBroker(SIGNER), forceRegister: false, enableSlaveActingMaster: true },
          flags,
        })
        await broker.stop()
      }
      keep('broker 5.5.0', await record(server, 'a broker that signs', brokerAtWork))
      for (const release of RELEASES) {
        const commands = (address: string) => [
          ['updateKvConfig', '-n', address, ...NAMESPACE, '-v', 'value'],
          ['deleteKvConfig', '-n', address, ...NAMESPACE],
          ['updateNamesrvConfig', '-n', address, '-k', 'productEnvName', '-v', 'golden'],
        ]
        const administration: RecordedScenario = async (recorder, inner) =>
          void (await runMqadmin(inner, release, commands(recorder.address), { flags, files: signingMqadmin(SIGNER) }))
        keep(`mqadmin ${release}`, await record(server, `mqadmin ${release} that signs`, administration))
      }
    }
    await mkdir(join(goldenFolder, 'signed'), { recursive: true })
    const text = `${JSON.stringify({ ...SIGNER, requests: signed }, null, 1)}\n`
    await writeFile(join(goldenFolder, 'signed', 'apache.json'), text)
  })
}

const bodiesFolder = join(import.meta.dirname, '..', '..', 'packages', 'protocol', 'test', 'golden')

async function captureBodies(release: Release): Promise<void> {
  await inSession(async session => {
    console.log(`bodies ${release}`)
    const samples = clientBodySamples.filter(({ releases }) => releases.includes(release))
    const bodies = await throughJava(session, release, samples)
    for (const [at, { name }] of samples.entries()) {
      const bytes = bodies[at]
      if (bytes) await writeFile(join(bodiesFolder, release, `${name}.json`), bytes)
    }
  })
}

function chosenRoles(names: readonly string[]): RecordedRole[] {
  const all: RecordedRole[] = ['broker', 'client', 'mqadmin']
  return names.length === 0 ? all : all.filter(role => names.includes(role))
}

const skip = await skipReason()
if (skip) {
  console.error(`captured nothing: ${skip}`)
  process.exit(1)
}
await mkdir(goldenFolder, { recursive: true })
const chosen = process.argv.slice(2)
if (chosen.length === 0 || chosen.includes('bodies')) for (const release of RELEASES) await captureBodies(release)
if (chosen.length === 0 || chosen.includes('signed')) await captureSigned()
for (const role of chosenRoles(chosen)) {
  for (const release of RELEASES) for (const sender of RELEASES) await capture(role, sender, release)
}
