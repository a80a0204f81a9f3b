import type { QueueOffsets } from '@gantrymq/protocol'

const SEPARATOR = '@'

/**
 * The committed offsets of all groups, without files and time: Apache's ConsumerOffsetManager. Offsets are by topic and group, then
 * by queue; they may go back, as Apache's may.
 */
export class OffsetTable {
  /** By `topic@group`. */
  readonly #offsets = new Map<string, Map<number, number>>()
  /** The topics of each group: who asks for one group should not look at the offsets of all. */
  readonly #topics = new Map<string, Set<string>>()
  /** Offsets at which groups will continue because an operator has reset them; see `reset`. */
  readonly #resets = new Map<string, Map<number, number>>()
  #changes = 0

  /** Grows with every change, so that a copy on disk can be compared with the table. */
  get changes(): number {
    return this.#changes
  }

  /** By `topic@group`: the content of consumerOffset.json, and of the answer to GET_ALL_CONSUMER_OFFSET. */
  get all(): ReadonlyMap<string, QueueOffsets> {
    return this.#offsets
  }

  /** Replaces all offsets by those of a file. Entries that do not name exactly one topic and one group are left out. */
  load(offsets: ReadonlyMap<string, QueueOffsets>): void {
    this.#offsets.clear()
    this.#topics.clear()
    for (const [key, queues] of offsets) if (split(key) !== undefined) this.#set(key, new Map(queues))
  }

  #set(key: string, queues: Map<number, number>): void {
    this.#offsets.set(key, queues)
    const of = split(key)
    if (of === undefined) return
    const known = this.#topics.get(of.group)
    if (known === undefined) this.#topics.set(of.group, new Set([of.topic]))
    else known.add(of.topic)
  }

  /** @returns the offset before; undefined if there was none. */
  commit(topic: string, group: string, queueId: number, offset: number): number | undefined {
    const key = keyOf(topic, group)
    let queues = this.#offsets.get(key)
    if (queues === undefined) this.#set(key, (queues = new Map()))
    const before = queues.get(queueId)
    if (before === offset) return before
    queues.set(queueId, offset)
    this.#changes++
    return before
  }

  /** Where a group continues: the offset of a reset, else the committed one; undefined if there is none. */
  get(topic: string, group: string, queueId: number): number | undefined {
    const key = keyOf(topic, group)
    return this.#resets.get(key)?.get(queueId) ?? this.#offsets.get(key)?.get(queueId)
  }

  /** The committed offsets of a group in a topic. */
  queues(topic: string, group: string): QueueOffsets | undefined {
    return this.#offsets.get(keyOf(topic, group))
  }

  /** The topics in which a group has committed offsets. */
  topicsOf(group: string): string[] {
    return [...(this.#topics.get(group) ?? [])]
  }

  /** The groups that have committed offsets. */
  get groups(): Iterable<string> {
    return this.#topics.keys()
  }

  /** How many groups have committed offsets. */
  get groupCount(): number {
    return this.#topics.size
  }

  /** The groups that have committed offsets in a topic. */
  groupsOf(topic: string): string[] {
    return [...this.#topics].filter(([, topics]) => topics.has(topic)).map(([group]) => group)
  }

  // -- Resets (5.x: useServerSideResetOffset) ------------------------------------------------------------------------

  /**
   * Makes a group continue at another offset: its next pull is answered with it, and until then what its consumers commit is
   * ignored. Source: Apache's ConsumerOffsetManager.assignResetOffset.
   */
  reset(topic: string, group: string, queueId: number, offset: number): void {
    const key = keyOf(topic, group)
    const queues = this.#resets.get(key) ?? new Map<number, number>()
    this.#resets.set(key, queues.set(queueId, offset))
    this.commit(topic, group, queueId, offset)
  }

  isReset(topic: string, group: string, queueId: number): boolean {
    return this.#resets.size > 0 && this.#resets.get(keyOf(topic, group))?.has(queueId) === true
  }

  /** The offset of a reset, once. */
  takeReset(topic: string, group: string, queueId: number): number | undefined {
    if (this.#resets.size === 0) return undefined
    const key = keyOf(topic, group)
    const queues = this.#resets.get(key)
    const offset = queues?.get(queueId)
    queues?.delete(queueId)
    if (queues?.size === 0) this.#resets.delete(key)
    return offset
  }

  /** Forgets all resets: the groups continue at their committed offsets. */
  forgetResets(): void {
    this.#resets.clear()
  }

  // -- Whole groups and topics ---------------------------------------------------------------------------------------

  /** Gives a group the offsets of another one in a topic; nothing if that has none. */
  copy(topic: string, from: string, to: string): void {
    const queues = this.#offsets.get(keyOf(topic, from))
    if (queues === undefined) return
    this.#set(keyOf(topic, to), new Map(queues))
    this.#changes++
  }

  removeGroup(group: string): void {
    for (const topic of this.topicsOf(group)) this.#remove(topic, group)
  }

  removeTopic(topic: string): void {
    for (const [group, topics] of this.#topics) if (topics.has(topic)) this.#remove(topic, group)
  }

  #remove(topic: string, group: string): void {
    const key = keyOf(topic, group)
    this.#offsets.delete(key)
    this.#resets.delete(key)
    this.#changes++
    const topics = this.#topics.get(group)
    topics?.delete(topic)
    if (topics?.size === 0) this.#topics.delete(group)
  }
}

interface TopicAndGroup {
  readonly topic: string
  readonly group: string
}

function keyOf(topic: string, group: string): string {
  return topic + SEPARATOR + group
}

function split(key: string): TopicAndGroup | undefined {
  const [topic, group, ...more] = key.split(SEPARATOR)
  return topic === undefined || group === undefined || more.length > 0 ? undefined : { topic, group }
}
