import { RemotingError } from '../errors.ts'
import { exactLong, type Long } from '../fields.ts'
import {
  isArray,
  isObject,
  type JsonArray,
  type JsonInput,
  type JsonKey,
  type JsonObject,
  type JsonValue,
} from './value.ts'
import { writeFastjson } from './writer.ts'

// Reads members of a bean and converts them as fastjson does (TypeUtils.castToInt, for example): `"4"`, `4.7` and `true` are
// ints, null keeps Java's default. If neither line can convert a value, the error names the member.

/** No bean has more members: a larger object is not searched for similar names. */
const LARGEST_BEAN = 64

function plain(name: string): string {
  return name.replaceAll(/[_-]/g, '').toLowerCase()
}

/**
 * A member by its name. fastjson 1 also accepts `read_queue_nums`, `ReadQueueNums` and `isOrder` (smartMatch).
 * @returns undefined if it is missing or null.
 */
function member(object: JsonObject, name: string): JsonValue | undefined {
  const found = object.get(name)
  if (found !== undefined) return found ?? undefined
  if (object.size > LARGEST_BEAN) return undefined
  const wanted = name.toLowerCase()
  for (const [key, value] of object) {
    if (typeof key !== 'string' || key.length < name.length) continue
    const given = plain(key)
    if (given === wanted || given === `is${wanted}`) return value ?? undefined
  }
  return undefined
}

function wrong(name: string, type: string, value: JsonValue): RemotingError {
  const shown = isArray(value) || isObject(value) ? 'an object or a list' : JSON.stringify(String(value).slice(0, 64))
  return new RemotingError('BAD_BODY', `${name} of the body is not ${type}: ${shown}`)
}

const WHOLE = /^[+-]?\d{1,20}$/
const WHOLE_AS_DECIMAL = /^([+-]?\d{1,20})\.0*$/

function wholeOf(value: JsonValue): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return BigInt(Math.trunc(value))
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (typeof value !== 'string') return undefined
  const digits = WHOLE.test(value) ? value : WHOLE_AS_DECIMAL.exec(value)?.[1]
  return digits === undefined ? undefined : BigInt(digits.startsWith('+') ? digits.slice(1) : digits)
}

/** As `member`, for numbers and booleans, for which an empty string counts as null. */
function scalar(object: JsonObject, name: string): JsonValue | undefined {
  const value = member(object, name)
  return value === '' || value === 'null' || value === 'NULL' ? undefined : value
}

export function toInt(value: JsonValue, name: string): number {
  if (typeof value === 'number' && value === (value | 0)) return value
  const whole = wholeOf(value)
  if (whole === undefined || whole !== BigInt.asIntN(32, whole)) throw wrong(name, 'an int', value)
  return Number(whole)
}

function toLong(value: JsonValue, name: string): Long {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  const whole = wholeOf(value)
  if (whole === undefined || whole !== BigInt.asIntN(64, whole)) throw wrong(name, 'a long', value)
  return exactLong(whole)
}

/** A key of Java's `Map<Long, …>`: bare or quoted digits. */
export function toLongKey(key: JsonKey, name: string): Long {
  if (typeof key !== 'string') throw wrong(name, 'a long', key)
  return toLong(key, name)
}

export function toText(value: JsonValue): string {
  if (typeof value === 'string') return value
  return isArray(value) || isObject(value) ? writeFastjson(value as JsonInput, 'fastjson') : String(value)
}

/** An object; null counts as an empty one. */
export function toObject(value: JsonValue | undefined, name: string): JsonObject {
  if (value === undefined || value === null) return new Map()
  if (!isObject(value)) throw wrong(name, 'an object', value)
  return value
}

/** A list of objects; null counts as an empty list, a null item as an empty object. */
export function toObjects(value: JsonValue, name: string): JsonObject[] {
  const list = value === null ? [] : isArray(value) ? value : [value]
  return list.map(item => toObject(item, name))
}

export function intOf(object: JsonObject, name: string, fallback: number): number {
  const value = scalar(object, name)
  return value === undefined ? fallback : toInt(value, name)
}

export function longOf(object: JsonObject, name: string, fallback: Long): Long {
  const value = scalar(object, name)
  return value === undefined ? fallback : toLong(value, name)
}

/** A long that is never beyond 2^53 in practice: an offset, a count, a time. A larger value is an error. */
export function toNumber(value: JsonValue, name: string): number {
  const whole = toLong(value, name)
  if (typeof whole === 'bigint') throw wrong(name, 'a number below 2^53', whole)
  return whole
}

/** See `toNumber`. */
export function numberOf(object: JsonObject, name: string, fallback: number): number {
  const value = scalar(object, name)
  return value === undefined ? fallback : toNumber(value, name)
}

/** A double. Java writes NaN and the infinities as null, which is read as 0 in Java and here. */
export function doubleOf(object: JsonObject, name: string): number {
  const value = scalar(object, name)
  if (value === undefined) return 0
  const double = typeof value === 'boolean' || typeof value === 'object' ? Number.NaN : Number(value)
  if (Number.isNaN(double)) throw wrong(name, 'a number', value)
  return double
}

export function textOf(object: JsonObject, name: string): string | undefined {
  const value = member(object, name)
  return value === undefined ? undefined : toText(value)
}

const TRUE = new Set(['true', '1', 'y', 't', 'yes', 'on'])
const FALSE = new Set(['false', '0', 'n', 'f', 'no', 'off'])

export function boolOf(object: JsonObject, name: string, fallback: boolean): boolean {
  const value = scalar(object, name)
  if (value === undefined) return fallback
  if (typeof value === 'boolean') return value
  if (typeof value === 'number') return value === 1
  const word = typeof value === 'string' ? value.toLowerCase() : ''
  if (TRUE.has(word)) return true
  if (FALSE.has(word)) return false
  throw wrong(name, 'a boolean', value)
}

/** Null if the member is missing or null. */
export function objectOf(object: JsonObject, name: string): JsonObject | null {
  const value = member(object, name)
  return value === undefined ? null : toObject(value, name)
}

/** A single value counts as a list of one, as in fastjson. Null if the member is missing or null. */
export function listOf(object: JsonObject, name: string): JsonArray | null {
  const value = member(object, name)
  if (value === undefined) return null
  return isArray(value) ? value : [value]
}

/** A list of strings; null items are left out, and a single value counts as a list of one. */
export function toTexts(value: JsonValue): string[] {
  const list = isArray(value) ? value : [value]
  return list.filter(item => item !== null).map(toText)
}

/** Null if the member is missing or null. */
export function textsOf(object: JsonObject, name: string): string[] | null {
  const list = listOf(object, name)
  return list === null ? null : toTexts(list)
}

/** A table of strings; null values are left out. */
export function textTable(object: JsonObject): Map<string, string> {
  const table = new Map<string, string>()
  for (const [key, value] of object) if (value !== null) table.set(toText(key), toText(value))
  return table
}

/**
 * A constant of a Java enum: its name, its name in lower case or its ordinal.
 * @returns The fallback for an unknown name, which Java reads as null.
 */
export function constantOf<const T extends string>(
  object: JsonObject,
  name: string,
  constants: readonly T[],
  fallback: T,
): T {
  const value = member(object, name)
  if (typeof value === 'number') return constants[value] ?? fallback
  return constants.find(constant => constant === value || constant.toLowerCase() === value) ?? fallback
}
