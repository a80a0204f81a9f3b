// The brokers of a storm, in a process of their own: when it is killed, all their connections end at once.
// It reports when it has encoded all registrations. At the first message of its parent it sends them, one after the other,
// evenly within a time, and reports when all have been answered.
//
// node brokers.ts PORT BROKERS TOPICS WITHIN_MS
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { TimeHistogram } from '../harness/histogram.ts'
import { brokerAt, registrations, type Registration, topicName } from '../name-server/plan.ts'
import { AskingConnection } from './asking-connection.ts'

/** Reported when every broker has been answered. */
export interface BrokersRegistered {
  readonly refused: number
  /** From the first registration to the last answer. */
  readonly ms: number
  /** From a registration to its answer, including the time to send it. */
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
}

const [port = 0, brokers = 0, topics = 0, withinMs = 0] = process.argv.slice(2).map(Number)
const times = new TimeHistogram()
let refused = 0

function register({ start, topics: shared }: Registration): Promise<void> {
  const since = performance.now()
  return new Promise(resolve => {
    new AskingConnection(port).ask([start, shared], code => {
      times.add((performance.now() - since) * 1000)
      if (code !== 0) refused++
      resolve()
    })
  })
}

process.on('disconnect', () => process.exit())
const all = registrations(
  Array.from({ length: brokers }, (_, i) => brokerAt(i)),
  Array.from({ length: topics }, (_, i) => topicName(i)),
)
process.send?.({})
await once(process, 'message')
const begin = performance.now()
const answered: Promise<void>[] = []
for (const [i, registration] of all.entries()) {
  const wait = begin + (i * withinMs) / brokers - performance.now()
  if (wait > 0) await sleep(wait)
  answered.push(register(registration))
}
await Promise.all(answered)
const quantiles = { p50Us: times.quantile(0.5), p99Us: times.quantile(0.99), maxUs: times.max }
process.send?.({ refused, ms: performance.now() - begin, ...quantiles } satisfies BrokersRegistered)
