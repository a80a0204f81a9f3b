import assert from 'node:assert/strict'
import { after, before, describe } from 'node:test'
import { skipReason } from '../launch/apache.ts'
import { startOffsets, FILE_BYTES, makeOldTopics, slaveWithoutMaster } from './start-offsets.ts'
import { notServed } from './not-served.ts'
import { offsetFiles } from './offset-files.ts'
import { type Cluster, type ClusterPlan, suiteName, startCluster } from './cluster.ts'
import type { Owner } from '../launch/launched-program.ts'
import type { LaunchedServer } from '../launch/launcher.ts'

interface MasterAndSlave {
  readonly cluster: Cluster
  /** With a broker of Apache. */
  readonly slave: LaunchedServer | undefined
  /** The topics that `makeOldTopics` made. */
  readonly old: readonly string[]
}

/** Where new groups start, which offset files both clients share, and what a slave serves without its master. */
export async function masterAndSlaveScenarios(plan: ClusterPlan): Promise<void> {
  describe(suiteName(plan), { skip: await skipReason() }, () => {
    const closes: (() => Promise<void>)[] = []
    let servers: MasterAndSlave | undefined
    before(async () => {
      const owner: Owner = { after: close => void closes.push(close) }
      const files = { mappedFileSizeCommitLog: FILE_BYTES }
      const cluster = await startCluster(owner, { ...plan, properties: files })
      const old = await makeOldTopics(cluster, 2)
      const properties = { ...files, slaveReadEnable: true }
      servers = {
        cluster,
        old,
        slave: cluster.isOurs
          ? undefined
          : await cluster.startBroker(owner, { name: cluster.brokerName, id: 1, properties }),
      }
    })
    after(async () => {
      for (const close of closes.toReversed()) await close()
    })
    const started = () => servers ?? assert.fail('the servers did not start')
    const cluster = () => started().cluster
    const old = (at: number) => () => started().old[at] ?? assert.fail('no old topic')
    describe('start offsets, offset files', { concurrency: 3 }, () => {
      describe('start offsets, Java', () => startOffsets(cluster, cluster => cluster.java, old(0)))
      describe('start offsets, ours', () => startOffsets(cluster, cluster => cluster.ours, old(1)))
      describe('offset files', () => offsetFiles(cluster))
    })
    describe('slave without its master', { skip: plan.broker === 'ours' && notServed.slaves }, () => {
      slaveWithoutMaster(cluster, () => started().slave ?? assert.fail('no slave'))
    })
  })
}
