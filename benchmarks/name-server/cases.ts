import type { Population } from './plan.ts'
import type { SubjectName } from './subjects.ts'

export type Workload = 'route' | 'changed' | 'unchanged'

/** A goal for our name server. Ratios are to Apache 5.5.0 in the same run. */
export interface Goal {
  /** Minimum of requests a second. */
  readonly speedRatio?: number
  /** Maximum of CPU time for a request. */
  readonly cpuRatio?: number
  /** Maximum, microseconds. */
  readonly p99Us?: number
}

/** One load. */
export interface Case {
  readonly id: string
  readonly title: string
  readonly workload: Workload
  readonly population: Population
  readonly connections: number
  readonly inFlight: number
  /** Registrations at a fixed rate during the load. Without it the brokers of route queries do nothing. */
  readonly background?: { readonly workload: 'changed' | 'unchanged'; readonly perSecond: number }
  readonly goal?: Goal
  /** Whether it belongs to `--quick`. */
  readonly quick?: boolean
  /** Measures the case once, for this time, instead of in rounds. */
  readonly runMs?: number
}

const number = new Intl.NumberFormat('en')

function named({ population, connections, inFlight, workload, background }: Omit<Case, 'id' | 'title'>) {
  const { topics, brokers } = population
  const busy = background ? `-beside-${background.workload}` : ''
  const action = { route: 'route', changed: 'registration, changed', unchanged: 'registration, unchanged' }[workload]
  const during = background ? `, during ${background.perSecond} ${background.workload} registrations/s` : ''
  return {
    id: `${workload}${busy}-${topics}x${brokers}-${connections}x${inFlight}`,
    title: `${action}, ${number.format(topics)} topics x ${brokers} brokers, ${connections} connections x ${inFlight}${during}`,
  }
}

function route(
  population: Population,
  [connections, inFlight]: readonly [number, number],
  rest: Partial<Case> = {},
): Case {
  const load = { workload: 'route', population, connections, inFlight, ...rest } as const
  return { ...named(load), ...load }
}

/** Each broker registers on a connection of its own, one registration in flight. */
function register(workload: 'changed' | 'unchanged', population: Population, rest: Partial<Case> = {}): Case {
  const load = { workload, population, connections: population.brokers, inFlight: 1, ...rest }
  return { ...named(load), ...load }
}

const usual: Population = { topics: 1_000, brokers: 2 }
const large: Population = { topics: 10_000, brokers: 8 }
const huge: Population = { topics: 10_000, brokers: 300 }

/** The cases with a goal. */
export const goalCases: readonly Case[] = [
  route(usual, [16, 1], { goal: { speedRatio: 1.6, cpuRatio: 0.45 }, quick: true }),
  route(usual, [16, 16], { goal: { speedRatio: 3.2 }, quick: true }),
  route(usual, [200, 1], { goal: { speedRatio: 1.1, cpuRatio: 0.65 } }),
  route(usual, [1, 1], { goal: { speedRatio: 1.1 }, quick: true }),
  register('changed', usual, { goal: { speedRatio: 1.8 }, quick: true }),
  register('unchanged', usual, { goal: { speedRatio: 2.2 }, quick: true }),
  register('changed', large, { goal: { speedRatio: 2.5, cpuRatio: 0.25 } }),
  register('unchanged', large, { goal: { speedRatio: 2.5, cpuRatio: 0.25 } }),
  route(huge, [16, 1], { background: { workload: 'unchanged', perSecond: 10 }, goal: { p99Us: 5_000 }, runMs: 12_000 }),
]

const topicCounts = [100, 1_000, 10_000]
const brokerCounts = [2, 8, 300]
const loads = [
  [1, 1],
  [16, 1],
  [16, 16],
  [200, 16],
] as const

/** All other cases: every size with every kind of load. */
const otherCases: readonly Case[] = [
  ...topicCounts.flatMap(topics => loads.map(load => route({ topics, brokers: 2 }, load))),
  ...brokerCounts.flatMap(brokers => route({ topics: 1_000, brokers }, [16, 1])),
  ...topicCounts.flatMap(topics => [
    register('changed', { topics, brokers: 8 }),
    register('unchanged', { topics, brokers: 8 }),
    route({ topics, brokers: 8 }, [16, 1], { background: { workload: 'changed', perSecond: 20 } }),
    route({ topics, brokers: 8 }, [16, 1], { background: { workload: 'unchanged', perSecond: 20 } }),
  ]),
  register('unchanged', { topics: 100, brokers: 300 }),
  register('unchanged', { topics: 1_000, brokers: 300 }),
]

export interface Selection {
  readonly quick: boolean
  readonly all: boolean
  /** Parts of ids. An empty list selects everything. */
  readonly words: readonly string[]
}

/** The cases of a run, without duplicates. */
export function selectCases({ quick, all, words }: Selection): Case[] {
  const pool = quick ? goalCases.filter(one => one.quick) : all ? [...goalCases, ...otherCases] : goalCases
  const byId = new Map(pool.toReversed().map(one => [one.id, one]))
  return [...byId.values()].toReversed().filter(({ id }) => words.length === 0 || words.some(word => id.includes(word)))
}

/** Whether a case makes sense for a subject: the bare server has one body only, the route of two brokers. */
export function applies(one: Case, subject: SubjectName): boolean {
  return (
    subject !== 'bare' || (one.background === undefined && (one.workload !== 'route' || one.population.brokers === 2))
  )
}
