import type { ExtFields } from './command.ts'
import { HeaderError } from './errors.ts'
import { quote } from './fastjson/quote.ts'

/**
 * A header field: a typed value in this process, text in `extFields` on the wire.
 *
 * Java's rule for reading (RemotingCommand.decodeCommandCustomHeader): a text that cannot be parsed as the field's type leaves
 * the field unset. So an optional field with such a text counts as absent. For a required field this codec throws an error that
 * names it, where Java fails with a NullPointerException.
 */
export interface Field<T> {
  /** The type as the documentation names it. */
  readonly type: string
  /** Parses a text; undefined if the text is not of this type. */
  parse(text: string): T | undefined
  print(value: T): string
  /** Whether a text of another type is an error even where the field may be missing: see `strict`. */
  readonly isStrict?: boolean
}

export interface RequiredField<T> extends Field<T> {
  readonly presence: 'required'
}
export interface OptionalField<T> extends Field<T> {
  readonly presence: 'optional'
}
export interface DefaultedField<T> extends Field<T> {
  readonly presence: 'defaulted'
  readonly fallback: T
}
export type AnyField = RequiredField<any> | OptionalField<any> | DefaultedField<any> // oxlint-disable-line typescript/no-explicit-any -- a bound, never a value

function required<T>(type: string, parse: (text: string) => T | undefined, print: (value: T) => string = String) {
  return { presence: 'required', type, parse, print } satisfies RequiredField<T> as RequiredField<T>
}

const DECIMAL = /^[+-]?\d{1,20}$/

function parseInteger(text: string, min: bigint, max: bigint): bigint | undefined {
  // As Java's Long.parseLong: a sign and decimal digits, no blanks, no fraction.
  if (!DECIMAL.test(text)) return undefined
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
  return value >= min && value <= max ? value : undefined
}

/** A text of this form always fits an int. */
const SHORT_DECIMAL = /^-?\d{1,9}$/
/** A text of this form is always exact as a number. */
const SAFE_DECIMAL = /^-?\d{1,15}$/

function parseInt32(text: string): number | undefined {
  if (SHORT_DECIMAL.test(text)) return Number(text)
  const value = parseInteger(text, -2147483648n, 2147483647n)
  return value === undefined ? undefined : Number(value)
}

function parseSafeLong(text: string): number | undefined {
  if (SAFE_DECIMAL.test(text)) return Number(text)
  const value = parseInteger(text, BigInt(Number.MIN_SAFE_INTEGER), BigInt(Number.MAX_SAFE_INTEGER))
  return value === undefined ? undefined : Number(value)
}

/** Java's String. */
export const text = () => required<string>('string', value => value)
/** Java's int: 32 bits. */
export const int = () => required<number>('int', parseInt32)
/** Java's long as a number; a value beyond 2^53 counts as unreadable. */
export const long = () => required<number>('long', parseSafeLong)
/** Java's long with all its 64 bits: a number where that is exact, a bigint beyond. */
export type Long = number | bigint

/** The canonical form of a long, so that `===` and Map keys work: a number where that is exact, a bigint beyond. */
export function exactLong(value: bigint): Long {
  const near = Number(value)
  return Number.isSafeInteger(near) ? near : value
}

function parseLong(text: string): Long | undefined {
  if (SAFE_DECIMAL.test(text)) return Number(text)
  const value = parseInteger(text, -9223372036854775808n, 9223372036854775807n)
  return value === undefined ? undefined : exactLong(value)
}

/** Java's long with all its 64 bits. */
export const bigLong = () => required<Long>('long', parseLong)
/** Java's boolean: `true`, in upper or lower case, is true; everything else is false. */
export const bool = () => required<boolean>('boolean', value => value.toLowerCase() === 'true')
/** Java's double. */
export const double = () =>
  required<number>('double', value =>
    /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value) ? Number(value) : undefined,
  )

/** A field that may be missing; an unreadable text counts as missing. */
export function optional<T>(field: RequiredField<T>): OptionalField<T> {
  return { ...field, presence: 'optional' }
}

/**
 * A field that may be missing, and is an error if it is unreadable, where Java reads it as missing: for a request that changes
 * more than its sender wants if it is carried out without the field.
 */
export function strict<F extends OptionalField<unknown> | DefaultedField<unknown>>(field: F): F {
  return { ...field, isStrict: true }
}

/** A field that has Java's default if it is missing or unreadable. */
export function defaulted<T>(field: RequiredField<T>, fallback: T): DefaultedField<T> {
  return { ...field, presence: 'defaulted', fallback }
}

export type FieldTable = Readonly<Record<string, AnyField>>

type ValueOf<F> = F extends Field<infer T> ? T : never
type KeysOf<S extends FieldTable, P extends AnyField['presence']> = {
  [K in keyof S]: S[K]['presence'] extends P ? K : never
}[keyof S]
type Flat<T> = { [K in keyof T]: T[K] }

/** A header as the receiver reads it. */
export type HeaderValue<S extends FieldTable> = Flat<
  { readonly [K in KeysOf<S, 'required' | 'defaulted'>]: ValueOf<S[K]> } & {
    readonly [K in KeysOf<S, 'optional'>]?: ValueOf<S[K]>
  }
>

/** A header as the sender gives it: defaults may be left out. */
export type HeaderInput<S extends FieldTable> = Flat<
  { readonly [K in KeysOf<S, 'required'>]: ValueOf<S[K]> } & {
    readonly [K in KeysOf<S, 'optional' | 'defaulted'>]?: ValueOf<S[K]> | undefined
  }
>

/** Reads and writes one kind of header. */
export interface HeaderCodec<S extends FieldTable = FieldTable> {
  readonly fields: S
  /** @throws HeaderError if a required field is missing or unreadable, or a strict one is unreadable. */
  decode(extFields: ExtFields | null): HeaderValue<S>
  /** Undefined values are left out; the order is the declaration's. */
  encode(value: HeaderInput<S>): Map<string, string>
  /** The same as JSON text without braces, at a third of the cost of encoding and writing a map. */
  json(value: HeaderInput<S>): string
}

const CHARACTERS_SHOWN = 64

function clip(value: string): string {
  return value.length <= CHARACTERS_SHOWN ? value : `${value.slice(0, CHARACTERS_SHOWN)}…`
}

/** Declares a header by its fields, named as on the wire. */
export function header<const S extends FieldTable>(fields: S): HeaderCodec<S> {
  const names = Object.keys(fields)
  const keys = names.map(name => `${quote(name)}:`)
  const areTexts = names.map(name => (fields[name] as AnyField).type === 'string')
  return {
    fields,
    decode(extFields) {
      const value: Record<string, unknown> = {}
      for (const name of names) {
        const field = fields[name] as AnyField
        const raw = extFields?.get(name)
        const parsed: unknown = raw === undefined ? undefined : field.parse(raw)
        if (parsed !== undefined) value[name] = parsed
        else if (raw !== undefined && field.isStrict === true) throw unreadable(name, field, raw)
        else if (field.presence === 'defaulted') value[name] = field.fallback
        else if (field.presence === 'required') throw unreadable(name, field, raw)
      }
      return value as HeaderValue<S>
    },
    encode(value) {
      const extFields = new Map<string, string>()
      for (const name of names) {
        const given = (value as Record<string, unknown>)[name]
        if (given !== undefined && given !== null) extFields.set(name, (fields[name] as AnyField).print(given))
      }
      return extFields
    },
    json(value) {
      let text = ''
      for (let at = 0; at < names.length; at++) {
        const name = names[at] as string
        const given = (value as Record<string, unknown>)[name]
        if (given === undefined || given === null) continue
        const printed = (fields[name] as AnyField).print(given)
        // Numbers and booleans have nothing to escape.
        text += (text === '' ? '' : ',') + keys[at] + (areTexts[at] === true ? quote(printed) : `"${printed}"`)
      }
      return text
    },
  }
}

function unreadable(name: string, field: AnyField, raw: string | undefined): HeaderError {
  return raw === undefined
    ? new HeaderError(name, `the header field ${name} (${field.type}) is missing`)
    : new HeaderError(name, `the header field ${name} is not a ${field.type}: ${JSON.stringify(clip(raw))}`)
}
