import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Broker, type BrokerStartOptions } from '@gantrymq/broker'
import { brokersOf } from '../wire/raw-connection.ts'
import { LaunchedProgram, type Owner } from './launched-program.ts'
import {
  type BrokerStart,
  brokerProperties,
  type LaunchedServer,
  propertiesText,
  serve,
  temporaryFolder,
} from './launcher.ts'
import { freeBrokerPort } from './ports.ts'

const sources = join(import.meta.dirname, '..', '..', '..', 'packages', 'gantrymq', 'src', 'bin', 'mqbroker.ts')
const READY_DEADLINE_MS = 60_000

/** The program to start; by default `mqbroker` from its sources. */
export interface OurProgram {
  readonly path?: string
  readonly nodeFlags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

/** Starts our `mqbroker` with a configuration file in Apache's format, and waits until its name servers know it. */
export async function startOurBroker(
  owner: Owner,
  start: BrokerStart,
  { path = sources, nodeFlags = [], environment = {} }: OurProgram = {},
): Promise<LaunchedServer> {
  const folder = start.folder ?? (await temporaryFolder(owner))
  const port = await freeBrokerPort()
  const file = join(folder, 'broker.conf')
  await writeFile(file, propertiesText(brokerProperties(start, port, folder)))
  const knownAt = start.knownAt ?? start.nameServers.map(address => Number(address.split(':')[1]))
  const isReady = async () => {
    for (const nameServer of knownAt) if (!(await brokersOf(nameServer)).includes(`127.0.0.1:${port}`)) return false
    return true
  }
  const env = { ...process.env, ...environment, HOME: folder, ROCKETMQ_HOME: folder }
  const flags = start.flags ?? []
  const launch = async () =>
    new LaunchedProgram('mqbroker', process.execPath, [...nodeFlags, path, '-c', file, ...flags], { env })
  return serve(owner, { port, folder, launch, isReady, deadlineMs: READY_DEADLINE_MS })
}

/** Starts a broker in this process that keeps everything in memory. It cannot be restarted. */
export async function startOurBrokerInMemory(owner: Owner, start: BrokerStart): Promise<LaunchedServer> {
  const host = '127.0.0.1'
  const broker = await Broker.start({
    ...(start.properties as BrokerStartOptions | undefined),
    storePathRootDir: null,
    host,
    port: await freeBrokerPort(),
    brokerIP1: host,
    brokerName: start.name,
    namesrvAddr: start.nameServers.join(';'),
  })
  owner.after(() => broker.close())
  const { port } = broker.address
  return {
    port,
    folder: '',
    address: `${host}:${port}`,
    pid: process.pid,
    kill: () => broker.close(),
    stop: () => broker.close(),
    restart: () => Promise.reject(new Error('a broker in memory forgets everything when it ends')),
    recentLog: () => Promise.resolve(''),
    wholeLog: () => Promise.resolve(''),
  }
}
