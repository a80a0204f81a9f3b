import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Release } from '../../interop/src/launch/apache.ts'
import { LaunchedProgram, type Owner } from '../../interop/src/launch/launched-program.ts'
import { startApacheBroker, startApacheNameServer, temporaryFolder } from '../../interop/src/launch/launcher.ts'
import { freeBrokerPort, freePort } from '../../interop/src/launch/ports.ts'
import { closer } from '../harness/closer.ts'
import { rssMbOf } from '../harness/process-stats.ts'
import { publishedProgram, startEnvironment, startFlags } from '../harness/published.ts'
import { median } from '../harness/rounds.ts'
import { type BrokerName, brokerProperties, jvmFlags } from './brokers.ts'
import { firstMessage } from './first-message.ts'

/** The start of a name server and a broker. */
export interface Start {
  /** From spawning the first process to the first message that the broker accepts, milliseconds; the median of several starts. */
  readonly startMs: number
  /** Of all processes together, a second later. */
  readonly rssMb: number
}

const IDLE_MS = 1_000
const DEADLINE_MS = 60_000
const TOPIC = 'bench-first'

interface Started {
  readonly port: number
  readonly pids: readonly number[]
}

async function startOurs(owner: Owner): Promise<Started> {
  const [folder, nameServerPort, port] = [await temporaryFolder(owner), await freePort(), await freeBrokerPort()]
  const args = [
    ...startFlags('start'),
    await publishedProgram('gantry'),
    `--listen-port=${nameServerPort}`,
    `--broker-port=${port}`,
    `--data-dir=${join(folder, 'data')}`,
  ]
  const program = new LaunchedProgram('gantry', process.execPath, args, {
    env: { ...process.env, ...startEnvironment('start') },
  })
  owner.after(() => program.kill())
  return { port, pids: [program.pid ?? 0] }
}

/** One after the other, as Apache's quick start says. */
async function startApache(owner: Owner, release: Release): Promise<Started> {
  const nameServer = await startApacheNameServer(owner, release)
  const broker = await startApacheBroker(owner, {
    release,
    nameServers: [nameServer.address],
    name: 'bench',
    properties: brokerProperties({ flush: 'ASYNC_FLUSH', manyTopics: false }),
    flags: jvmFlags,
  })
  return { port: broker.port, pids: [nameServer.pid, broker.pid] }
}

/** Measures several starts, each with an empty folder, of a name server and a broker: ours are one process. */
export async function measureStarts(name: BrokerName, times: number): Promise<Start> {
  if (name === 'ours') await publishedProgram('gantry')
  const starts: Start[] = []
  for (let i = 0; i < times; i++) starts.push(await measureOne(name))
  return median(starts, start => start.startMs)
}

async function measureOne(name: BrokerName): Promise<Start> {
  const closing = closer()
  try {
    const begin = performance.now()
    const { port, pids } =
      name === 'ours'
        ? await startOurs(closing.owner)
        : await startApache(closing.owner, name === 'apache-4.9.7' ? '4.9.7' : '5.5.0')
    await firstMessage(port, TOPIC, DEADLINE_MS)
    const startMs = performance.now() - begin
    await sleep(IDLE_MS)
    return { startMs, rssMb: pids.reduce((sum, pid) => sum + rssMbOf(pid), 0) }
  } finally {
    await closing.close()
  }
}
