import { nearestWord } from '@gantrymq/remoting'
import { ClientError } from './errors.ts'

/** An option: its default, the values that it accepts, and its name in Apache's client. */
export interface DeclaredOption<T> {
  /** The value if the option is left out. */
  readonly fallback: T
  /** A description of the accepted values, for errors and the documentation. */
  readonly expected: string
  /** The corresponding key of Apache's client; null if there is none. */
  readonly java: string | null
  readonly accepts: (value: unknown) => boolean
}

type AnyDeclaredOption = DeclaredOption<any> // oxlint-disable-line typescript/no-explicit-any -- a bound, never a value

export type DeclaredOptions = Readonly<Record<string, AnyDeclaredOption>>

/** The values of a table's options, with defaults filled in. */
export type OptionValues<T extends DeclaredOptions> = {
  readonly [K in keyof T]: T[K] extends DeclaredOption<infer V> ? V : never
}

/** The options of a table as users give them. */
export type GivenOf<T extends DeclaredOptions> = {
  readonly [K in keyof T]?: (T[K] extends DeclaredOption<infer V> ? V : never) | undefined
}

interface Range {
  readonly min?: number
  readonly max?: number
}

const LARGEST = 2_147_483_647

/** An integer. */
export function whole(
  fallback: number,
  java: string | null,
  { min = 0, max = LARGEST }: Range = {},
): DeclaredOption<number> {
  const accepts = (value: unknown): boolean =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
  return { fallback, java, expected: `a whole number from ${min} to ${max}`, accepts }
}

/** A time in milliseconds. */
export function millis(fallback: number, java: string | null, range: Range = {}): DeclaredOption<number> {
  const { expected, ...rest } = whole(fallback, java, range)
  return { ...rest, expected: `${expected}, in milliseconds` }
}

export function flag(fallback: boolean, java: string | null): DeclaredOption<boolean> {
  return { fallback, java, expected: 'true or false', accepts: value => typeof value === 'boolean' }
}

export function word<const W extends string>(fallback: W, java: string | null, all: readonly W[]): DeclaredOption<W> {
  const accepts = (value: unknown): boolean => all.some(each => each === value)
  return { fallback, java, expected: `one of ${all.join(', ')}`, accepts }
}

export function textOption(fallback: string, java: string | null): DeclaredOption<string> {
  return { fallback, java, expected: 'a string', accepts: value => typeof value === 'string' }
}

/** An option with its own check. Its default need not pass the check, and may be undefined. */
export function custom<T>(
  fallback: T,
  java: string | null,
  expected: string,
  accepts: (value: unknown) => boolean,
): DeclaredOption<T> {
  return { fallback, java, expected, accepts: value => value === fallback || accepts(value) }
}

/**
 * The options of `who` with defaults filled in, frozen.
 * @throws ClientError BAD_OPTION with the option, the given value and the accepted values
 */
export function readOptions<const T extends DeclaredOptions>(
  who: string,
  table: T,
  given: GivenOf<T>,
): OptionValues<T> {
  const values: Record<string, unknown> = {}
  for (const [name, { fallback, accepts, expected }] of Object.entries(table)) {
    const value: unknown = given[name]
    if (value !== undefined && !accepts(value)) throw badOption(who, name, value, expected)
    values[name] = value ?? fallback
  }
  for (const name of Object.keys(given)) {
    if (!(name in table)) throw unknownOption(who, name, Object.keys(table))
  }
  return Object.freeze(values) as OptionValues<T>
}

/** Options whose values are never shown, because they contain secrets. */
const SECRETS: ReadonlySet<string> = new Set(['credentials', 'tls'])

/** Checks that options are an object, for callers without types. @throws ClientError BAD_OPTION */
export function checkedOptions<T>(who: string, given: T): T {
  if (typeof given === 'object' && given !== null) return given
  throw badOption(who, 'options', given, 'an object')
}

/** The error for a wrong option. It shows the value only if that cannot be a secret. */
export function badOption(who: string, name: string, value: unknown, expected: string): ClientError {
  const given = SECRETS.has(name) ? `a value of type ${typeof value}` : shown(value)
  return new ClientError('BAD_OPTION', `${who}: option ${name} must be ${expected}, not ${given}`)
}

function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : `a value of type ${typeof value}`
}

function unknownOption(who: string, name: string, known: readonly string[]): ClientError {
  const like = wordMeant(name.slice(0, 80), known)
  const advice = like === undefined ? 'docs/client-options.md lists all' : `did you mean ${like}?`
  return new ClientError('BAD_OPTION', `${who}: there is no option ${name.slice(0, 80)}; ${advice}`)
}

/** The known word that begins with the given one, or the other way round, else the one with the nearest spelling. */
function wordMeant(given: string, known: readonly string[]): string | undefined {
  const lower = given.toLowerCase()
  const begins = (word: string) => word.startsWith(lower) || lower.startsWith(word)
  const longer = lower.length > 3 ? known.find(each => begins(each.toLowerCase())) : undefined
  return longer ?? nearestWord(given, known)
}
