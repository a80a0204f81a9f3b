import { describe } from 'node:test'
import { skipReason } from './apache.ts'
import { asked } from './client-asked.ts'
import { filters, groups, litePull, order, retries } from './client-consuming.ts'
import { harness } from './client-harness.ts'
import { popping } from './client-popping.ts'
import { compression, requests, sending, timers, transactions, type Way, ways } from './client-sending.ts'
import type { Side } from './client-side.ts'
import { sharing } from './client-sharing.ts'
import { tracing } from './client-tracing.ts'
import { type Site, type SitePlan, siteFor, siteName } from './client-sites.ts'

/** Areas at a time: cases wait more than they work. */
const CONCURRENCY = 3

const sides: Readonly<Record<string, (site: Site) => Side>> = { Java: site => site.java, ours: site => site.ours }

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
  describe(siteName(plan), { skip, concurrency: CONCURRENCY }, () => {
    const site = siteFor(plan)
    describe('the harness', () => harness(site))
    for (const way of ways) {
      if (onlyWay !== undefined && onlyWay !== way.name) continue
      for (const [area, scenario] of Object.entries(all)) {
        describe(`${area}, ${way.name}`, () => scenario(site, way))
      }
    }
    if (onlyWay === undefined || onlyWay === 'both') both(site, plan)
  })
}

/** What may depend on whose name server it is, for a broker and a name server of different makers. */
export async function crossingScenarios(plan: SitePlan): Promise<void> {
  describe(siteName(plan), { skip: await skipReason(), concurrency: CONCURRENCY }, () => {
    const site = siteFor(plan)
    for (const way of ways) {
      if (way.sender === way.receiver) continue
      describe(`sending, ${way.name}`, () => sending(site, way))
      describe(`groups, ${way.name}`, () => groups(site, way))
    }
    describe('a group of both', () => sharing(site))
  })
}

/** What is not of a direction. */
function both(site: () => Site, plan: SitePlan): void {
  describe('a group of both', () => sharing(site))
  for (const [name, side] of Object.entries(sides)) {
    describe(`asked by operators, ${name}`, () => asked(site, name, side))
    describe(`traces, ${name}`, () => tracing(site, name, side))
  }
  if (plan.release.startsWith('5.')) describe('pop', () => popping(site))
}
