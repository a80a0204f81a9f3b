import { describe } from 'node:test'
import { skipReason } from '../launch/apache.ts'
import { asked } from './operator-requests.ts'
import { filters, groups, litePull, order, retries } from './consuming.ts'
import { harness } from './harness.ts'
import { iterating, receivingSimply } from './iterating.ts'
import { leaving } from './leaving.ts'
import { longNames } from './long-names.ts'
import { popping } from './popping.ts'
import { secondPort } from './second-port.ts'
import { compression, requests, sending, timers, transactions, type Way, ways } from './sending.ts'
import type { Side } from '../drivers/client-under-test.ts'
import { sharing } from './rebalancing.ts'
import { staticTopics } from './static-topics.ts'
import { tracing } from './tracing.ts'
import { type Site, type SitePlan, siteFor, siteName } from './cluster.ts'

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

const only5: Readonly<Record<string, Scenario>> = { timers, 'long names': longNames }

/** Names the only direction to run, `ours to Java` for example, and words of the areas. */
const onlyWay = process.env['GANTRY_INTEROP_WAY']
const onlyAreas = process.env['GANTRY_INTEROP_AREA']?.split(',')
const isWanted = (area: string): boolean => onlyAreas === undefined || onlyAreas.some(word => area.includes(word))

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
        if (!isWanted(area)) continue
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
  const area = (name: string, declare: () => void) => void (isWanted(name) && describe(name, declare))
  area('a group of both', () => sharing(site))
  for (const [name, side] of Object.entries(sides)) {
    area(`asked by operators, ${name}`, () => asked(site, name, side))
    area(`traces, ${name}`, () => tracing(site, name, side))
  }
  area('iterated, ours', () => iterating(site))
  area('leaving, ours', () => leaving(site))
  area('second port, ours', () => secondPort(site))
  if (!plan.release.startsWith('5.')) return
  area('pop', () => popping(site))
  area('simple consumer, ours', () => receivingSimply(site))
  area('static topics', () => staticTopics(site))
}
