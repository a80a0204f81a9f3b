import { responseCodes } from '@gantrymq/protocol'
import {
  latestProperties,
  type Logger,
  readProperties,
  ResponseError,
  silent,
  writeProperties,
} from '@gantrymq/remoting'
import type { OptionName, OptionSet } from './option-set.ts'

const { NO_PERMISSION, SYSTEM_ERROR } = responseCodes

/** Apache's remark for a key on the black list (AdminBrokerProcessor, DefaultRequestProcessor). */
const BLACK_LISTED = 'Can not update config in black list.'

/** Longest text of a change, characters: what a server reads in a few milliseconds, and many times what it can have. */
const LONGEST_CHANGE = 256 * 1024
/** Unknown keys of one change that get a line in the log each. */
const UNKNOWN_LOGGED = 20

/** What the options of every server need for changes at run time. */
export interface ChangeableOptions {
  /** Keys that cannot be changed at run time, separated by semicolons; a key of NamesrvConfig and BrokerConfig. */
  readonly configBlackList: string
}

export interface SettingsParts<O> {
  /** Unknown keys of the configuration file, which are shown as Apache does. */
  readonly unknown?: ReadonlyMap<string, string>
  /** Stores changed keys on disk. Default: they are not stored. */
  readonly store?: (updates: ReadonlyMap<string, string>) => Promise<void>
  /** Called with the options after each change. */
  readonly onChange?: (options: O) => void
  readonly log?: Logger
}

/** Owns the options of a running server: their current values, and how they may change. */
export class ServerSettings<O extends ChangeableOptions> {
  readonly #set: OptionSet<O>
  #options: O
  #changing: Promise<void> = Promise.resolve()
  readonly #unknown: ReadonlyMap<string, string>
  readonly #store: (updates: ReadonlyMap<string, string>) => Promise<void>
  readonly #onChange: (options: O) => void
  readonly #log: Logger
  readonly #blackList: ReadonlySet<string>

  constructor(set: OptionSet<O>, options: O, { unknown, store, onChange, log }: SettingsParts<O> = {}) {
    this.#set = set
    this.#options = options
    this.#unknown = unknown ?? new Map()
    this.#store = store ?? (() => Promise.resolve())
    this.#onChange = onChange ?? (() => {})
    this.#log = log ?? silent
    this.#blackList = new Set(options.configBlackList.split(';').map(key => key.trim()))
  }

  /** The current options. Read this property again at each use: a change creates a new object. */
  get options(): O {
    return this.#options
  }

  /** The text of GET_NAMESRV_CONFIG and GET_BROKER_CONFIG: a properties file of all keys that are set, sorted. */
  text(): string {
    const lines = new Map(this.#unknown)
    for (const name of this.#set.names) {
      const value = this.#set.shown(this.#options, name)
      if (value !== null) lines.set(this.#set.property(name), value)
    }
    return writeProperties([...lines].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }

  /**
   * Changes options, all of them or none. Resolves when the changes are stored.
   * Unknown keys are ignored with a warning, as in Apache.
   * @throws ResponseError 16 for a key that may not change, 1 for a bad value or if the file cannot be written.
   */
  update(properties: ReadonlyMap<string, string>): Promise<void> {
    const change = this.#changing.then(() => this.#update(properties))
    this.#changing = change.catch(() => {})
    return change
  }

  /**
   * Changes the options that a properties file in UTF-8 sets: the body of UPDATE_NAMESRV_CONFIG and UPDATE_BROKER_CONFIG.
   * @throws as `update`; ResponseError 1 if the text is too long or cannot be read
   */
  async updateFrom(text: string): Promise<void> {
    if (text.length > LONGEST_CHANGE) {
      const limit = `a change of the configuration may have ${LONGEST_CHANGE} characters, this one has ${text.length}`
      throw new ResponseError(SYSTEM_ERROR, `${limit}: send only the keys to change`)
    }
    await this.update(propertiesIn(text, this.#log))
  }

  /** Waits for the changes requested so far. */
  close(): Promise<void> {
    return this.#changing
  }

  async #update(properties: ReadonlyMap<string, string>): Promise<void> {
    this.#refuseForbidden(properties)
    const values = this.#read(properties)
    if (values.size === 0) return
    const updates = new Map<string, string>()
    for (const [name, value] of values) updates.set(this.#set.property(name), this.#set.option(name).print(value))
    try {
      await this.#store(updates)
    } catch (error) {
      this.#log.error({ err: error }, 'persist string2File error')
      const reason = (error as Error).message
      throw new ResponseError(SYSTEM_ERROR, `the config could not be written, nothing was changed: ${reason}`)
    }
    this.#apply(values)
  }

  #refuseForbidden(properties: ReadonlyMap<string, string>): void {
    const names = Array.from(properties.keys(), key => ({ key, name: this.#set.ofProperty(key) }))
    for (const { key, name } of names) {
      const change = name === undefined ? undefined : this.#set.option(name).change
      if (change === 'black-listed' || this.#blackList.has(key) || (name !== undefined && this.#blackList.has(name))) {
        throw new ResponseError(NO_PERMISSION, BLACK_LISTED)
      }
    }
    for (const { key, name } of names) {
      if (name === undefined) continue
      const { change, whyRefused } = this.#set.option(name)
      if (change !== 'refused') continue
      const why = whyRefused === undefined ? '' : `, ${whyRefused}`
      throw new ResponseError(
        NO_PERMISSION,
        `${key} cannot be updated at run time${why}: set it in the file and restart`,
      )
    }
  }

  #read(properties: ReadonlyMap<string, string>): Map<OptionName<O>, unknown> {
    const values = new Map<OptionName<O>, unknown>()
    const bad: string[] = []
    const unknown: string[] = []
    for (const [key, text] of properties) {
      const name = this.#set.ofProperty(key)
      if (name === undefined) {
        unknown.push(key)
        continue
      }
      const value = this.#set.read(name, text)
      if (value === undefined)
        bad.push(this.#set.badValue(`${key}=${this.#set.shownText(name, text.slice(0, 200))}`, name))
      else values.set(name, value)
    }
    this.#warnOf(unknown)
    if (bad.length > 0) throw new ResponseError(SYSTEM_ERROR, bad.slice(0, 10).join('; '))
    return values
  }

  #warnOf(unknown: readonly string[]): void {
    for (const key of unknown.slice(0, UNKNOWN_LOGGED)) {
      this.#log.warn({ reason: this.#set.whyIgnored(key.slice(0, 200)) }, 'updateConfig ignored a key')
    }
    const others = unknown.length - UNKNOWN_LOGGED
    if (others > 0) this.#log.warn({ keys: others }, 'updateConfig ignored further keys')
  }

  #apply(values: ReadonlyMap<OptionName<O>, unknown>): void {
    const before = this.#options
    const next = Object.freeze({ ...before, ...Object.fromEntries(values) })
    for (const name of values.keys()) {
      const [from, to] = [this.#set.shown(before, name), this.#set.shown(next, name)]
      if (from !== to) this.#log.info({ key: this.#set.property(name), from, to }, 'Replace')
    }
    this.#options = next
    this.#onChange(next)
  }
}

// Apache reads the UTF-8 bytes as ISO-8859-1, so that non-ASCII text must be escaped; here it may be plain, too.
function propertiesIn(text: string, log: Logger): Map<string, string> {
  try {
    const entries = latestProperties(readProperties(Buffer.from(text), 'utf8'))
    return new Map(Array.from(entries, ([key, { value }]) => [key, value]))
  } catch (error) {
    log.warn({ err: error }, 'updateConfig MixAll.string2Properties error')
    throw new ResponseError(SYSTEM_ERROR, 'string2Properties error', { cause: error })
  }
}
