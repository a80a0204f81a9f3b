import assert from 'node:assert/strict'
import { after, before, describe } from 'node:test'
import { skipReason } from '../launch/apache.ts'
import { beginnings, FILE_BYTES, makeOldTopics, reading } from './start-offsets.ts'
import { offsetFiles } from './offset-files.ts'
import { type Site, type SitePlan, siteName, startSite } from './cluster.ts'
import type { Owner } from '../launch/launched.ts'
import type { LaunchedServer } from '../launch/launcher.ts'

interface Stage {
  readonly site: Site
  readonly slave: LaunchedServer
  /** Of `makeOldTopics`. */
  readonly old: readonly string[]
}

/** Where consumers begin, go on, and read from: a master and its slave. */
export async function placeScenarios(plan: SitePlan): Promise<void> {
  describe(siteName(plan), { skip: await skipReason() }, () => {
    const closes: (() => Promise<void>)[] = []
    let stage: Stage | undefined
    before(async () => {
      const owner: Owner = { after: close => void closes.push(close) }
      const files = { mappedFileSizeCommitLog: FILE_BYTES }
      const site = await startSite(owner, { ...plan, properties: files })
      const old = await makeOldTopics(site, 2)
      const properties = { ...files, slaveReadEnable: true }
      stage = { site, old, slave: await site.startBroker(owner, { name: site.brokerName, id: 1, properties }) }
    })
    after(async () => {
      for (const close of closes.toReversed()) await close()
    })
    const staged = () => stage ?? assert.fail('the servers did not start')
    const the = () => staged().site
    const old = (at: number) => () => staged().old[at] ?? assert.fail('no old topic')
    describe('beginnings, files of offsets', { concurrency: 3 }, () => {
      describe('beginnings, Java', () => beginnings(the, site => site.java, old(0)))
      describe('beginnings, ours', () => beginnings(the, site => site.ours, old(1)))
      describe('files of offsets', () => offsetFiles(the))
    })
    describe('slave without its master', () => reading(the, () => staged().slave))
  })
}
