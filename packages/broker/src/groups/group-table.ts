import {
  type DataVersion,
  defaultGroupConfig,
  groupProblem,
  isReadable,
  nextDataVersion,
  PERM_READ,
  type SubscriptionGroupConfig,
  type SubscriptionGroupTable,
} from '@gantrymq/protocol'

/** Whether groups are created at their first use. */
export interface GroupSettings {
  readonly autoCreateSubscriptionGroup: boolean
  readonly enableCreateSysGroup: boolean
}

/** What a change has done to a group. */
export interface GroupChange {
  readonly before: SubscriptionGroupConfig | undefined
  /** Undefined: the group was deleted. */
  readonly after: SubscriptionGroupConfig | undefined
}

/** Groups of Apache's own tools, which every broker has (Apache's SubscriptionGroupManager.init). */
const START_GROUPS = [
  'TOOLS_CONSUMER',
  'FILTERSRV_CONSUMER',
  'SELF_TEST_C_GROUP',
  'CID_ONS-HTTP-PROXY',
  'CID_ONSAPI_PULL',
  'CID_ONSAPI_PERMISSION',
  'CID_ONSAPI_OWNER',
  'CID_RMQ_SYS_TRANS',
]

const SYSTEM_GROUP_PREFIX = 'CID_RMQ_SYS_'

const TOOL_GROUPS: ReadonlySet<string> = new Set([
  ...START_GROUPS,
  'DEFAULT_CONSUMER',
  'SCHEDULE_CONSUMER',
  '__MONITOR_CONSUMER',
])

/** Whether a group is one of Apache's own tools and servers, which pull without a heartbeat (MixAll.isSysConsumerGroupPullMessage). */
export function isToolGroup(group: string): boolean {
  return TOOL_GROUPS.has(group) || group.startsWith(SYSTEM_GROUP_PREFIX)
}

/** Consumer groups of a broker and their version, without files and time: Apache's SubscriptionGroupManager. */
export class GroupTable {
  readonly #settings: () => GroupSettings
  readonly #groups = new Map<string, SubscriptionGroupConfig>()
  #forbidden = new Map<string, ReadonlyMap<string, number>>()
  #version: DataVersion

  /**
   * Begins with the groups that every broker has.
   * @param settings Read again at each use.
   * @param now Milliseconds since the epoch: the time of the first version.
   */
  constructor(settings: () => GroupSettings, now: number) {
    this.#settings = settings
    this.#version = { stateVersion: 0, timestamp: now, counter: 0 }
    for (const name of START_GROUPS) this.#groups.set(name, defaultGroupConfig(name))
  }

  get version(): DataVersion {
    return this.#version
  }

  get size(): number {
    return this.#groups.size
  }

  get all(): ReadonlyMap<string, SubscriptionGroupConfig> {
    return this.#groups
  }

  /** The content of subscriptionGroup.json, and of the answer to GET_ALL_SUBSCRIPTIONGROUP_CONFIG. */
  get table(): SubscriptionGroupTable {
    return { dataVersion: this.#version, groups: this.#groups, forbidden: this.#forbidden }
  }

  get(group: string): SubscriptionGroupConfig | undefined {
    return this.#groups.get(group)
  }

  has(group: string): boolean {
    return this.#groups.has(group)
  }

  /** Puts the groups of a file over those of the start, and takes over its version. */
  load({ dataVersion, groups, forbidden }: SubscriptionGroupTable): void {
    for (const [name, config] of groups) this.#groups.set(name, config)
    this.#forbidden = new Map(forbidden)
    this.#version = dataVersion
  }

  /**
   * Creates a group with default settings at its first use, if the broker may and the name is valid.
   * Source: Apache's SubscriptionGroupManager.findSubscriptionGroupConfig.
   * @returns the change; undefined if the group must be created by an operator.
   */
  createOnUse(group: string, now: number): GroupChange | undefined {
    const { autoCreateSubscriptionGroup, enableCreateSysGroup } = this.#settings()
    const mayCreate = autoCreateSubscriptionGroup || (enableCreateSysGroup && group.startsWith(SYSTEM_GROUP_PREFIX))
    if (!mayCreate || groupProblem(group) !== null) return undefined
    return this.put(defaultGroupConfig(group), now)
  }

  /** Creates a group or replaces all its settings. */
  put(config: SubscriptionGroupConfig, now: number): GroupChange {
    const before = this.#groups.get(config.groupName)
    this.#groups.set(config.groupName, config)
    this.#version = nextDataVersion(this.#version, now)
    return { before, after: config }
  }

  /** @returns the change; undefined if there was no such group. */
  delete(group: string, now: number): GroupChange | undefined {
    const before = this.#groups.get(group)
    this.#forbidden.delete(group)
    if (before === undefined) return undefined
    this.#groups.delete(group)
    this.#version = nextDataVersion(this.#version, now)
    return { before, after: undefined }
  }

  /** Forbids a group to read a topic, or allows it again. @returns whether that was a change. */
  setReadable(group: string, topic: string, isAllowed: boolean, now: number): boolean {
    const before = this.#forbidden.get(group)?.get(topic) ?? 0
    const after = isAllowed ? before & ~PERM_READ : before | PERM_READ
    if (before === after) return false
    const topics = new Map(this.#forbidden.get(group))
    if (after === 0) topics.delete(topic)
    else topics.set(topic, after)
    if (topics.size === 0) this.#forbidden.delete(group)
    else this.#forbidden.set(group, topics)
    this.#version = nextDataVersion(this.#version, now)
    return true
  }

  /** Whether an operator has forbidden a group to read a topic: the bits of the table are those of permissions. */
  isForbidden(group: string, topic: string): boolean {
    return isReadable(this.#forbidden.get(group)?.get(topic) ?? 0)
  }
}
