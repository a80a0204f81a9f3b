import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { classPath, type Release } from './apache.ts'
import { LaunchedProgram, type Owner } from './launched-program.ts'
import { freeBrokerPort, freePort } from './ports.ts'
import { brokersOf, connectRaw } from '../wire/raw-connection.ts'

/** Lines of a Java properties file. */
export type Properties = Readonly<Record<string, string | number | boolean>>

const SERVER_HEAP = '192m'
const PROGRAM_HEAP = '96m'
const READY_DEADLINE_MS = 60_000
const POLL_MS = 100
const BROKER_READY_DEADLINE_MS = 180_000

// The --add-* flags are those of Apache's start scripts; the store needs them on Java 17. These processes run for seconds on
// few cores, so the serial collector and the first compiler are enough.
const JVM_FLAGS = [
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-XX:-UsePerfData',
  // 4.9 writes its files in the encoding of the locale; ASCII would lose letters.
  '-Dfile.encoding=UTF-8',
  // The default equals the heap, but each thread of a broker that stores messages keeps 4 MB of direct memory.
  '-XX:MaxDirectMemorySize=1g',
  '--add-opens=java.base/java.nio=ALL-UNNAMED',
  '--add-opens=java.base/sun.nio.ch=ALL-UNNAMED',
  '--add-opens=java.base/java.lang=ALL-UNNAMED',
  '--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED',
  '--add-exports=java.base/sun.nio.ch=ALL-UNNAMED',
]

/** Creates a folder that is deleted when its owner has finished. */
export async function temporaryFolder(owner: Owner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-interop-'))
  owner.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/** Texts of files, by path. */
export type Files = Readonly<Record<string, string>>

async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
}

export function propertiesText(properties: Properties): string {
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

const logFile = (folder: string) => join(folder, 'server.log')

/** Writes the logback files: 4.9 does not start without them, and 5.x is given the path of one. */
async function writeLogSettings(folder: string): Promise<void> {
  await mkdir(join(folder, 'conf'), { recursive: true })
  const settings = `<configuration><appender name="file" class="ch.qos.logback.core.FileAppender">
<file>${logFile(folder)}</file><encoder><pattern>%d %p %c - %m%n</pattern></encoder></appender>
<root level="INFO"><appender-ref ref="file"/></root></configuration>
`
  for (const name of ['namesrv', 'broker', 'tools']) {
    await writeFile(join(folder, 'conf', `logback_${name}.xml`), settings)
  }
}

interface JavaOptions {
  readonly heap: string
  readonly folder: string
  readonly flags?: readonly string[] | undefined
}

async function launchJava(release: Release, mainClass: string, args: readonly string[], options: JavaOptions) {
  const { folder, heap, flags = [] } = options
  await writeLogSettings(folder)
  const system = [
    `-Duser.home=${folder}`,
    `-Drocketmq.home.dir=${folder}`,
    `-Drmq.logback.configurationFile=${join(folder, 'conf', 'logback_broker.xml')}`,
    `-Drocketmq.client.logRoot=${folder}`,
    // A killed process leaves its native libraries there: 12 MB for RocksDB.
    `-Djava.io.tmpdir=${folder}`,
  ]
  const java = [`-Xmx${heap}`, ...JVM_FLAGS, ...system, ...flags, '-cp', await classPath(release), 'Launched']
  const environment = { ...process.env, ROCKETMQ_HOME: folder }
  // mqadmin writes the stacks of consumers to its working folder.
  const surroundings = { env: environment, cwd: folder }
  return new LaunchedProgram(`Apache ${release} ${mainClass}`, 'java', [...java, mainClass, ...args], surroundings)
}

/** Polls until a program is ready. @throws with its output and log if it exits or the time passes first */
async function until(
  ready: () => Promise<boolean>,
  ms: number,
  program: LaunchedProgram,
  folder: string,
): Promise<void> {
  const end = Date.now() + ms
  while (!(await ready())) {
    if (program.hasEnded)
      throw new Error(`${program.what} ended before it was ready:\n${await recentLog(program, folder)}`)
    if (Date.now() > end)
      throw new Error(`${program.what} was not ready in ${ms} ms:\n${await recentLog(program, folder)}`)
    await delay(POLL_MS)
  }
}

function logOf(folder: string): Promise<string> {
  return readFile(logFile(folder), 'utf8').catch(() => '')
}

async function recentLog(program: LaunchedProgram, folder: string): Promise<string> {
  const log = await logOf(folder)
  return `${program.tail()}\n--- log\n${log.split('\n').slice(-60).join('\n')}`
}

/** Whether a server listens on a port of this machine. */
export async function listens(port: number): Promise<boolean> {
  try {
    const connection = await connectRaw(port)
    connection.destroy()
    return true
  } catch {
    return false
  }
}

/** A name server that runs for a test, in this process or in one of its own. */
export interface RunningNameServer {
  readonly port: number
  /** Ends it without warning. */
  kill(): Promise<void>
  /** Starts it again with the same port, settings and files. */
  restart(): Promise<void>
}

/** A server that the suites started in a process of its own. */
export interface LaunchedServer extends RunningNameServer {
  /** `127.0.0.1:port`. */
  readonly address: string
  readonly folder: string
  /** Of the process that runs now. */
  readonly pid: number
  stop(): Promise<void>
  /** The last lines of its output and its log. */
  recentLog(): Promise<string>
  /** All of its output and its log. */
  wholeLog(): Promise<string>
}

/** How to start a server, the first time and each time again. */
export interface ServerStart {
  readonly port: number
  readonly folder: string
  readonly launch: () => Promise<LaunchedProgram>
  readonly isReady: () => Promise<boolean>
  readonly deadlineMs: number
}

/** Launches a server and waits until it is ready. It is killed when its owner has finished. */
export async function serve(owner: Owner, start: ServerStart): Promise<LaunchedServer> {
  const { port, folder } = start
  const launchAndWait = async () => {
    const program = await start.launch()
    await until(start.isReady, start.deadlineMs, program, folder).catch(async (error: unknown) => {
      await program.kill()
      throw error
    })
    return program
  }
  let program = await launchAndWait()
  // Killed, not stopped: an orderly stop takes seconds and no test needs it.
  owner.after(() => program.kill())
  return {
    port,
    folder,
    address: `127.0.0.1:${port}`,
    get pid() {
      return program.pid ?? 0
    },
    kill: () => program.kill(),
    stop: () => program.stop(),
    restart: async () => void (program = await launchAndWait()),
    recentLog: () => recentLog(program, folder),
    wholeLog: async () => `${program.output}\n${await logOf(folder)}`,
  }
}

const START_TRIES = 3

/** Starts a server, and tries another port if another process took the port while Java was starting. */
async function startOnFreePort(start: () => Promise<LaunchedServer>): Promise<LaunchedServer> {
  for (let left = START_TRIES - 1; ; left--) {
    try {
      return await start()
    } catch (error) {
      if (left === 0 || !String(error).includes('Address already in use')) throw error
    }
  }
}

/** A free port, and a new folder with a configuration file of a name server that listens there. */
export async function nameServerFiles(owner: Owner, properties: Properties) {
  const folder = await temporaryFolder(owner)
  const port = await freePort()
  const file = join(folder, 'namesrv.conf')
  const own = { listenPort: port, rocketmqHome: folder, kvConfigPath: join(folder, 'kvConfig.json') }
  await writeFile(file, propertiesText({ ...own, ...properties }))
  return { folder, port, file }
}

/** Starts a name server of Apache and waits until it listens. */
export function startApacheNameServer(
  owner: Owner,
  release: Release,
  properties: Properties = {},
  flags: readonly string[] = [],
): Promise<LaunchedServer> {
  return startOnFreePort(() => startNameServer(owner, release, properties, flags))
}

async function startNameServer(
  owner: Owner,
  release: Release,
  properties: Properties,
  flags: readonly string[],
): Promise<LaunchedServer> {
  const { folder, port, file } = await nameServerFiles(owner, properties)
  const launch = () =>
    launchJava(release, 'org.apache.rocketmq.namesrv.NamesrvStartup', ['-c', file], {
      heap: SERVER_HEAP,
      folder,
      flags,
    })
  return serve(owner, { port, folder, launch, isReady: () => listens(port), deadlineMs: READY_DEADLINE_MS })
}

/** The settings of a broker to start. */
export interface BrokerStart {
  readonly release: Release
  /** `ip:port` of each name server. */
  readonly nameServers: readonly string[]
  readonly name: string
  /** The broker id. Default 0, a master. */
  readonly id?: number
  readonly properties?: Properties
  /** Ports of the name servers that must know the broker before it counts as ready. Default: those of `nameServers`. */
  readonly knownAt?: readonly number[]
  readonly flags?: readonly string[]
  /** Files to write into its home folder, `conf/plain_acl.yml` for example. */
  readonly files?: Files
  /** Its home folder, whose store it continues. Default: an empty one. */
  readonly folder?: string
}

/** Settings that keep an idle 5.5.0 broker from using a whole core. 4.9 does not know these names. */
const IDLE_SETTINGS: Properties = {
  // During the first interval, by default 10 s, the broker waits in a busy loop.
  transactionMetricFlushInterval: 500,
  // Each flush writes the whole timer wheel, 40 MB; the default is one flush a second.
  timerFlushIntervalMs: 60_000,
}

/** The configuration of a broker for a test. */
export function brokerProperties(start: BrokerStart, port: number, folder: string): Properties {
  const store = join(folder, 'store')
  return {
    brokerClusterName: 'DefaultCluster',
    brokerName: start.name,
    brokerId: start.id ?? 0,
    brokerRole: start.id ? 'SLAVE' : 'ASYNC_MASTER',
    brokerIP1: '127.0.0.1',
    brokerIP2: '127.0.0.1',
    listenPort: port,
    haListenPort: port + 1,
    namesrvAddr: start.nameServers.join(';'),
    storePathRootDir: store,
    storePathCommitLog: join(store, 'commitlog'),
    mappedFileSizeCommitLog: 16 * 1024 * 1024,
    mappedFileSizeConsumeQueue: 600_000,
    diskMaxUsedSpaceRatio: 98,
    flushDiskType: 'ASYNC_FLUSH',
    ...IDLE_SETTINGS,
    ...start.properties,
  }
}

/** Starts a broker of Apache and waits until its name servers know it. */
export function startApacheBroker(owner: Owner, start: BrokerStart): Promise<LaunchedServer> {
  return startOnFreePort(() => startBroker(owner, start))
}

async function startBroker(owner: Owner, start: BrokerStart): Promise<LaunchedServer> {
  const folder = start.folder ?? (await temporaryFolder(owner))
  const port = await freeBrokerPort()
  const file = join(folder, 'broker.conf')
  await writeFile(file, propertiesText(brokerProperties(start, port, folder)))
  await writeFiles(folder, start.files ?? {})
  const knownAt = start.knownAt ?? start.nameServers.map(address => Number(address.split(':')[1]))
  const isReady = async () => {
    for (const nameServer of knownAt) if (!(await brokersOf(nameServer)).includes(`127.0.0.1:${port}`)) return false
    return true
  }
  const launch = () =>
    launchJava(start.release, 'org.apache.rocketmq.broker.BrokerStartup', ['-c', file], {
      heap: SERVER_HEAP,
      folder,
      flags: start.flags,
    })
  return serve(owner, { port, folder, launch, isReady, deadlineMs: BROKER_READY_DEADLINE_MS })
}

/**
 * How often consumers rebalance, milliseconds; the default is 20 s. The first rebalance has no effect if another heartbeat is under
 * way, if a broker or a route is not known yet, or if ServiceThread.waitForRunning resets the signal that was just given.
 */
const REBALANCE_OFTEN = '-Drocketmq.client.rebalance.waitInterval=1000'

/** Starts one of the Java programs of `interop/java` with the client of a release. */
export async function startProgram(
  owner: Owner,
  release: Release,
  mainClass: 'Produce' | 'Consume' | 'JavaClient' | 'JsonBodies' | 'Bodies',
  args: readonly (string | number)[],
  flags: readonly string[] = [],
): Promise<LaunchedProgram> {
  const folder = await temporaryFolder(owner)
  const own = [...flags, REBALANCE_OFTEN]
  const program = await launchJava(release, mainClass, args.map(String), { heap: PROGRAM_HEAP, folder, flags: own })
  owner.after(() => program.kill())
  return program
}

const ADMIN_DEADLINE_MS = 120_000

/**
 * Runs mqadmin commands one after the other in one JVM. Returns the output of each, errors included.
 * @param files Files to write into its home folder, `conf/tools.yml` for example.
 */
export async function runMqadmin(
  owner: Owner,
  release: Release,
  commands: readonly (readonly string[])[],
  { flags = [], files = {} }: { readonly flags?: readonly string[]; readonly files?: Files } = {},
): Promise<string[]> {
  const folder = await temporaryFolder(owner)
  await writeFiles(folder, files)
  const args = commands.flatMap((command, index) => (index === 0 ? command : ['then', ...command]))
  const program = await launchJava(release, 'Admin', args, { heap: PROGRAM_HEAP, folder, flags })
  owner.after(() => program.kill())
  await program.ends(ADMIN_DEADLINE_MS)
  const outputs = program.output.split('\n<end>\n').slice(0, -1)
  if (outputs.length !== commands.length)
    throw new Error(`mqadmin ran only ${outputs.length} of ${commands.length} commands:\n${program.tail()}`)
  return outputs
}
