import { describe } from 'node:test'
import { skipReason } from './apache.ts'
import { javaWithItself } from './client-harness.ts'
import { type SitePlan, siteFor, siteName } from './client-sites.ts'

/** Every feature of the client against real brokers, in both directions with Java's. */
export async function clientScenarios(plan: SitePlan): Promise<void> {
  describe(siteName(plan), { skip: await skipReason() }, () => {
    const site = siteFor(plan)
    describe('Java with itself', () => javaWithItself(site))
  })
}
