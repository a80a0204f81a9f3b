import type { TopicQueueMappingInfo } from '@gantrymq/protocol'
import type { BrokerGroup } from './broker-group.ts'
import type { QueueSettings, SharedQueues } from './queue-settings.ts'

/** What a cache sees of a topic: a route is valid while the table has this object with the same revision. */
export interface LiveTopic {
  readonly name: string
  /** Grows with every change of the topic itself, including its removal. */
  readonly revision: number
}

/** How many groups have ended whose queues are still to be deleted; one record for all topics of a table. */
export interface PendingEnds {
  count: number
}

const NO_MAPPINGS: ReadonlyMap<BrokerGroup, TopicQueueMappingInfo> = new Map()

/**
 * One topic: which broker groups have queues of it. Changed by RouteTable only.
 *
 * A group that has ended, because its last broker left, is not shown from that moment; the queues that it had are
 * deleted later.
 *
 * Two parallel arrays instead of a Map: a name server can have millions of pairs of topic and group, and a Map takes
 * two to four times the memory for each. Finding a group in an array of hundreds takes about 100 ns.
 */
export class Topic implements LiveTopic {
  readonly name: string
  #revision = 0
  #groups: BrokerGroup[] = []
  #queues: SharedQueues[] = []
  /**
   * How many of the groups, from the first on, are sorted by name. A group is added at the end and gets to its place when the
   * order is asked for: hundreds of brokers that register thousands of topics would move all groups each time.
   */
  #sorted = 0
  #mappings: Map<BrokerGroup, TopicQueueMappingInfo> | undefined
  readonly #ends: PendingEnds

  constructor(name: string, ends: PendingEnds = { count: 0 }) {
    this.name = name
    this.#ends = ends
  }

  get revision(): number {
    return this.#revision
  }

  /** Whether it has no queues at all, not even of a group that has ended. */
  get isEmpty(): boolean {
    return this.#groups.length === 0
  }

  /** Whether a group that has brokers has queues of it. If not, the topic is unknown to clients. */
  get isLive(): boolean {
    return this.#ends.count === 0 ? this.#groups.length > 0 : this.#groups.some(isLive)
  }

  /** Of the groups that had queues of it and have ended, the last one. */
  get lastEnded(): BrokerGroup | undefined {
    let last: BrokerGroup | undefined
    for (const group of this.#groups) if (group.endedAs > (last?.endedAs ?? 0)) last = group
    return last
  }

  /** Sorted by name, so that every name server gives the same answer. */
  get groups(): readonly BrokerGroup[] {
    this.#sort()
    return this.#isWhole ? this.#groups : this.#groups.filter(isLive)
  }

  /** The queues in each of `groups`, in the same order. */
  get queues(): readonly SharedQueues[] {
    this.#sort()
    return this.#isWhole ? this.#queues : this.#queues.filter((_, at) => isLive(this.#groups[at] as BrokerGroup))
  }

  /** Whether all its groups have brokers. */
  get #isWhole(): boolean {
    return this.#ends.count === 0 || this.#groups.every(isLive)
  }

  /** Static topics (5.x), by group. */
  get mappings(): ReadonlyMap<BrokerGroup, TopicQueueMappingInfo> {
    return this.#mappings ?? NO_MAPPINGS
  }

  queuesOf(group: BrokerGroup): QueueSettings | undefined {
    const index = this.#groups.indexOf(group)
    return this.#queues[index]?.queueData
  }

  /**
   * @param perm Replaces the permission of `settings`.
   * @returns Whether the group had no queues of it before.
   */
  setQueues(group: BrokerGroup, settings: QueueSettings, perm = settings.perm): boolean {
    this.#revision++
    group.writes++
    const queues = group.queues.share(settings, perm)
    const index = this.#groups.indexOf(group)
    const before = this.#queues[index]
    if (before !== undefined) {
      this.#queues[index] = queues
      group.queues.release(before)
      return false
    }
    this.#groups = added(this.#groups, group)
    this.#queues = added(this.#queues, queues)
    group.topicCount++
    return true
  }

  #sort(): void {
    for (; this.#sorted < this.#groups.length; this.#sorted++) {
      const group = this.#groups[this.#sorted] as BrokerGroup
      const queues = this.#queues[this.#sorted] as SharedQueues
      const at = this.#indexFor(group.name)
      for (let index = this.#sorted; index > at; index--) {
        this.#groups[index] = this.#groups[index - 1] as BrokerGroup
        this.#queues[index] = this.#queues[index - 1] as SharedQueues
      }
      this.#groups[at] = group
      this.#queues[at] = queues
    }
  }

  /** Where a group of this name belongs among those that are sorted. */
  #indexFor(name: string): number {
    let low = 0
    let high = this.#sorted
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#groups[middle] as BrokerGroup).name < name) low = middle + 1
      else high = middle
    }
    return low
  }

  /** @param group Has queues of the topic. */
  setMapping(group: BrokerGroup, info: TopicQueueMappingInfo): void {
    this.#revision++
    this.#mappings ??= new Map()
    this.#mappings.set(group, info)
  }

  /** @returns Whether the group had queues of it. */
  delete(group: BrokerGroup): boolean {
    const index = this.#groups.indexOf(group)
    if (index === -1) return false
    this.#forget(index)
    this.#groups.splice(index, 1)
    this.#queues.splice(index, 1)
    if (index < this.#sorted) this.#sorted--
    this.#revision++
    return true
  }

  /**
   * Deletes the queues of all groups that have ended. Routes have not shown them since, so the revision stays unless the
   * topic is empty then.
   */
  deleteEnded(): void {
    let kept = 0
    let sorted = 0
    for (let index = 0; index < this.#groups.length; index++) {
      const group = this.#groups[index] as BrokerGroup
      if (isLive(group)) {
        this.#groups[kept] = group
        this.#queues[kept++] = this.#queues[index] as SharedQueues
        if (index < this.#sorted) sorted++
        continue
      }
      this.#forget(index)
    }
    if (kept === 0 && this.#groups.length > 0) this.#revision++
    this.#groups.length = kept
    this.#queues.length = kept
    this.#sorted = sorted
  }

  #forget(index: number): void {
    const group = this.#groups[index] as BrokerGroup
    group.queues.release(this.#queues[index] as SharedQueues)
    group.topicCount--
    group.writes++
    if (this.#mappings?.delete(group) && this.#mappings.size === 0) this.#mappings = undefined
  }
}

function isLive(group: BrokerGroup): boolean {
  return group.endedAs === 0
}

/** Copies short lists: most topics are on few brokers, and growing in place would reserve room for 17 at once. */
function added<T>(list: T[], item: T): T[] {
  if (list.length < 16) return [...list, item]
  list.push(item)
  return list
}
