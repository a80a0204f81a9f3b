import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Release, skipReason } from '../../interop/src/launch/apache.ts'
import type { Owner } from '../../interop/src/launch/launched-program.ts'
import {
  type BrokerStart,
  type LaunchedServer,
  type Properties,
  startApacheBroker,
  temporaryFolder,
} from '../../interop/src/launch/launcher.ts'
import { type OurProgram, startOurBroker } from '../../interop/src/launch/our-broker.ts'
import { publishedProgram, startEnvironment, startFlags } from '../harness/published.ts'
import type { Setting } from './cases.ts'

export type BrokerName = 'ours' | 'apache-4.9.7' | 'apache-5.5.0'

export const brokerNames: readonly BrokerName[] = ['ours', 'apache-4.9.7', 'apache-5.5.0']

/** How reports name the brokers. */
export const brokerTitles: Readonly<Record<BrokerName, string>> = {
  ours: 'Gantry',
  'apache-4.9.7': 'Apache 4.9.7',
  'apache-5.5.0': 'Apache 5.5.0',
}

/** A topic, and its number of queues. */
export interface Topic {
  readonly name: string
  readonly queues: number
}

/** How to start a broker. */
export interface Start {
  readonly nameServer: string
  readonly setting: Setting
  readonly topics: readonly Topic[]
  /** Folder for a .cpuprofile, which Node writes when the broker ends. Ignored for Apache. */
  readonly profileTo?: string | undefined
}

/** A broker that can be measured. */
export interface Subject {
  readonly name: BrokerName
  start(owner: Owner, start: Start): Promise<LaunchedServer>
}

// The JVM flags of the launcher are for tests that run for seconds; these undo them. The heap is that of a small broker; all else is
// Apache's default.
export const jvmFlags: readonly string[] = [
  '-XX:-UseSerialGC',
  '-XX:+UseG1GC',
  '-XX:TieredStopAtLevel=4',
  '-XX:MaxDirectMemorySize=2g',
  '-Xms2g',
  '-Xmx2g',
]

/** The sizes of Apache's defaults. The launcher sets smaller ones for tests. */
export function brokerProperties({ flush }: Setting): Properties {
  return {
    flushDiskType: flush,
    mappedFileSizeCommitLog: 2 ** 30,
    mappedFileSizeConsumeQueue: 300_000 * 20,
    autoCreateTopicEnable: true,
    // By default a broker refuses a message that has waited 200 ms. On a busy machine that would measure the machine.
    waitTimeMillsInSendQueue: 2_000,
  }
}

/** A topic table in the form of both release lines. Topics are made this way because creating one by one takes minutes. */
function topicsJson(topics: readonly Topic[]): string {
  const table = topics.map(({ name, queues }) => [
    name,
    {
      attributes: {},
      order: false,
      perm: 6,
      readQueueNums: queues,
      topicFilterType: 'SINGLE_TAG',
      topicName: name,
      topicSysFlag: 0,
      writeQueueNums: queues,
    },
  ])
  const dataVersion = { counter: 1, stateVersion: 0, timestamp: 1_700_000_000_000 }
  return JSON.stringify({ dataVersion, topicConfigTable: Object.fromEntries(table) as unknown })
}

/** A new folder whose store has the topics. */
async function prepareFolder(owner: Owner, topics: readonly Topic[]): Promise<string> {
  const folder = await temporaryFolder(owner)
  const config = join(folder, 'store', 'config')
  await mkdir(config, { recursive: true })
  await writeFile(join(config, 'topics.json'), topicsJson(topics))
  return folder
}

async function brokerStart(
  owner: Owner,
  { nameServer, setting, topics }: Start,
  release: Release,
): Promise<BrokerStart> {
  const folder = await prepareFolder(owner, topics)
  return { release, nameServers: [nameServer], name: 'bench', properties: brokerProperties(setting), folder }
}

function apache(release: Release): Subject {
  return {
    name: `apache-${release}`,
    start: async (owner, start) =>
      startApacheBroker(owner, { ...(await brokerStart(owner, start, release)), flags: jvmFlags }),
  }
}

/** Our broker, compiled as it is published. */
async function ours(): Promise<Subject> {
  const path = await publishedProgram('mqbroker')
  return {
    name: 'ours',
    start: async (owner, start) => {
      const profile = start.profileTo === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${start.profileTo}`]
      const nodeFlags = [...startFlags('mqbroker'), ...profile]
      const program: OurProgram = { path, nodeFlags, environment: startEnvironment('mqbroker') }
      return startOurBroker(owner, await brokerStart(owner, start, '5.5.0'), program)
    },
  }
}

export interface FoundSubjects {
  readonly subjects: readonly Subject[]
  /** Why the others cannot run. */
  readonly missing: readonly string[]
}

/** Finds the named brokers that can run on this machine. */
export async function findBrokers(names: readonly BrokerName[]): Promise<FoundSubjects> {
  const subjects: Subject[] = names.includes('ours') ? [await ours()] : []
  const releases = (['4.9.7', '5.5.0'] as const).filter(release => names.includes(`apache-${release}`))
  const reason = releases.length > 0 ? await skipReason() : false
  if (reason !== false) return { subjects, missing: [`Apache's brokers: ${reason}`] }
  return { subjects: [...subjects, ...releases.map(apache)], missing: [] }
}
