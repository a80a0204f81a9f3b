import type { OptionName } from '@gantrymq/daemon'
import { type NameServerOptions, nameServerOptions } from '@gantrymq/namesrv'
import { nearestWord } from '@gantrymq/remoting'

/** What was typed after `mqnamesrv`. */
export interface CommandLine {
  readonly help: boolean
  /** Print all options and end. */
  readonly print: boolean
  /** The file of -c, as typed. */
  readonly configFile: string | null
  /** Texts of the flags that set options. */
  readonly flags: ReadonlyMap<OptionName<NameServerOptions>, string>
}

/** The command line cannot be read. Its message is what Apache's parser says. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

interface ApacheOption {
  readonly short: string
  readonly long: string
  readonly takesValue: boolean
  readonly meaning: string
}

/** The options of Apache's mqnamesrv (its ServerUtil and NamesrvStartup). */
export const apacheOptions: readonly ApacheOption[] = [
  { short: 'c', long: 'configFile', takesValue: true, meaning: 'Name server config properties file' },
  { short: 'h', long: 'help', takesValue: false, meaning: 'Print help' },
  {
    short: 'n',
    long: 'namesrvAddr',
    takesValue: true,
    meaning: "Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'",
  },
  { short: 'p', long: 'printConfigItem', takesValue: false, meaning: 'Print all config items' },
]

/**
 * Reads the arguments as Apache's parser does (commons-cli 1.5 DefaultParser): `-c FILE`, `-cFILE`, `-c=FILE`, `-pc FILE`,
 * long names with one or two dashes, with a value after `=` or a blank, and shortened as long as only one fits. Words
 * that belong to no option are ignored. Besides, each option of the table has its flag: `--listen-port 9877`.
 * @throws UsageError
 */
export function readCommandLine(args: readonly string[]): CommandLine {
  return new Reader(args).read()
}

/** Owns the place in the arguments. */
class Reader {
  readonly #args: readonly string[]
  #next = 0
  readonly #apache = new Map<string, string>()
  readonly #flags = new Map<OptionName<NameServerOptions>, string>()

  constructor(args: readonly string[]) {
    this.#args = args
  }

  read(): CommandLine {
    while (this.#next < this.#args.length) {
      const token = this.#args[this.#next++]!
      if (token === '--') break
      if (token.startsWith('--')) this.#readLong(token, token.slice(2))
      else if (token.startsWith('-') && token !== '-') this.#readShort(token, token.slice(1))
    }
    const configFile = this.#apache.get('c') ?? null
    return { help: this.#apache.has('h'), print: this.#apache.has('p'), configFile, flags: this.#flags }
  }

  #readLong(token: string, text: string): void {
    const [name, value] = splitAtEquals(text)
    const apache = apacheOptionLike(name, token)
    const flag = apache?.long === name ? undefined : flags.get(name)
    if (flag !== undefined) this.#setFlag(flag, token, value)
    else if (apache !== undefined) this.#setApache(apache, token, value)
    else throw unrecognized(token, name)
  }

  #readShort(token: string, text: string): void {
    const [name, value] = splitAtEquals(text)
    const short = apacheOptions.find(option => option.short === name)
    if (short !== undefined) return this.#setApache(short, token, value)
    const long = apacheOptionLike(name, token)
    if (long !== undefined) return this.#setApache(long, token, value)
    this.#readTogether(token, text)
  }

  /** `-pc FILE`, `-cFILE` */
  #readTogether(token: string, text: string): void {
    for (let at = 0; at < text.length; at++) {
      const option = apacheOptions.find(({ short }) => short === text[at])
      if (option === undefined) throw unrecognized(token, text)
      const rest = text.slice(at + 1)
      if (!option.takesValue) this.#setApache(option, token, undefined)
      else return this.#setApache(option, token, rest === '' ? undefined : rest)
    }
  }

  #setApache(option: ApacheOption, token: string, given: string | undefined): void {
    if (!option.takesValue && given !== undefined) throw unrecognized(token, option.long)
    const value = option.takesValue ? (given ?? this.#takeValue(option.short)) : ''
    // The first counts, as in Apache.
    if (!this.#apache.has(option.short)) this.#apache.set(option.short, value)
  }

  #setFlag({ name, opposite }: Flag, token: string, given: string | undefined): void {
    if (opposite && given !== undefined) throw unrecognized(token, token.slice(2))
    if (opposite) this.#flags.set(name, 'false')
    else if (given !== undefined) this.#flags.set(name, given)
    else if (isSwitch(name)) this.#flags.set(name, this.#takeWordOfSwitch())
    else this.#flags.set(name, this.#takeValue(nameServerOptions.flag(name)))
  }

  #takeValue(option: string): string {
    const value = this.#args[this.#next]
    if (value === undefined || /^-[^\d]/.test(value)) throw new UsageError(`Missing argument for option: ${option}`)
    this.#next++
    return value
  }

  // A switch stands alone or before its word.
  #takeWordOfSwitch(): string {
    const word = this.#args[this.#next]
    if (word === undefined || !/^(?:true|false)$/i.test(word)) return 'true'
    this.#next++
    return word
  }
}

interface Flag {
  readonly name: OptionName<NameServerOptions>
  /** True for `--no-http-enabled`. */
  readonly opposite: boolean
}

// Apache's own spelling of a key works too: --listenPort.
const flags: ReadonlyMap<string, Flag> = new Map(
  nameServerOptions.names.flatMap(name => {
    const spellings = [nameServerOptions.flag(name), name].map((spelling): [string, Flag] => [
      spelling,
      { name, opposite: false },
    ])
    if (isSwitch(name)) spellings.push([`no-${nameServerOptions.flag(name)}`, { name, opposite: true }])
    return spellings
  }),
)

function isSwitch(name: OptionName<NameServerOptions>): boolean {
  return nameServerOptions.option(name).type === 'boolean'
}

function splitAtEquals(text: string): [name: string, value: string | undefined] {
  const at = text.indexOf('=')
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

function apacheOptionLike(name: string, token: string): ApacheOption | undefined {
  const exact = apacheOptions.find(({ long }) => long === name)
  const like = exact ? [exact] : apacheOptions.filter(({ long }) => name !== '' && long.startsWith(name))
  if (like.length > 1) {
    const names = like.map(({ long }) => `'${long}'`).join(', ')
    throw new UsageError(`Ambiguous option: '${token}'  (could be: ${names})`)
  }
  return like[0]
}

function unrecognized(token: string, name: string): UsageError {
  const known = nearestWord(name, flags.keys())
  const hint = known === undefined || name.length < 3 ? '' : ` (did you mean --${known}?)`
  return new UsageError(`Unrecognized option: ${token}${hint}`)
}
