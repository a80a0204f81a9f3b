import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
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
}

/** Starts our `mqbroker` with a configuration file in Apache's format, and waits until its name servers know it. */
export async function startOurBroker(
  owner: Owner,
  start: BrokerStart,
  { path = sources, nodeFlags = [] }: OurProgram = {},
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
  const environment = { ...process.env, HOME: folder, ROCKETMQ_HOME: folder }
  const flags = start.flags ?? []
  const launch = async () =>
    new LaunchedProgram('mqbroker', process.execPath, [...nodeFlags, path, '-c', file, ...flags], environment)
  return serve(owner, { port, folder, launch, isReady, deadlineMs: READY_DEADLINE_MS })
}
