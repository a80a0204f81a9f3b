import { BACKSLASH_ADVICE, losesBackslash, nearestWord, printable, type PropertyEntry } from '@gantrymq/remoting'
import type { OptionName, OptionSet } from './option-set.ts'

/** The sources of a program's options, the strongest first. */
export interface OptionSources<O> {
  /** Texts of the flags, by option. */
  readonly flags?: ReadonlyMap<OptionName<O>, string>
  readonly environment?: Environment
  /** The file of -c, its path as typed. */
  readonly file?: OptionFile
  /** The user's home folder. */
  readonly home: string
}

type Environment = Readonly<Record<string, string | undefined>>

interface OptionFile {
  readonly path: string
  readonly entries: readonly PropertyEntry[]
  /** The file begins with the byte order mark of UTF-8, which is no part of its entries. */
  readonly hasByteOrderMark?: boolean
}

/** A problem for the operator, with the place to correct it. */
export interface Problem {
  /** After an error the server does not start. */
  readonly level: 'error' | 'warning'
  readonly text: string
}

/** The source of an option's value. */
export type Origin = 'flag' | 'environment' | 'file' | 'default'

/** The result of reading all sources. */
export interface FoundOptions<O> {
  /** Frozen. */
  readonly options: O
  /** The source of each value. */
  readonly origins: ReadonlyMap<OptionName<O>, Origin>
  /** Keys of the file that set no option; kept and shown, as Apache does. */
  readonly unknown: ReadonlyMap<string, string>
  readonly problems: readonly Problem[]
}

/**
 * Reads the options of a program: a flag overrides the environment, the environment overrides the file, and the file
 * overrides the default. Reports all problems, not only the first one.
 */
export function findOptions<O>(set: OptionSet<O>, sources: OptionSources<O>): FoundOptions<O> {
  const { flags = new Map(), environment = {}, file, home } = sources
  const search = new OptionSearch(set, home)
  search.readApacheVariables(environment)
  if (file !== undefined) search.readFile(file)
  search.readVariables(environment)
  search.readFlags(flags)
  return search.found()
}

/** Owns the values found so far. The weakest source is read first, and each one overrides those before. */
class OptionSearch<O> {
  readonly #set: OptionSet<O>
  readonly #values = new Map<OptionName<O>, unknown>()
  readonly #origins = new Map<OptionName<O>, Origin>()
  readonly #unknown = new Map<string, string>()
  readonly #problems: Problem[] = []

  constructor(set: OptionSet<O>, home: string) {
    this.#set = set
    for (const name of set.names) {
      const { atHome, fallback } = set.option(name)
      this.#put(name, atHome === undefined ? fallback : atHome(home), 'default')
    }
  }

  found(): FoundOptions<O> {
    const options = Object.freeze(Object.fromEntries(this.#values)) as O
    return { options, origins: this.#origins, unknown: this.#unknown, problems: this.#problems }
  }

  /** Reads the variables of Apache, which the file overrides. */
  readApacheVariables(environment: Environment): void {
    for (const name of this.#set.names) {
      const { variable } = this.#set.option(name)
      const text = variable === undefined ? undefined : environment[variable]
      if (text !== undefined && text !== '')
        this.#read(name, text, 'environment', `the environment variable ${variable}`)
    }
  }

  readVariables(environment: Environment): void {
    const names = new Map(this.#set.names.map(name => [this.#set.variable(name), name]))
    for (const [variable, text] of Object.entries(environment)) {
      if (text === undefined || !variable.startsWith(PREFIX)) continue
      const name = names.get(variable)
      if (name === undefined) this.#warnOfUnknown(variable, text, names.keys())
      else this.#read(name, text, 'environment', `the environment variable ${variable}`)
    }
  }

  #warnOfUnknown(variable: string, text: string, variables: Iterable<string>): void {
    if (isOfKubernetes(variable, text)) return
    const known = nearestWord(withoutPrefix(variable), Array.from(variables, withoutPrefix))
    const hint = known === undefined ? '' : `; did you mean ${PREFIX}${known}?`
    this.#warn(`the environment variable ${printable(variable)} is unknown and ignored${hint}`)
  }

  readFlags(flags: ReadonlyMap<OptionName<O>, string>): void {
    for (const [name, text] of flags) this.#read(name, text, 'flag', `--${this.#set.flag(name)}`)
  }

  readFile({ path, entries, hasByteOrderMark }: OptionFile): void {
    if (hasByteOrderMark) {
      this.#warn(`${path} begins with a byte order mark, which is skipped; Apache takes it for a part of the first key`)
    }
    const lines = new Map<string, number>()
    for (const { key, value, written, line } of entries) {
      const place = `${path}:${line}`
      const name = this.#set.ofProperty(key)
      const before = lines.get(name ?? key)
      if (before !== undefined) this.#warn(`${place}: ${key} was already set on line ${before}; this line counts`)
      lines.set(name ?? key, line)
      if (name === undefined) {
        this.#unknown.set(key, value)
        this.#warn(`${place}: ${this.#set.whyIgnored(key)}`)
        continue
      }
      if (this.#set.option(name).type === 'path' && losesBackslash(written)) {
        this.#error(`${place}: ${key}=${printable(written)}: ${BACKSLASH_ADVICE}`)
        continue
      }
      this.#read(name, value, 'file', `${place}: ${key}`)
      // oxlint-disable-next-line no-control-regex -- ASCII is meant
      if (/[^\u0000-\u007f]/.test(value)) this.#warn(`${place}: ${notAscii(key)}`)
    }
    // Apache sets it to the path of -c after it has read the file.
    this.#put(this.#set.fileOption, path, 'file')
  }

  /** Takes the value of a text, or reports the invalid text with its place. */
  #read(name: OptionName<O>, text: string, origin: Origin, givenTo: string): void {
    const value = this.#set.read(name, text)
    const shown = `${givenTo}=${this.#set.shownText(name, text)}`
    if (value === undefined) return this.#error(this.#set.badValue(shown, name))
    const { without, fallback } = this.#set.option(name)
    if (without !== undefined && value !== fallback) this.#warn(`${shown} has no effect: ${without}`)
    this.#put(name, value, origin)
  }

  #put(name: OptionName<O>, value: unknown, origin: Origin): void {
    this.#values.set(name, value)
    this.#origins.set(name, origin)
  }

  #error(text: string): void {
    this.#problems.push({ level: 'error', text })
  }

  #warn(text: string): void {
    this.#problems.push({ level: 'warning', text })
  }
}

const PREFIX = 'GANTRY_'

function withoutPrefix(variable: string): string {
  return variable.slice(PREFIX.length)
}

/** Kubernetes sets these variables for each service; that of a service named gantry begin with the prefix of options. */
function isOfKubernetes(variable: string, text: string): boolean {
  return (
    /_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(variable) ||
    /^(?:tcp|udp|sctp):\/\//.test(text)
  )
}

function notAscii(key: string): string {
  return `the value of ${key} is not ASCII and is read as ISO-8859-1, as in Java; write such characters as \\uXXXX`
}
