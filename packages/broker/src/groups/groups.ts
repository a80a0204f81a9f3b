import type { TableFiles } from '@gantrymq/daemon'
import {
  groupProblem,
  type SubscriptionGroupConfig,
  type SubscriptionGroupTable,
  subscriptionGroupTableBody,
} from '@gantrymq/protocol'
import type { Clock, Logger } from '@gantrymq/remoting'
import { ConfigFile } from '../files/config-file.ts'
import { type GroupSettings, GroupTable } from './group-table.ts'

export interface GroupsOptions {
  /** subscriptionGroup.json. */
  readonly path: string
  readonly files: TableFiles
  /** Read again at each use. */
  readonly settings: () => GroupSettings & { readonly maxGroups: number }
  readonly clock: Clock
  readonly log: Logger
}

/** The consumer groups of a running broker. Owns the table and its file: each change is logged and stored. */
export class Groups {
  readonly #options: GroupsOptions
  readonly #table: GroupTable
  readonly #file: ConfigFile<SubscriptionGroupTable>

  private constructor(options: GroupsOptions) {
    const { path, files, settings, clock, log } = options
    this.#options = options
    this.#table = new GroupTable(settings, clock.now())
    this.#file = new ConfigFile({
      path,
      files,
      what: 'consumer groups',
      codec: subscriptionGroupTableBody,
      entriesOf: ({ groups }) => groups.size,
      content: () => this.#table.table,
      log,
    })
  }

  /** Loads the file. @throws Error if the file can neither be read nor put aside */
  static async open(options: GroupsOptions): Promise<Groups> {
    const groups = new Groups(options)
    const loaded = await groups.#file.load(options.clock.now())
    if (loaded !== undefined) groups.#load(loaded)
    return groups
  }

  // The name of a group becomes part of the names of topics, so a name that no broker accepts is not taken from a file either.
  #load(table: SubscriptionGroupTable): void {
    const valid = [...table.groups].filter(([name]) => {
      const problem = groupProblem(name)
      if (problem !== null)
        this.#options.log.warn({ group: name, problem }, 'a consumer group was left out of the groups')
      return problem === null
    })
    this.#table.load({ ...table, groups: new Map(valid) })
  }

  get size(): number {
    return this.#table.size
  }

  get all(): ReadonlyMap<string, SubscriptionGroupConfig> {
    return this.#table.all
  }

  /** The content of the file, and of the answer to GET_ALL_SUBSCRIPTIONGROUP_CONFIG. */
  get content(): SubscriptionGroupTable {
    return this.#table.table
  }

  get(group: string): SubscriptionGroupConfig | undefined {
    return this.#table.get(group)
  }

  has(group: string): boolean {
    return this.#table.has(group)
  }

  /** The group, created at its first use if the broker may; undefined if an operator must create it or its name is invalid. */
  find(group: string): SubscriptionGroupConfig | undefined {
    const known = this.#table.get(group)
    if (known !== undefined) return known
    const { maxGroups } = this.#options.settings()
    if (this.#table.size >= maxGroups) {
      this.#options.log.warn({ group, maxGroups }, 'no consumer group was created: there are too many (maxGroups)')
      return undefined
    }
    const change = this.#table.createOnUse(group, this.#options.clock.now())
    if (change === undefined) return undefined
    this.#options.log.info({ group }, 'auto create a subscription group')
    this.#saveLater()
    return change.after
  }

  /** Creates a group or replaces all its settings, and resolves when it is stored. @throws the error of the file system */
  put(config: SubscriptionGroupConfig): Promise<void> {
    const { before } = this.#table.put(config, this.#options.clock.now())
    this.#options.log.info({ before, config }, before === undefined ? 'create new subscription group' : 'update subscription group config') // biome-ignore format: one thought
    return this.#file.save()
  }

  /** Resolves when the deletion is stored. @throws the error of the file system */
  async delete(group: string): Promise<void> {
    const change = this.#table.delete(group, this.#options.clock.now())
    this.#options.log.info({ group, existed: change !== undefined }, 'delete subscription group')
    if (change !== undefined || this.#file.isBehind) await this.#file.save()
  }

  /** Forbids a group to read a topic, or allows it again, and resolves when it is stored. @throws the error of the file system */
  async setReadable(group: string, topic: string, isReadable: boolean): Promise<void> {
    const isChanged = this.#table.setReadable(group, topic, isReadable, this.#options.clock.now())
    this.#options.log.info(
      { group, topic, isReadable, isChanged },
      'update the topics that a subscription group may not read',
    )
    if (isChanged || this.#file.isBehind) await this.#file.save()
  }

  /** Whether an operator has forbidden a group to read a topic. */
  isForbidden(group: string, topic: string): boolean {
    return this.#table.isForbidden(group, topic)
  }

  /** Waits for the file. Never rejects. */
  close(): Promise<void> {
    return this.#file.close()
  }

  // The file's own log says why it failed; the next change, or the end of the broker, tries again.
  #saveLater(): void {
    this.#file.save().catch(() => {})
  }
}
