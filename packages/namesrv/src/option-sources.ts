import { nearestWord, type PropertyEntry } from '@gantrymq/remoting'
import { ignoredProperties } from './ignored-properties.ts'
import {
  badValue,
  type NameServerOptions,
  nearestProperty,
  optionNames,
  optionOf,
  optionOfProperty,
  type OptionName,
  flagOf,
  readValue,
  shownText,
  variableOf,
} from './options.ts'

/** Where a program's options come from; what stands first counts most. */
export interface OptionSources {
  /** Texts of the flags, by option. */
  readonly flags?: ReadonlyMap<OptionName, string>
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** The file of -c, its path as typed. */
  readonly file?: { readonly path: string; readonly entries: readonly PropertyEntry[] }
  /** The user's home folder. */
  readonly home: string
}

/** Something to tell the operator, with the place where it is to be put right. */
export interface Problem {
  /** With an error the server does not start. */
  readonly level: 'error' | 'warning'
  readonly text: string
}

/** Where the value of an option came from. */
export type Origin = 'flag' | 'environment' | 'file' | 'default'

/** What the sources amount to. */
export interface FoundOptions {
  readonly options: NameServerOptions
  /** Where each value came from. */
  readonly origins: ReadonlyMap<OptionName, Origin>
  /** Keys of the file that mean nothing here; kept and shown, as Apache does. */
  readonly unknown: ReadonlyMap<string, string>
  readonly problems: readonly Problem[]
}

/** Reads the options of a program: flag, then environment, then file, then default. Reports all that is wrong, not the first. */
export function findOptions(sources: OptionSources): FoundOptions {
  const problems: Problem[] = []
  const values = new Map<OptionName, unknown>()
  const origins = new Map<OptionName, Origin>()
  for (const name of optionNames) {
    values.set(name, defaultOf(name, sources.home))
    origins.set(name, 'default')
  }
  const take = (origin: Origin, found: ReadonlyMap<OptionName, unknown>) => {
    for (const [name, value] of found) {
      values.set(name, value)
      origins.set(name, origin)
    }
  }
  const { file } = sources
  const unknown = new Map<string, string>()
  take('environment', weakVariables(sources.environment ?? {}, problems))
  if (file !== undefined) {
    take('file', fromFile(file, unknown, problems))
    // Apache sets it to the path of -c after it has read the file.
    take('file', new Map([['configStorePath', file.path]]))
  }
  take('environment', fromEnvironment(sources.environment ?? {}, problems))
  take('flag', fromFlags(sources.flags ?? new Map(), problems))
  const options = Object.freeze(Object.fromEntries(values)) as NameServerOptions
  return { options, origins, unknown, problems }
}

function defaultOf(name: OptionName, home: string): unknown {
  const option = optionOf(name)
  return option.atHome === undefined ? option.fallback : option.atHome(home)
}

type Found = Map<OptionName, unknown>

/** Reads one text into `found`, or reports it. */
function put(found: Found, name: OptionName, text: string, shown: string, problems: Problem[]): void {
  const value = readValue(name, text)
  if (value === undefined) problems.push({ level: 'error', text: badValue(shown, name) })
  else found.set(name, value)
}

function fromFlags(flags: ReadonlyMap<OptionName, string>, problems: Problem[]): Found {
  const found: Found = new Map()
  for (const [name, text] of flags) put(found, name, text, `--${flagOf(name)}=${shownText(name, text)}`, problems)
  return found
}

function fromEnvironment(environment: Readonly<Record<string, string | undefined>>, problems: Problem[]): Found {
  const found: Found = new Map()
  const variables = new Map(optionNames.map(name => [variableOf(name), name]))
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith('GANTRY_')) continue
    const name = variables.get(variable)
    if (name !== undefined) {
      put(found, name, text, `the environment variable ${variable}=${shownText(name, text)}`, problems)
      continue
    }
    // Only what looks like a slip is told: a scheduler may set variables of its own with this beginning.
    const known = nearestWord(variable, variables.keys())
    if (known !== undefined && Math.abs(known.length - variable.length) <= 2) {
      problems.push({
        level: 'warning',
        text: `the environment variable ${variable} is unknown; did you mean ${known}?`,
      })
    }
  }
  return found
}

/** Variables of Apache, which count less than the file. */
function weakVariables(environment: Readonly<Record<string, string | undefined>>, problems: Problem[]): Found {
  const found: Found = new Map()
  for (const name of optionNames) {
    const { variable } = optionOf(name)
    const text = variable === undefined ? undefined : environment[variable]
    if (text !== undefined && text !== '')
      put(found, name, text, `the environment variable ${variable}=${text}`, problems)
  }
  return found
}

function fromFile(file: NonNullable<OptionSources['file']>, unknown: Map<string, string>, problems: Problem[]): Found {
  const found: Found = new Map()
  const lines = new Map<string, number>()
  for (const { key, value, line } of file.entries) {
    const place = `${file.path}:${line}`
    const name = optionOfProperty(key)
    const before = lines.get(name ?? key)
    if (before !== undefined) {
      problems.push({ level: 'warning', text: `${place}: ${key} was set on line ${before} already; this line counts` })
    }
    lines.set(name ?? key, line)
    if (name === undefined) {
      unknown.set(key, value)
      problems.push({ level: 'warning', text: `${place}: ${whyIgnored(key)}` })
      continue
    }
    put(found, name, value, `${place}: ${key}=${shownText(name, value)}`, problems)
    // oxlint-disable-next-line no-control-regex -- ASCII is meant
    if (/[^\u0000-\u007f]/.test(value)) problems.push({ level: 'warning', text: `${place}: ${notAscii(key)}` })
  }
  return found
}

/** Why a key of a file has no effect. */
export function whyIgnored(key: string): string {
  const foreign = ignoredProperties.get(key)
  if (foreign !== undefined) return `${key} has no effect: it ${foreign}`
  const known = nearestProperty(key)
  return `the key ${JSON.stringify(key)} is unknown and ignored${known === undefined ? '' : `; did you mean ${known}?`}`
}

function notAscii(key: string): string {
  return `the value of ${key} is not ASCII and read as ISO-8859-1, as Java does; write such characters as \\uXXXX`
}
