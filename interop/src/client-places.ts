import assert from 'node:assert/strict'
import { after, before, describe } from 'node:test'
import { skipReason } from './apache.ts'
import { beginnings, reading } from './client-beginnings.ts'
import { offsetFiles } from './client-offset-files.ts'
import { type Site, type SitePlan, siteName, startSite } from './client-sites.ts'
import type { Owner } from './launched.ts'
import type { LaunchedServer } from './launcher.ts'

// Else brokers of 4.9 count whatever is young as in memory, and let new groups begin with it whatever they ask for.
const NOTHING_YOUNG = { accessMessageInMemoryMaxRatio: 0 }

/** Where consumers begin, go on, and read from: a master and its slave. */
export async function placeScenarios(plan: SitePlan): Promise<void> {
  describe(siteName(plan), { skip: await skipReason() }, () => {
    const closes: (() => Promise<void>)[] = []
    let stage: { readonly site: Site; readonly slave: LaunchedServer } | undefined
    before(async () => {
      const owner: Owner = { after: close => void closes.push(close) }
      const site = await startSite(owner, { ...plan, properties: NOTHING_YOUNG })
      const properties = { ...NOTHING_YOUNG, slaveReadEnable: true }
      stage = { site, slave: await site.startBroker(owner, { name: site.brokerName, id: 1, properties }) }
    })
    after(async () => {
      for (const close of closes.toReversed()) await close()
    })
    const the = () => (stage ?? assert.fail('the servers did not start')).site
    describe('beginnings, files of offsets', { concurrency: 3 }, () => {
      describe('beginnings, Java', () => beginnings(the, site => site.java))
      describe('beginnings, ours', () => beginnings(the, site => site.ours))
      describe('files of offsets', () => offsetFiles(the))
    })
    describe('slave without its master', () => reading(the, () => (stage ?? assert.fail('no slave')).slave))
  })
}
