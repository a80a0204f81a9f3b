import { describe } from 'node:test'
import { skipReason } from '../launch/apache.ts'
import { operatorRequests } from './operator-requests.ts'
import { filters, groups, litePull, order, retries } from './consuming.ts'
import { harness } from './harness.ts'
import { iterating, receivingSimply } from './iterating.ts'
import { leaving } from './leaving.ts'
import { longNames } from './long-names.ts'
import { popping } from './popping.ts'
import { secondPort } from './second-port.ts'
import { compression, requests, sending, timers, transactions, type Direction, directions } from './sending.ts'
import type { ClientUnderTest } from '../drivers/client-under-test.ts'
import { rebalancing } from './rebalancing.ts'
import { staticTopics } from './static-topics.ts'
import { tracing } from './tracing.ts'
import { type Cluster, type ClusterPlan, clusterFor, suiteName } from './cluster.ts'

/** Areas at a time: cases wait more than they work. */
const CONCURRENCY = 3

const sides: Readonly<Record<string, (cluster: Cluster) => ClientUnderTest>> = {
  Java: cluster => cluster.java,
  ours: cluster => cluster.ours,
}

type Scenario = (cluster: () => Cluster, way: Direction) => void

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
export async function clientScenarios(plan: ClusterPlan): Promise<void> {
  const skip = await skipReason()
  const all = plan.release.startsWith('5.') ? { ...scenarios, ...only5 } : scenarios
  describe(suiteName(plan), { skip, concurrency: CONCURRENCY }, () => {
    const cluster = clusterFor(plan)
    describe('the harness', () => harness(cluster))
    for (const way of directions) {
      if (onlyWay !== undefined && onlyWay !== way.name) continue
      for (const [area, scenario] of Object.entries(all)) {
        if (!isWanted(area)) continue
        describe(`${area}, ${way.name}`, () => scenario(cluster, way))
      }
    }
    if (onlyWay === undefined || onlyWay === 'both') both(cluster, plan)
  })
}

/** What may depend on whose name server it is, for a broker and a name server of different makers. */
export async function crossingScenarios(plan: ClusterPlan): Promise<void> {
  describe(suiteName(plan), { skip: await skipReason(), concurrency: CONCURRENCY }, () => {
    const cluster = clusterFor(plan)
    for (const way of directions) {
      if (way.sender === way.receiver) continue
      describe(`sending, ${way.name}`, () => sending(cluster, way))
      describe(`groups, ${way.name}`, () => groups(cluster, way))
    }
    describe('a group of both', () => rebalancing(cluster))
  })
}

/** What is not of a direction. */
function both(cluster: () => Cluster, plan: ClusterPlan): void {
  const area = (name: string, declare: () => void) => void (isWanted(name) && describe(name, declare))
  area('a group of both', () => rebalancing(cluster))
  for (const [name, side] of Object.entries(sides)) {
    area(`asked by operators, ${name}`, () => operatorRequests(cluster, name, side))
    area(`traces, ${name}`, () => tracing(cluster, name, side))
  }
  area('iterated, ours', () => iterating(cluster))
  area('leaving, ours', () => leaving(cluster))
  area('second port, ours', () => secondPort(cluster))
  if (!plan.release.startsWith('5.')) return
  area('pop', () => popping(cluster))
  area('simple consumer, ours', () => receivingSimply(cluster))
  area('static topics', () => staticTopics(cluster))
}
