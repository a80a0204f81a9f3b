import type { TopicQueueMappingInfo } from '@gantrymq/protocol'
import type { BrokerGroup } from './broker-group.ts'
import type { QueueSettings } from './queue-settings.ts'

/** What a cache sees of a topic: a route is valid while the table has this object with the same revision. */
export interface LiveTopic {
  readonly name: string
  /** Grows with every change of the topic itself, including its removal. */
  readonly revision: number
}

const NO_MAPPINGS: ReadonlyMap<string, TopicQueueMappingInfo> = new Map()

/**
 * One topic: which broker groups have queues of it. Changed by RouteTable only.
 *
 * Two parallel arrays instead of a Map: a name server can have millions of pairs of topic and group, and a Map takes
 * two to four times the memory for each. Finding a group in an array of hundreds takes about 100 ns.
 */
export class Topic implements LiveTopic {
  readonly name: string
  #revision = 0
  #groups: BrokerGroup[] = []
  #queues: QueueSettings[] = []
  #mappings: Map<string, TopicQueueMappingInfo> | undefined

  constructor(name: string) {
    this.name = name
  }

  get revision(): number {
    return this.#revision
  }

  /** How many groups have queues of it. */
  get size(): number {
    return this.#groups.length
  }

  /** Sorted by name, so that every name server gives the same answer. */
  get groups(): readonly BrokerGroup[] {
    return this.#groups
  }

  /** The settings for each of `groups`, in the same order. */
  get queues(): readonly QueueSettings[] {
    return this.#queues
  }

  /** Static topics (5.x), by broker name. */
  get mappings(): ReadonlyMap<string, TopicQueueMappingInfo> {
    return this.#mappings ?? NO_MAPPINGS
  }

  queuesOf(group: BrokerGroup): QueueSettings | undefined {
    const index = this.#groups.indexOf(group)
    return index === -1 ? undefined : this.#queues[index]
  }

  /** @returns Whether the group had no queues of it before. */
  setQueues(group: BrokerGroup, queues: QueueSettings): boolean {
    this.#revision++
    group.writes++
    const index = this.#groups.indexOf(group)
    if (index !== -1) {
      this.#queues[index] = queues
      return false
    }
    const at = this.#indexFor(group.name)
    this.#groups = inserted(this.#groups, at, group)
    this.#queues = inserted(this.#queues, at, queues)
    group.topicCount++
    return true
  }

  /** The index at which a group of this name belongs. */
  #indexFor(name: string): number {
    let low = 0
    let high = this.#groups.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#groups[middle] as BrokerGroup).name < name) low = middle + 1
      else high = middle
    }
    return low
  }

  setMapping(info: TopicQueueMappingInfo): void {
    this.#revision++
    this.#mappings ??= new Map()
    this.#mappings.set(info.bname, info)
  }

  /** @returns Whether the group had queues of it. */
  delete(group: BrokerGroup): boolean {
    const index = this.#groups.indexOf(group)
    if (index === -1) return false
    this.#groups.splice(index, 1)
    this.#queues.splice(index, 1)
    this.#mappings?.delete(group.name)
    group.topicCount--
    group.writes++
    this.#revision++
    return true
  }

  /** @returns How many groups were taken out. */
  deleteWhere(isUnwanted: (group: BrokerGroup) => boolean): number {
    const before = this.#groups.length
    let kept = 0
    for (let index = 0; index < before; index++) {
      const group = this.#groups[index] as BrokerGroup
      if (isUnwanted(group)) {
        group.topicCount--
        group.writes++
        this.#mappings?.delete(group.name)
        continue
      }
      this.#groups[kept] = group
      this.#queues[kept++] = this.#queues[index] as QueueSettings
    }
    if (kept === before) return 0
    this.#groups.length = kept
    this.#queues.length = kept
    this.#revision++
    return before - kept
  }
}

/** Copies short lists: most topics are on few brokers, and growing in place would reserve room for 17 at once. */
function inserted<T>(list: T[], at: number, item: T): T[] {
  if (list.length < 16) return [...list.slice(0, at), item, ...list.slice(at)]
  list.splice(at, 0, item)
  return list
}
