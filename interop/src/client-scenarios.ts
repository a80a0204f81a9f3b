import { describe } from 'node:test'
import { skipReason } from './apache.ts'
import { filters, groups, litePull, order, retries } from './client-consuming.ts'
import { harness } from './client-harness.ts'
import { compression, requests, sending, timers, transactions, type Way, ways } from './client-sending.ts'
import { sharing } from './client-sharing.ts'
import { type Site, type SitePlan, siteFor, siteName } from './client-sites.ts'

type Scenario = (the: () => Site, way: Way) => void

const scenarios: Readonly<Record<string, Scenario>> = {
  sending,
  compression,
  transactions,
  requests,
  filters,
  retries,
  order,
  groups,
  'lite pull': litePull,
}

const only5: Readonly<Record<string, Scenario>> = { timers }

/** Names the only direction to run, `ours to Java` for example. */
const onlyWay = process.env['GANTRY_INTEROP_WAY']

/** Every feature of the client against real brokers, in both directions with Java's. */
export async function clientScenarios(plan: SitePlan): Promise<void> {
  const skip = await skipReason()
  const all = plan.release.startsWith('5.') ? { ...scenarios, ...only5 } : scenarios
  describe(siteName(plan), { skip }, () => {
    const site = siteFor(plan)
    describe('the harness', () => harness(site))
    for (const way of ways) {
      if (onlyWay !== undefined && onlyWay !== way.name) continue
      for (const [area, scenario] of Object.entries(all)) {
        describe(`${area}, ${way.name}`, () => scenario(site, way))
      }
    }
    if (onlyWay === undefined) describe('a group of both', () => sharing(site))
  })
}
