import type { Option } from '@gantrymq/daemon'
import { nearestWord, RemotingError } from '@gantrymq/remoting'
import { optionTable } from './option-table.ts'

type ValueOf<O> = O extends Option<infer T> ? T : never

/** Every option with its value. Frozen; a run-time change makes a new object. */
export type NameServerOptions = { readonly [K in keyof typeof optionTable]: ValueOf<(typeof optionTable)[K]> }

/** Options as a program gives them: what is left out has its default. */
export type GivenOptions = { readonly [K in keyof NameServerOptions]?: NameServerOptions[K] | undefined }

const HIDDEN = '******'

export type OptionName = keyof NameServerOptions

/** An option whose type of value does not matter to the reader. */
export type AnyOption = Option<unknown>

/** All names, in the order of the table. */
export const optionNames = Object.keys(optionTable) as OptionName[]

/** The option of a name. */
export function optionOf(name: OptionName): AnyOption {
  return optionTable[name]
}

/** Its key in a configuration file, in GET_NAMESRV_CONFIG and UPDATE_NAMESRV_CONFIG. */
export function propertyOf(name: OptionName): string {
  return optionOf(name).property ?? name
}

/** Its long flag without the dashes: `listen-port`. */
export function flagOf(name: OptionName): string {
  return name.replace(/[A-Z]/g, capital => `-${capital.toLowerCase()}`)
}

/** Its environment variable: `GANTRY_LISTEN_PORT`. */
export function variableOf(name: OptionName): string {
  return `GANTRY_${flagOf(name).replaceAll('-', '_').toUpperCase()}`
}

const namesByProperty: ReadonlyMap<string, OptionName> = new Map(
  optionNames.flatMap(name => {
    const { systemProperty } = optionOf(name)
    const entry: [string, OptionName] = [propertyOf(name), name]
    return systemProperty === undefined ? [entry] : [entry, [systemProperty, name] as const]
  }),
)

/** The option that a key of a configuration file means; undefined if none. */
export function optionOfProperty(key: string): OptionName | undefined {
  return namesByProperty.get(key)
}

/** The key most like a misspelt one. */
export function nearestProperty(key: string): string | undefined {
  return nearestWord(key, namesByProperty.keys())
}

/** What a value is to be, when it is not: `listenPort=x: it must be a whole number from 0 to 65535`. */
export function badValue(shown: string, name: OptionName): string {
  return `${shown}: it must be ${optionOf(name).expected}`
}

/** The value of an option's text; undefined if it is not a good one. Blanks around it do not count. */
export function readValue(name: OptionName, text: string): unknown {
  // Apache silently keeps the default when a blank follows a number, and reads `true ` as false.
  return optionOf(name).read(text.trim())
}

/**
 * The options of a server inside another program.
 * @throws RemotingError BAD_OPTION that names the option and what it must be.
 */
export function resolveOptions(given: GivenOptions = {}): NameServerOptions {
  const values: Record<string, unknown> = {}
  for (const name of optionNames) values[name] = optionOf(name).fallback
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!Object.hasOwn(optionTable, name)) throw unknownOption(name)
    values[name] = checked(name as OptionName, value)
  }
  return Object.freeze(values) as NameServerOptions
}

function checked(name: OptionName, value: unknown): unknown {
  const option = optionOf(name)
  if (value === option.fallback) return value
  const printed = value === null ? '' : print(option, value)
  const read = option.read(printed)
  // A value of the wrong type may print as a good text; what the text is read back as shows it.
  if (read === undefined || typeof read !== typeof value || (read === null) !== (value === null)) {
    throw new RemotingError(
      'BAD_OPTION',
      badValue(`the option ${name} is ${option.secret ? HIDDEN : JSON.stringify(value)}`, name),
    )
  }
  return read
}

function print(option: AnyOption, value: unknown): string {
  if (Array.isArray(option.fallback) !== Array.isArray(value)) return JSON.stringify(value)
  return option.print(value)
}

function unknownOption(name: string): RemotingError {
  const known = nearestWord(name, optionNames)
  return new RemotingError(
    'BAD_OPTION',
    `there is no option ${name}${known === undefined ? '' : `; did you mean ${known}?`}`,
  )
}

/** A text of the option as it may be shown: a password is hidden. */
export function shownText(name: OptionName, text: string): string {
  return optionOf(name).secret ? HIDDEN : text
}

/** The value as it may be shown: a password is hidden. Null if it is not set. */
export function shownValue(options: NameServerOptions, name: OptionName): string | null {
  const value: unknown = options[name]
  if (value === null) return null
  return shownText(name, optionOf(name).print(value))
}
