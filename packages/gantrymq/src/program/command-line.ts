import type { OptionName, OptionSet } from '@gantrymq/daemon'
import { nearestWord } from '@gantrymq/remoting'
import type { ApacheOption, Program, ProgramOptions } from './program.ts'

/** The arguments of a program. */
export interface CommandLine<O> {
  readonly help: boolean
  /** Print the version and exit. */
  readonly version: boolean
  /** Print all options and exit. */
  readonly print: boolean
  /** Print the important options and exit. */
  readonly printImportant: boolean
  /** The file of -c, as typed. */
  readonly configFile: string | null
  /** Texts of the flags that set options. */
  readonly flags: ReadonlyMap<OptionName<O>, string>
}

/** The command line is invalid. The message is that of Apache's parser. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/**
 * Reads the arguments as Apache's parser does (commons-cli 1.5 DefaultParser): `-c FILE`, `-cFILE`, `-c=FILE`, `-pc FILE`,
 * and long names with one or two dashes, with a value after `=` or a blank, which may be shortened as long as they are
 * unambiguous. In addition, each option of the table has a flag, `--listen-port 9877`, and there is `--version`. Unlike Apache's,
 * it refuses words that belong to no option: `mqnamesrv listenPort=9877` would run on another port.
 * @throws UsageError
 */
export function readCommandLine<O extends ProgramOptions>(
  program: Program<O>,
  args: readonly string[],
): CommandLine<O> {
  return new Reader(program, args).read()
}

/** Owns the position in the arguments, and the options read so far. */
class Reader<O extends ProgramOptions> {
  readonly #args: readonly string[]
  #next = 0
  #version = false
  readonly #program: string
  readonly #options: OptionSet<O>
  readonly #apacheOptions: readonly ApacheOption<O>[]
  readonly #flagsByWord: ReadonlyMap<string, Flag<O>>
  readonly #apache = new Map<string, string>()
  readonly #flags = new Map<OptionName<O>, string>()

  constructor({ name, options, apacheOptions }: Program<O>, args: readonly string[]) {
    this.#args = args
    this.#program = name
    this.#options = options
    this.#apacheOptions = apacheOptions
    this.#flagsByWord = flagsOf(options)
  }

  read(): CommandLine<O> {
    while (this.#next < this.#args.length) {
      const token = this.#args[this.#next++]!
      if (token === '--') continue
      if (token === '--version' || token === '-version') this.#version = true
      else if (token.startsWith('--')) this.#readLong(token, token.slice(2))
      else if (token.startsWith('-') && token !== '-') this.#readShort(token, token.slice(1))
      else throw this.#notAnOption(token)
    }
    return {
      help: this.#apache.has('h'),
      version: this.#version,
      print: this.#apache.has('p'),
      printImportant: this.#apache.has('m'),
      configFile: this.#apache.get('c') ?? null,
      flags: this.#flags,
    }
  }

  #readLong(token: string, text: string): void {
    const [name, value] = splitAtEquals(text)
    const apache = this.#apacheOptionLike(name, token)
    const flag = apache?.long === name ? undefined : this.#flagsByWord.get(name)
    if (flag !== undefined) this.#setFlag(flag, token, value)
    else if (apache !== undefined) this.#setApache(apache, token, value)
    else throw this.#unrecognized(token, name)
  }

  #readShort(token: string, text: string): void {
    const [name, value] = splitAtEquals(text)
    const short = this.#apacheOptions.find(option => option.short === name)
    if (short !== undefined) return this.#setApache(short, token, value)
    const long = this.#apacheOptionLike(name, token)
    if (long !== undefined) return this.#setApache(long, token, value)
    this.#readTogether(token, text)
  }

  /** `-pc FILE`, `-cFILE` */
  #readTogether(token: string, text: string): void {
    for (let at = 0; at < text.length; at++) {
      const option = this.#apacheOptions.find(({ short }) => short === text[at])
      if (option === undefined) throw this.#unrecognized(token, text)
      const rest = text.slice(at + 1)
      if (!option.takesValue) this.#setApache(option, token, undefined)
      else return this.#setApache(option, token, rest === '' ? undefined : rest)
    }
  }

  #setApache(option: ApacheOption<O>, token: string, given: string | undefined): void {
    if (!option.takesValue && given !== undefined) throw this.#unrecognized(token, option.long)
    const value = option.takesValue ? (given ?? this.#takeValue(option.short)) : ''
    // The first one counts, as in Apache.
    if (this.#apache.has(option.short)) return
    this.#apache.set(option.short, value)
    if (option.sets !== undefined) this.#flags.set(option.sets, value)
  }

  #setFlag({ name, opposite }: Flag<O>, token: string, given: string | undefined): void {
    if (opposite && given !== undefined) throw this.#unrecognized(token, token.slice(2))
    if (opposite) this.#flags.set(name, 'false')
    else if (given !== undefined) this.#flags.set(name, given)
    else if (isBoolean(this.#options, name)) this.#flags.set(name, this.#takeBoolean())
    else this.#flags.set(name, this.#takeValue(this.#options.flag(name)))
  }

  #takeValue(option: string): string {
    const value = this.#args[this.#next]
    if (value === undefined || /^-[^\d]/.test(value)) throw new UsageError(`Missing argument for option: ${option}`)
    this.#next++
    return value
  }

  // A boolean flag stands alone or before true or false.
  #takeBoolean(): string {
    const word = this.#args[this.#next]
    if (word === undefined || !/^(?:true|false)$/i.test(word)) return 'true'
    this.#next++
    return word
  }

  #apacheOptionLike(name: string, token: string): ApacheOption<O> | undefined {
    const exact = this.#apacheOptions.find(({ long }) => long === name)
    if (exact !== undefined || name === '') return exact
    const like = this.#apacheOptions.filter(({ long }) => long.startsWith(name))
    if (like.length > 1) {
      const names = like.map(({ long }) => `'${long}'`).join(', ')
      throw new UsageError(`Ambiguous option: '${token}'  (could be: ${names})`)
    }
    return like[0]
  }

  #notAnOption(word: string): UsageError {
    const [name, value] = splitAtEquals(word)
    const known = value === undefined ? undefined : nearestWord(name, this.#flagsByWord.keys())
    const meant = known === undefined ? undefined : this.#flagsByWord.get(known)
    const hint = meant === undefined ? '' : ` (did you mean --${this.#options.flag(meant.name)}=${value}?)`
    return new UsageError(`${this.#program} takes options only, and ${JSON.stringify(word)} is none${hint}`)
  }

  #unrecognized(token: string, name: string): UsageError {
    const known = nearestWord(name, this.#flagsByWord.keys())
    const hint = known === undefined || name.length < 3 ? '' : ` (did you mean --${known}?)`
    return new UsageError(`Unrecognized option: ${token}${hint}`)
  }
}

interface Flag<O> {
  readonly name: OptionName<O>
  /** True for `--no-http-enabled`. */
  readonly opposite: boolean
}

/** The flags of all options by name. The name of the option itself works too: --listenPort. */
function flagsOf<O>(options: OptionSet<O>): ReadonlyMap<string, Flag<O>> {
  const flags = new Map<string, Flag<O>>()
  for (const name of options.names) {
    const word = options.flag(name)
    flags.set(word, { name, opposite: false })
    flags.set(name, { name, opposite: false })
    if (isBoolean(options, name)) flags.set(`no-${word}`, { name, opposite: true })
  }
  return flags
}

function isBoolean<O>(options: OptionSet<O>, name: OptionName<O>): boolean {
  return options.option(name).type === 'boolean'
}

function splitAtEquals(text: string): [name: string, value: string | undefined] {
  const at = text.indexOf('=')
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}
