import type { BrokerData, QueueData } from '@gantrymq/protocol'
import type { Dialect } from '@gantrymq/remoting'
import type { BrokerGroup } from '../registry/broker-group.ts'
import type { SharedQueues } from '../registry/queue-settings.ts'
import type { Topic } from '../registry/topic.ts'

/** An encoded route and what it was made of. */
interface InternedRoute {
  /** What routes show of each group; a different object after each change. */
  readonly rows: readonly BrokerData[]
  readonly queues: readonly QueueData[]
  readonly bytes: { [D in Dialect]?: Buffer }
}

/**
 * Encoded routes by their content. Most topics of a cluster are on the same brokers with the same settings, so their
 * routes are identical: with 300 brokers 60 KB, which are encoded and kept only once.
 */
export class InternedRoutes {
  readonly #routes = new Map<number, InternedRoute>()

  /**
   * The object that holds, or will hold, the encoded route of a topic. Of two routes with one hash the later is kept.
   */
  of(topic: Topic): { [D in Dialect]?: Buffer } {
    const { groups, queues: shared } = topic
    const hash = hashOf(groups, shared)
    const known = this.#routes.get(hash)
    const rows = groups.map(group => group.row)
    const queues = shared.map(({ queueData }) => queueData)
    if (known !== undefined && isSame(known.rows, rows) && isSame(known.queues, queues)) return known.bytes
    const fresh: InternedRoute = { rows, queues, bytes: {} }
    this.#routes.set(hash, fresh)
    return fresh.bytes
  }

  clear(): void {
    this.#routes.clear()
  }
}

function hashOf(groups: readonly BrokerGroup[], queues: readonly SharedQueues[]): number {
  let hash = groups.length
  for (let i = 0; i < groups.length; i++) {
    const { perm, readQueueNums, writeQueueNums } = (queues[i] as SharedQueues).queueData
    const settings = perm + readQueueNums * 16 + writeQueueNums * 4096
    hash = (Math.imul(hash, 31) + (groups[i] as BrokerGroup).nameHash + settings) & 0x3fffffff
  }
  return hash
}

function isSame<T>(a: readonly T[], b: readonly T[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
