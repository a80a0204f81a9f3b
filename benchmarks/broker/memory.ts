import { setTimeout as sleep } from 'node:timers/promises'
import { startOurs } from '../../interop/src/launch/our-name-server.ts'
import { closer } from '../harness/closer.ts'
import type { Driver } from '../harness/drive.ts'
import { type Growth, growthOf, type Sample } from '../harness/growth.ts'
import { PlanFolder } from '../harness/plan-folder.ts'
import { rssMbOf } from '../harness/process-stats.ts'
import type { Subject } from './brokers.ts'
import { startBrokerLoad } from './drive.ts'
import { maxOffsetOf, queuesOf, topicOf } from './fixture.ts'
import { pullPlan, sendPlan, writePlan } from './plan.ts'

const BYTES = 128
const SAMPLE_MS = 500
const DEADLINE_MS = 1_800_000
const SUSPEND_MS = 15_000

/** Follows the resident memory of a broker while a number of messages is sent and consumed. */
export async function measureMemory(subject: Subject, driver: Driver, messages: number): Promise<Growth> {
  const closing = closer()
  const plans = await PlanFolder.create(writePlan)
  const queues = queuesOf(topicOf(BYTES))
  try {
    const nameServer = `127.0.0.1:${(await startOurs(closing.owner)).port}`
    const setting = { flush: 'ASYNC_FLUSH', manyTopics: false } as const
    const server = await subject.start(closing.owner, { nameServer, setting, topics: [topicOf(BYTES)] })
    const usual = { port: server.port, serverPid: server.pid, warmMs: 0, runMs: DEADLINE_MS }
    const pulls = pullPlan(
      queues.map(queue => ({ queue, first: 0 })),
      SUSPEND_MS,
    )
    const pull = startBrokerLoad(driver, {
      ...usual,
      planPath: await plans.add(pulls),
      connections: queues.length,
      inFlight: 1,
    })
    const send = startBrokerLoad(driver, {
      ...usual,
      planPath: await plans.add(sendPlan(queues, BYTES)),
      connections: 16,
      inFlight: 16,
    })
    const samples: Sample[] = []
    for (let sent = 0; sent < messages; ) {
      await Promise.race([sleep(SAMPLE_MS), send.figures, pull.figures])
      const ends = await Promise.all(queues.map(queue => maxOffsetOf(server, queue)))
      sent = ends.reduce((sum, end) => sum + end, 0)
      samples.push({ messages: sent, rssMb: rssMbOf(server.pid) })
    }
    for (const load of [send, pull]) load.stop()
    await Promise.all([send.figures, pull.figures])
    return growthOf(samples)
  } finally {
    await closing.close()
    await plans.close()
  }
}
