import { describe } from 'node:test'
import { skipReason } from '../launch/apache.ts'
import { operatorRequests } from './operator-requests.ts'
import { filters, groups, litePull, order, retries } from './consuming.ts'
import { harness } from './harness.ts'
import { iterating, receivingSimply } from './iterating.ts'
import { producers } from './producers.ts'
import { longNames } from './long-names.ts'
import { popping } from './popping.ts'
import { secondPort } from './second-port.ts'
import { compression, requests, sending, timers, transactions, type Direction, directions } from './sending.ts'
import type { ClientUnderTest } from '../drivers/client-under-test.ts'
import { pulling } from './pulling.ts'
import { rebalancing } from './rebalancing.ts'
import { refusals } from './refusals.ts'
import { staticTopics } from './static-topics.ts'
import { tracing } from './tracing.ts'
import { type Cluster, type ClusterPlan, clusterFor, suiteName } from './cluster.ts'

/** Areas that run at a time: cases mostly wait. */
const CONCURRENCY = 3

const clients: Readonly<Record<string, (cluster: Cluster) => ClientUnderTest>> = {
  Java: cluster => cluster.java,
  ours: cluster => cluster.ours,
}

type ClientScenario = (cluster: () => Cluster, direction: Direction) => void

const scenarios: Readonly<Record<string, ClientScenario>> = {
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

const only5: Readonly<Record<string, ClientScenario>> = { timers, 'long names': longNames }

/** Restrict the run to one direction, `ours to Java` for example, and to areas with one of these words. */
const onlyDirection = process.env['GANTRY_INTEROP_WAY']
const onlyAreas = process.env['GANTRY_INTEROP_AREA']?.split(',')
const isWanted = (area: string): boolean => onlyAreas === undefined || onlyAreas.some(word => area.includes(word))

/** Every feature of the client with a broker of Apache or ours, in all directions between Java's client and ours. */
export async function clientScenarios(plan: ClusterPlan): Promise<void> {
  const skip = await skipReason()
  const isOurs = plan.broker === 'ours'
  const has5 = plan.release.startsWith('5.') && !isOurs
  const all = has5 ? { ...scenarios, ...only5 } : scenarios
  describe(suiteName(plan), { skip, concurrency: CONCURRENCY }, () => {
    const cluster = clusterFor(plan)
    describe('the harness', () => harness(cluster))
    for (const direction of directions) {
      if (onlyDirection !== undefined && onlyDirection !== direction.name) continue
      for (const [area, scenario] of Object.entries(all)) {
        if (!isWanted(area)) continue
        describe(`${area}, ${direction.name}`, () => scenario(cluster, direction))
      }
    }
    if (onlyDirection !== undefined && onlyDirection !== 'both') return
    bothClients(cluster)
    if (has5) bothClientsOf5(cluster)
    if (isOurs && isWanted('refusals')) describe('refusals', () => refusals(cluster))
  })
}

/** What only a broker of ours in memory has: pop consumption and times of delivery. */
export async function inMemoryScenarios(plan: ClusterPlan): Promise<void> {
  describe(suiteName(plan), { skip: await skipReason(), concurrency: CONCURRENCY }, () => {
    const cluster = clusterFor(plan)
    const area = (name: string, declare: () => void) => void (isWanted(name) && describe(name, declare))
    for (const direction of directions) area(`timers, ${direction.name}`, () => timers(cluster, direction))
    area('pop', () => popping(cluster))
    area('simple consumer, ours', () => receivingSimply(cluster))
  })
}

/** What may depend on the name server, for a broker and a name server of different makers. */
export async function crossingScenarios(plan: ClusterPlan): Promise<void> {
  describe(suiteName(plan), { skip: await skipReason(), concurrency: CONCURRENCY }, () => {
    const cluster = clusterFor(plan)
    for (const direction of directions) {
      if (direction.sender === direction.receiver) continue
      describe(`sending, ${direction.name}`, () => sending(cluster, direction))
      describe(`groups, ${direction.name}`, () => groups(cluster, direction))
    }
    describe('a group of both', () => rebalancing(cluster))
  })
}

/** The areas that have no direction, and that every broker serves. */
function bothClients(cluster: () => Cluster): void {
  const area = (name: string, declare: () => void) => void (isWanted(name) && describe(name, declare))
  area('a group of both', () => rebalancing(cluster))
  for (const [name, client] of Object.entries(clients)) {
    area(`operator requests, ${name}`, () => operatorRequests(cluster, name, client))
    area(`traces, ${name}`, () => tracing(cluster, name, client))
  }
  area('pull, Java', () => pulling(cluster))
  area('for await, ours', () => iterating(cluster))
  area('producers, ours', () => producers(cluster))
  area('second port, ours', () => secondPort(cluster))
}

/** The same for what only brokers of 5.x serve. */
function bothClientsOf5(cluster: () => Cluster): void {
  const area = (name: string, declare: () => void) => void (isWanted(name) && describe(name, declare))
  area('pop', () => popping(cluster))
  area('simple consumer, ours', () => receivingSimply(cluster))
  area('static topics', () => staticTopics(cluster))
}
