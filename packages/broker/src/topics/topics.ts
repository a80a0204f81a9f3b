import type { TableFiles } from '@gantrymq/daemon'
import {
  type DataVersion,
  PERM_READ,
  PERM_WRITE,
  type TopicConfig,
  type TopicConfigTable,
  topicConfigTableBody,
  topicProblem,
} from '@gantrymq/protocol'
import { type Clock, type Logger, RemotingError, within } from '@gantrymq/remoting'
import { ConfigFile } from '../files/config-file.ts'
import { type InnerTopic, type TopicChange, type TopicOfSend, type TopicSettings, TopicTable } from './topic-table.ts'

/** How long what needs a topic waits until it is stored, milliseconds: as long as for a flush. */
const SAVE_MS = 5000
/** A topic that each broker makes and no operator needs. */
const SELF_TEST_TOPIC = 'SELF_TEST_TOPIC'

export interface TopicsOptions {
  /** topics.json. */
  readonly path: string
  readonly files: TableFiles
  /** Read again at each use. */
  readonly settings: () => TopicSettings & { readonly maxTopics: number }
  readonly clock: Clock
  readonly log: Logger
  /** Called with the topics that were created or changed, to register them. */
  readonly onChange: (changed: readonly TopicConfig[]) => void
}

/** The topics of a running broker. Owns the table and its file: each change is logged, stored and registered. */
export class Topics {
  readonly #options: TopicsOptions
  readonly #table: TopicTable
  readonly #file: ConfigFile<TopicConfigTable>
  /** The last write that was asked for, until it has ended. */
  #saving: Promise<void> | undefined
  /** The topics that are being deleted; see `delete`. */
  readonly #deletions = new Map<string, Promise<void>>()

  private constructor(options: TopicsOptions) {
    const { path, files, settings, clock, log } = options
    this.#options = options
    this.#table = new TopicTable(settings, clock.now())
    this.#file = new ConfigFile({
      path,
      files,
      what: 'topics',
      codec: topicConfigTableBody,
      entriesOf: ({ topics }) => topics.size,
      content: () => this.content,
      log,
    })
  }

  /** Loads the file. @throws RemotingError BAD_OPTION for the file of another cluster; Error if it can neither be read nor put aside */
  static async open(options: TopicsOptions): Promise<Topics> {
    const topics = new Topics(options)
    const loaded = await topics.#file.load(options.clock.now())
    if (loaded !== undefined) {
      topics.#checkCluster(loaded)
      topics.#load(loaded)
    }
    return topics
  }

  /**
   * Each broker makes SELF_TEST_TOPIC and a topic with the name of its cluster (Apache's TopicConfigManager), so that a table with the
   * first one only is of another cluster. Apache starts on it, and gives the messages of one cluster to the consumers of the other.
   * A table that an operator wrote has neither.
   */
  #checkCluster({ topics }: TopicConfigTable): void {
    const { path, settings } = this.#options
    const { brokerClusterName } = settings()
    if (!topics.has(SELF_TEST_TOPIC) || topics.has(brokerClusterName)) return
    throw new RemotingError('BAD_OPTION', `${path} is of a broker of another cluster: it has no topic with the name of the cluster ${brokerClusterName}. Choose another storePathRootDir, or set brokerClusterName to the cluster of this folder; to give the folder to ${brokerClusterName}, add that topic to the file`) // biome-ignore format: one thought
  }

  // The name of a topic becomes a path of the store, so a name that no broker accepts is not taken from a file either.
  #load({ dataVersion, topics }: TopicConfigTable): void {
    const valid = [...topics].filter(([name]) => {
      const isValid = this.#table.has(name) || topicProblem(name) === null
      if (!isValid) this.#options.log.warn({ topic: name }, 'a topic with an invalid name was left out of the topics')
      return isValid
    })
    this.#table.load({ dataVersion, topics: new Map(valid) })
  }

  /**
   * Adds the topics that have messages and are missing in a table that was damaged: without one its messages could not be read.
   * Their permission and their attributes are not known any more.
   */
  restore(queues: Iterable<{ readonly topic: string; readonly id: number }>): void {
    if (!this.#file.wasDamaged) return
    const missing = new Map<string, number>()
    for (const { topic, id } of queues) {
      if (this.#table.has(topic) || topicProblem(topic) !== null) continue
      missing.set(topic, Math.max(missing.get(topic) ?? 0, id + 1))
    }
    for (const [topic, queueNums] of missing) {
      if (this.inner({ topic, queueNums, perm: PERM_READ | PERM_WRITE }) === undefined) return
      this.#options.log.warn({ topic, queueNums }, 'a topic with messages was missing in the damaged table')
    }
  }

  get version(): DataVersion {
    return this.#table.version
  }

  get size(): number {
    return this.#table.size
  }

  get all(): ReadonlyMap<string, TopicConfig> {
    return this.#table.all
  }

  /** The content of the file, and of the answer to GET_ALL_TOPIC_CONFIG. */
  get content(): TopicConfigTable {
    return { dataVersion: this.#table.version, topics: this.#table.all }
  }

  get systemTopics(): ReadonlySet<string> {
    return this.#table.systemTopics
  }

  get(topic: string): TopicConfig | undefined {
    return this.#table.get(topic)
  }

  has(topic: string): boolean {
    return this.#table.has(topic)
  }

  /** Whether a topic is one of the broker itself, which operators may neither create nor delete. */
  isSystem(topic: string): boolean {
    return this.#table.isSystem(topic)
  }

  /**
   * Creates the topic of a send. The name must be valid.
   * @param producer The address of its sender, for the log.
   * @returns undefined if an operator must create the topic, or it is being deleted
   */
  createForSend(given: TopicOfSend, producer: string): TopicConfig | undefined {
    if (this.#deletions.has(given.topic) || this.#isFull(given.topic)) return undefined
    const change = this.#table.createForSend(given, this.#options.clock.now())
    const { topic, defaultTopic } = given
    if (change !== undefined) return this.#noteCreated(change, { defaultTopic, producer })
    this.#options.log.warn(
      { topic, defaultTopic, producer },
      'no topic was created: its default topic does not allow it',
    )
    return undefined
  }

  /**
   * The topic of the broker itself, created if it is missing; undefined if there are too many topics, or it is being deleted. The name
   * must be valid.
   */
  inner(given: InnerTopic): TopicConfig | undefined {
    const known = this.#table.get(given.topic)
    if (known !== undefined && (given.order === undefined || given.order === known.order)) return known
    if (this.#deletions.has(given.topic)) return undefined
    // Without its own topics the broker could not go on with what it has; they are few.
    if (!this.isSystem(given.topic) && this.#isFull(given.topic)) return undefined
    const change = this.#table.createInner(given, this.#options.clock.now())
    return change === undefined ? known : this.#noteCreated(change, {})
  }

  /** Creates a topic or replaces all its settings. The name must be valid. Await `deletionOf` before, and `saved` after it. */
  put(config: TopicConfig): void {
    const change = this.#table.put(config, this.#options.clock.now())
    this.#options.log.info(change, change.before === undefined ? 'create new topic' : 'update topic config')
    this.#changed([config])
  }

  /**
   * Deletes a topic at once, then does `work`, which deletes what belongs to it. Until that has ended, sends do not create the topic
   * again: their messages would be deleted with the old ones, although they are acknowledged.
   * @throws the error of the work
   */
  delete(topic: string, work: () => Promise<void>): Promise<void> {
    const change = this.#table.delete(topic, this.#options.clock.now())
    this.#options.log.info({ topic, existed: change !== undefined }, 'delete topic config')
    if (change !== undefined) this.#changed([])
    const deletion = (this.#deletions.get(topic) ?? Promise.resolve()).then(work)
    const ended = deletion
      .catch(() => {})
      .finally(() => {
        if (this.#deletions.get(topic) === ended) this.#deletions.delete(topic)
      })
    this.#deletions.set(topic, ended)
    return deletion
  }

  /** Undefined if the topic is not being deleted; else resolves when it is, or when that has failed. */
  deletionOf(topic: string): Promise<void> | undefined {
    return this.#deletions.get(topic)
  }

  /** Sets the order flag of the topics that the order configuration of the name servers has. */
  setOrdered(topics: Iterable<string>): void {
    const changes = this.#table.setOrdered(topics, this.#options.clock.now())
    for (const { after } of changes) this.#options.log.info({ topic: after?.topicName }, 'update order topic config')
    if (changes.length > 0) this.#changed(changes.flatMap(({ after }) => after ?? []))
  }

  /** Makes name servers take the table as changed, as after a change of the broker's permission. */
  touch(): void {
    this.#table.touch(this.#options.clock.now())
    this.#save()
  }

  /**
   * Undefined if the file has all changes; else a promise for that, also after a write that failed. A message is acknowledged only
   * after its topic is stored, so that no crash leaves messages without a topic.
   * @throws the error of the file system; RemotingError TIMEOUT if the write takes longer than 5 s, for all until it has ended
   */
  saved(): Promise<void> | undefined {
    if (this.#saving === undefined && this.#file.isBehind) this.#save()
    return this.#saving
  }

  /** Waits for the file. Never rejects. */
  close(): Promise<void> {
    return this.#file.close()
  }

  #isFull(topic: string): boolean {
    const { maxTopics } = this.#options.settings()
    const isFull = !this.#table.has(topic) && this.#table.size >= maxTopics
    if (isFull) this.#options.log.warn({ topic, maxTopics }, 'no topic was created: there are too many (maxTopics)')
    return isFull
  }

  #noteCreated({ after }: TopicChange, fields: object): TopicConfig {
    const config = after!
    this.#options.log.info({ ...fields, config }, 'create new topic')
    this.#changed([config])
    return config
  }

  #changed(configs: readonly TopicConfig[]): void {
    this.#save()
    if (configs.length > 0) this.#options.onChange(configs)
  }

  #save(): void {
    const written = this.#file.save()
    // One deadline for all that wait: what comes later does not wait for a disk that has stopped.
    const saving = within(this.#options.clock, written, { timeoutMs: SAVE_MS }, 'storing the topics')
    saving.catch(() => {})
    this.#saving = saving
    const end = (): void => {
      if (this.#saving === saving) this.#saving = undefined
    }
    written.then(end, end)
  }
}
