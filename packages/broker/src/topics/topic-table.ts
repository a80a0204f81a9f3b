import {
  AUTO_CREATE_TOPIC,
  type DataVersion,
  isSystemTopic,
  nextDataVersion,
  PERM_INHERIT,
  PERM_READ,
  PERM_WRITE,
  SYSTEM_TOPICS,
  type TopicConfig,
  type TopicConfigTable,
} from '@gantrymq/protocol'

/** What decides which topics a broker has from its start, and whether a send creates further ones. */
export interface TopicSettings {
  readonly brokerClusterName: string
  readonly brokerName: string
  /** Queues of TBW102, and so the most queues of a topic that a send creates. */
  readonly defaultTopicQueueNums: number
  readonly autoCreateTopicEnable: boolean
  readonly clusterTopicEnable: boolean
  readonly brokerTopicEnable: boolean
  readonly traceTopicEnable: boolean
  readonly msgTraceTopicName: string
  /** Null: the broker keeps its messages in memory. */
  readonly storePathRootDir: string | null
}

/** A send to a topic that does not exist. */
export interface TopicOfSend {
  readonly topic: string
  /** The topic whose settings are copied; clients name TBW102. */
  readonly defaultTopic: string
  /** How many queues the client asks for. */
  readonly queueNums: number
  readonly sysFlag: number
}

/** A topic of the broker itself: for retries, dead letters, half messages. */
export interface InnerTopic {
  readonly topic: string
  readonly queueNums: number
  readonly perm: number
  readonly sysFlag?: number
  readonly order?: boolean
}

/** What a change has done to a topic. */
export interface TopicChange {
  readonly before: TopicConfig | undefined
  /** Undefined: the topic was deleted. */
  readonly after: TopicConfig | undefined
}

/** Queues of SCHEDULE_TOPIC_XXXX, one for each delay level (Apache's TopicConfigManager). */
const SCHEDULE_TOPIC_QUEUES = 18
export const SCHEDULE_TOPIC = 'SCHEDULE_TOPIC_XXXX'
/** The topic of messages that wait for their time, in a broker that keeps its messages in memory. */
export const TIMER_TOPIC = 'rmq_sys_wheel_timer'
export const HALF_TOPIC = 'RMQ_SYS_TRANS_HALF_TOPIC'
export const OPERATION_TOPIC = 'RMQ_SYS_TRANS_OP_HALF_TOPIC'

/** The topic in which a broker stores the replies to requests, if storeReplyMessageEnable is set. */
function replyTopicOf(cluster: string): string {
  return `${cluster}_REPLY_TOPIC`
}

/** Topics of a broker and their version, without files and time: Apache's TopicConfigManager. */
export class TopicTable {
  readonly #settings: () => TopicSettings
  readonly #topics = new Map<string, TopicConfig>()
  /** Names that operators may neither create nor delete; `isSystemTopic` has further ones. */
  readonly #system = new Set(SYSTEM_TOPICS)
  #version: DataVersion

  /**
   * Begins with the topics that every broker has.
   * @param settings Read again at each use.
   * @param now Milliseconds since the epoch: the time of the first version.
   */
  constructor(settings: () => TopicSettings, now: number) {
    this.#settings = settings
    this.#version = { stateVersion: 0, timestamp: now, counter: 0 }
    for (const config of startTopics(settings())) {
      this.#topics.set(config.topicName, config)
      this.#system.add(config.topicName)
    }
  }

  /** Changes with every change of a topic; name servers compare it. */
  get version(): DataVersion {
    return this.#version
  }

  get size(): number {
    return this.#topics.size
  }

  get all(): ReadonlyMap<string, TopicConfig> {
    return this.#topics
  }

  /** The topics of the broker itself that operators may neither create nor delete. */
  get systemTopics(): ReadonlySet<string> {
    return this.#system
  }

  get(topic: string): TopicConfig | undefined {
    return this.#topics.get(topic)
  }

  has(topic: string): boolean {
    return this.#topics.has(topic)
  }

  isSystem(topic: string): boolean {
    return this.#system.has(topic) || isSystemTopic(topic)
  }

  /** Puts the topics of a file over those of the start, and takes over its version. */
  load({ dataVersion, topics }: TopicConfigTable): void {
    for (const [name, config] of topics) this.#topics.set(name, config)
    this.#version = dataVersion
  }

  /**
   * Creates the topic of a send as a copy of its default topic, if that may be inherited.
   * Source: Apache's TopicConfigManager.createTopicInSendMessageMethod.
   * @returns the change; undefined if the topic must be created by an operator.
   */
  createForSend({ topic, defaultTopic, queueNums, sysFlag }: TopicOfSend, now: number): TopicChange | undefined {
    const model = this.#topics.get(defaultTopic)
    if (model === undefined || (model.perm & PERM_INHERIT) === 0) return undefined
    // A file of a time when the option was set may still have the topic.
    if (defaultTopic === AUTO_CREATE_TOPIC && !this.#settings().autoCreateTopicEnable) return undefined
    const queues = Math.max(Math.min(queueNums, model.writeQueueNums), 0)
    return this.put(
      {
        topicName: topic,
        readQueueNums: queues,
        writeQueueNums: queues,
        perm: model.perm & ~PERM_INHERIT,
        topicFilterType: model.topicFilterType,
        topicSysFlag: sysFlag,
        order: false,
      },
      now,
    )
  }

  /**
   * Makes sure that the broker has a topic of its own; of an existing one, only the order flag changes.
   * Source: Apache's TopicConfigManager.createTopicInSendMessageBackMethod.
   * @returns the change; undefined if there was none.
   */
  createInner({ topic, queueNums, perm, sysFlag = 0, order }: InnerTopic, now: number): TopicChange | undefined {
    const before = this.#topics.get(topic)
    if (before !== undefined) {
      return order === undefined || order === before.order ? undefined : this.put({ ...before, order }, now)
    }
    return this.put({ ...topicOf(topic, queueNums, perm), topicSysFlag: sysFlag, order: order ?? false }, now)
  }

  /** Creates a topic or replaces all its settings. */
  put(config: TopicConfig, now: number): TopicChange {
    const before = this.#topics.get(config.topicName)
    this.#topics.set(config.topicName, config)
    this.#version = nextDataVersion(this.#version, now)
    return { before, after: config }
  }

  /** @returns the change; undefined if there was no such topic. */
  delete(topic: string, now: number): TopicChange | undefined {
    const before = this.#topics.get(topic)
    if (before === undefined) return undefined
    this.#topics.delete(topic)
    this.#version = nextDataVersion(this.#version, now)
    return { before, after: undefined }
  }

  /**
   * Sets the order flag of the topics that the name server's order configuration names. As in 5.x, no topic loses the flag, since
   * operators set it too.
   * Source: Apache's TopicConfigManager.updateOrderTopicConfig.
   */
  setOrdered(topics: Iterable<string>, now: number): readonly TopicChange[] {
    const changes: TopicChange[] = []
    for (const name of topics) {
      const before = this.#topics.get(name)
      if (before === undefined || before.order) continue
      const after = { ...before, order: true }
      this.#topics.set(name, after)
      changes.push({ before, after })
    }
    if (changes.length > 0) this.#version = nextDataVersion(this.#version, now)
    return changes
  }

  /** Makes name servers take the table as changed, as after a change of the broker's permission. */
  touch(now: number): void {
    this.#version = nextDataVersion(this.#version, now)
  }
}

function topicOf(topicName: string, queues: number, perm = PERM_READ | PERM_WRITE): TopicConfig {
  return {
    topicName,
    readQueueNums: queues,
    writeQueueNums: queues,
    perm,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
  }
}

/** The topics that a broker has without being asked for them (Apache's TopicConfigManager.init). */
function startTopics(settings: TopicSettings): TopicConfig[] {
  const { brokerClusterName, brokerName, autoCreateTopicEnable, traceTopicEnable } = settings
  const usable = PERM_READ | PERM_WRITE | PERM_INHERIT
  return [
    topicOf('SELF_TEST_TOPIC', 1),
    ...(autoCreateTopicEnable ? [topicOf(AUTO_CREATE_TOPIC, settings.defaultTopicQueueNums, usable)] : []),
    topicOf('BenchmarkTest', 1024),
    topicOf(brokerClusterName, 16, settings.clusterTopicEnable ? usable : PERM_INHERIT),
    topicOf(brokerName, 1, settings.brokerTopicEnable ? usable : PERM_INHERIT),
    topicOf('OFFSET_MOVED_EVENT', 1),
    topicOf(SCHEDULE_TOPIC, SCHEDULE_TOPIC_QUEUES),
    ...(traceTopicEnable ? [topicOf(settings.msgTraceTopicName, 1)] : []),
    topicOf(replyTopicOf(brokerClusterName), 1),
    topicOf(HALF_TOPIC, 1),
    topicOf(OPERATION_TOPIC, 1),
    ...(settings.storePathRootDir === null ? [topicOf(TIMER_TOPIC, 1)] : []),
  ]
}
