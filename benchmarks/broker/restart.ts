import { rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LaunchedServer } from '../../interop/src/launch/launcher.ts'
import { startOurs } from '../../interop/src/launch/our-name-server.ts'
import { closer } from '../harness/closer.ts'
import type { Driver } from '../harness/drive.ts'
import { PlanFolder } from '../harness/plan-folder.ts'
import { rssMbOf } from '../harness/process-stats.ts'
import type { Subject } from './brokers.ts'
import { startBrokerLoad } from './drive.ts'
import { firstMessage } from './first-message.ts'
import { logEndOf, queuesOf, topicOf } from './fixture.ts'
import { sendPlan, writePlan } from './plan.ts'

/** How long a broker with a large log needs from its start to the first message that it accepts, after kill -9 under load. */
export interface Restart {
  readonly logGb: number
  readonly markedMs: number
  /** Without the file `checkpoint`: then nothing says where a recovery may begin. */
  readonly unmarkedMs: number
  readonly rssMb: number
}

const GB = 1e9
const BYTES = 1024
const POLL_MS = 300
const FILL_DEADLINE_MS = 1_800_000
const RESTART_DEADLINE_MS = 300_000
/** Room for the queues, the index and the file of the log that is made ahead. */
const SPACE_FACTOR = 1.5

/** @throws Error if the file system of the brokers' folders has too little space */
async function checkSpace(gb: number): Promise<void> {
  const { bavail, bsize } = await statfs(tmpdir())
  const freeGb = (bavail * bsize) / GB
  const needed = gb * SPACE_FACTOR
  if (freeGb < needed)
    throw new Error(`a log of ${gb} GB needs ${needed} GB in ${tmpdir()}, which has ${freeGb.toFixed(1)}`)
}

/** Fills a log, kills the broker under load and starts it again, with the mark of its checkpoint and without. */
export async function measureRestart(subject: Subject, driver: Driver, logGb: number): Promise<Restart> {
  await checkSpace(logGb)
  const closing = closer()
  const plans = await PlanFolder.create(writePlan)
  try {
    const nameServer = `127.0.0.1:${(await startOurs(closing.owner)).port}`
    const setting = { flush: 'ASYNC_FLUSH', manyTopics: false } as const
    const server = await subject.start(closing.owner, { nameServer, setting, topics: [topicOf(BYTES)] })
    const load = startBrokerLoad(driver, {
      planPath: await plans.add(sendPlan(queuesOf(topicOf(BYTES)), BYTES)),
      port: server.port,
      connections: 16,
      inFlight: 16,
      warmMs: 0,
      runMs: FILL_DEADLINE_MS,
      serverPid: server.pid,
    })
    while ((await logEndOf(server)) < logGb * GB) await Promise.race([sleep(POLL_MS), load.figures])
    await server.kill()
    await load.figures.catch(() => {})
    const markedMs = await restart(server)
    await server.kill()
    await rm(join(server.folder, 'store', 'checkpoint'))
    const unmarkedMs = await restart(server)
    return { logGb, markedMs, unmarkedMs, rssMb: rssMbOf(server.pid) }
  } finally {
    await closing.close()
    await plans.close()
  }
}

async function restart(server: LaunchedServer): Promise<number> {
  const begin = performance.now()
  const ready = server.restart()
  const accepted = firstMessage(server.port, topicOf(BYTES).name, RESTART_DEADLINE_MS).then(() => performance.now())
  const [end] = await Promise.all([accepted, ready])
  return end - begin
}
