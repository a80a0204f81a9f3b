import { ClientError } from './errors.ts'
import { shown, wordMeant } from './fields.ts'

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
    if (!Object.hasOwn(table, name)) throw unknownOption(who, name, table)
  }
  return Object.freeze(values) as OptionValues<T>
}

/** Options whose values are never shown, because they contain secrets. */
const SECRETS: ReadonlySet<string> = new Set(['credentials', 'tls'])

/** Why a program may not use the group that Apache's clients have if none is named. */
export function defaultGroupProblem(group: string): string {
  return `the group ${group} is the default of Apache's client: two programs that keep it would take each other's messages; choose another name`
}

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

/** Names of Apache's client for what is an option of its own here, and not in a table. */
const JAVA_NAMES: Readonly<Record<string, string>> = {
  producerGroup: 'group',
  consumerGroup: 'group',
  namesrvDomain: 'nameServers: { url }',
  messageListener: 'onMessage',
  subscription: 'subscriptions',
  transactionListener: 'checkTransaction',
  accessKey: 'credentials: { accessKey, secretKey }',
  secretKey: 'credentials: { accessKey, secretKey }',
  brokers: 'nameServers',
  endpoints: 'nameServers',
}

function unknownOption(who: string, name: string, table: DeclaredOptions): ClientError {
  const isJavas = ([, { java }]: [string, AnyDeclaredOption]): boolean => java?.split(', ').includes(name) === true
  const ours = JAVA_NAMES[name] ?? Object.entries(table).find(isJavas)?.[0]
  const like = ours === undefined ? wordMeant(name.slice(0, 80), Object.keys(table)) : undefined
  const guess = like === undefined ? 'docs/client-options.md lists all' : `did you mean ${like}?`
  const advice = ours === undefined ? guess : `this client calls it ${ours}`
  return new ClientError('BAD_OPTION', `${who}: there is no option ${name.slice(0, 80)}; ${advice}`)
}
