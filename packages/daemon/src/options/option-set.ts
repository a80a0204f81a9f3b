import { nearestWord, printable, RemotingError } from '@gantrymq/remoting'
import type { Option } from './option.ts'

/** Every option of a kind of server by name; `O` has the types of their values. */
export type OptionTable<O> = { readonly [K in keyof O]: Option<O[K]> }

/** The values of a table's options. */
export type ValuesOf<T> = { readonly [K in keyof T]: T[K] extends Option<infer V> ? V : never }

/** Options as a program gives them: an option that is left out has its default. */
export type GivenOptions<O> = { readonly [K in keyof O]?: O[K] | undefined }

/** A name in the table of `O`. */
export type OptionName<O> = keyof O & string

/** An option with a value of any type. */
export type AnyOption = Option<unknown>

/** Options under one heading. */
export interface OptionGroup<O> {
  readonly title: string
  readonly names: readonly OptionName<O>[]
}

export interface OptionSetParts<O> {
  /** The parts of the table, under the headings of the help and the documentation. */
  readonly groups: Readonly<Record<string, Partial<OptionTable<O>>>>
  /** Keys of Apache's files without effect in this kind of server, each with the reason, which completes "it ...". */
  readonly ignored: ReadonlyMap<string, string>
  /** The option that gets the path of `-c`, if given: run-time changes are written to that file. */
  readonly fileOption: OptionName<O>
}

const HIDDEN = '******'

/** The options of a kind of server, based on the one table that declares them. */
export class OptionSet<O> {
  /** All names, in the order of the table. */
  readonly names: readonly OptionName<O>[]
  readonly groups: readonly OptionGroup<O>[]
  readonly ignored: ReadonlyMap<string, string>
  readonly fileOption: OptionName<O>
  readonly #table: OptionTable<O>
  readonly #byProperty: ReadonlyMap<string, OptionName<O>>

  constructor(table: OptionTable<O>, { groups, ignored, fileOption }: OptionSetParts<O>) {
    this.#table = table
    this.names = Object.keys(table) as OptionName<O>[]
    this.groups = Object.entries(groups).map(([title, group]) => {
      return { title, names: Object.keys(group) as OptionName<O>[] }
    })
    this.ignored = ignored
    this.fileOption = fileOption
    this.#byProperty = new Map(this.names.flatMap(name => this.#properties(name).map(key => [key, name] as const)))
  }

  #properties(name: OptionName<O>): string[] {
    const { systemProperty } = this.option(name)
    return systemProperty === undefined ? [this.property(name)] : [this.property(name), systemProperty]
  }

  /** The option with a name. */
  option(name: OptionName<O>): AnyOption {
    return this.#table[name]
  }

  /** Its key in a configuration file, and in the requests that read and change the configuration. */
  property(name: OptionName<O>): string {
    return this.option(name).property ?? name
  }

  /** Its long flag without the dashes: `listen-port`. */
  flag(name: OptionName<O>): string {
    // Capitals in a row are one word: --broker-ip1 for brokerIP1.
    return name.replace(/[A-Z]+(?![a-z])|[A-Z]/g, word => `-${word.toLowerCase()}`)
  }

  /** Its environment variable: `GANTRY_LISTEN_PORT`. */
  variable(name: OptionName<O>): string {
    return `GANTRY_${this.flag(name).replaceAll('-', '_').toUpperCase()}`
  }

  /** The option that a key of a configuration file sets; undefined if there is none. */
  ofProperty(key: string): OptionName<O> | undefined {
    return this.#byProperty.get(key)
  }

  /** Why a key that sets no option has no effect. */
  whyIgnored(key: string): string {
    const reason = this.ignored.get(key)
    if (reason !== undefined) return `${key} has no effect: it ${reason}`
    const known = nearestWord(key, this.#byProperty.keys())
    return `the key ${printable(JSON.stringify(key))} is unknown and ignored${known === undefined ? '' : `; did you mean ${known}?`}`
  }

  /** The value of an option's text; undefined if the text is invalid. Blanks around it are ignored. */
  read(name: OptionName<O>, text: string): unknown {
    // Apache silently keeps the default when a blank follows a number, and reads `true ` as false.
    return this.option(name).read(text.trim())
  }

  /** The message for an invalid value: `listenPort=x: it must be a whole number from 0 to 65535`. */
  badValue(shown: string, name: OptionName<O>): string {
    return `${printable(shown)}: it must be ${this.option(name).expected}`
  }

  /**
   * The options of a server inside another program. Frozen.
   * @throws RemotingError BAD_OPTION that names the option and what it must be.
   */
  resolve(given: GivenOptions<O> = {}): O {
    const values: Record<string, unknown> = {}
    for (const name of this.names) values[name] = this.option(name).fallback
    for (const [name, value] of Object.entries(given)) {
      if (value === undefined) continue
      if (!Object.hasOwn(this.#table, name)) throw this.#unknown(name)
      values[name] = this.#checked(name as OptionName<O>, value)
    }
    return Object.freeze(values) as O
  }

  #checked(name: OptionName<O>, value: unknown): unknown {
    const option = this.option(name)
    if (value === option.fallback) return value
    const printed = value === null ? '' : print(option, value)
    const read = option.read(printed)
    // A value of the wrong type may print as a valid text, but then the text is read back as another type.
    if (read === undefined || typeof read !== typeof value || (read === null) !== (value === null)) {
      const shown = option.secret ? HIDDEN : JSON.stringify(value)
      throw new RemotingError('BAD_OPTION', this.badValue(`the option ${name} is ${shown}`, name))
    }
    return read
  }

  #unknown(name: string): RemotingError {
    const known = nearestWord(name, this.names)
    const hint = known === undefined ? '' : `; did you mean ${known}?`
    return new RemotingError('BAD_OPTION', `there is no option ${name}${hint}`)
  }

  /** A text of the option for display: a password is hidden. */
  shownText(name: OptionName<O>, text: string): string {
    return this.option(name).secret ? HIDDEN : text
  }

  /** The value for display: a password is hidden. Null if it is not set. */
  shown(options: O, name: OptionName<O>): string | null {
    const value: unknown = options[name]
    if (value === null) return null
    return this.shownText(name, this.option(name).print(value))
  }
}

function print(option: AnyOption, value: unknown): string {
  if (Array.isArray(option.fallback) !== Array.isArray(value)) return JSON.stringify(value)
  return option.print(value)
}
