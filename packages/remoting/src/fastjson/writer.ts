import type { Long } from '../fields.ts'
import { quote } from './quote.ts'
import type { Bean, JsonInput, JsonMap } from './value.ts'

/**
 * `fastjson`: as the encoder of 4.9 writes by default, which is not JSON: numeric and object keys stay bare.
 * `standard`: JSON that any reader accepts, as Java sends it to callers from 4.9.4 on.
 */
export type Dialect = 'fastjson' | 'standard'

/**
 * Writes a value for a Java peer, with the same bytes as Java wherever Java's order is fixed.
 *
 * Null members of beans and null values of maps are left out; null items of lists stay. In `standard` maps are sorted by
 * key, numbers by value, and longs beyond 2^53 - 1 are quoted. Escapes are those of 4.9 (fastjson 1) in `fastjson`
 * and those of 5.5.0 (fastjson 2: JSON's own, `/` and other alphabets raw) in `standard`; either line reads both.
 */
export function writeFastjson(value: JsonInput, dialect: Dialect): string {
  return new JsonWriter(dialect).value(value)
}

/** As `writeFastjson`, in UTF-8. */
export function encodeFastjson(value: JsonInput, dialect: Dialect): Buffer {
  return Buffer.from(writeFastjson(value, dialect))
}

/** Recursion is safe here: values to write come from this process and are only as deep as their types. */
class JsonWriter {
  readonly #standard: boolean
  readonly #quote: (text: string) => string

  constructor(dialect: Dialect) {
    this.#standard = dialect === 'standard'
    this.#quote = this.#standard ? text => JSON.stringify(text) : quote
  }

  value(value: JsonInput): string {
    if (value === null || value === undefined) return 'null'
    if (typeof value === 'string') return this.#quote(value)
    if (typeof value === 'boolean') return String(value)
    if (typeof value === 'number' || typeof value === 'bigint') return this.#number(value)
    if (isList(value)) return `[${value.map(item => this.value(item)).join(',')}]`
    return isMap(value) ? this.#map(value) : this.#bean(value)
  }

  #number(value: Long): string {
    if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null'
    const exact = this.#standard && !Number.isSafeInteger(Number(value))
    return exact ? `"${value}"` : String(value)
  }

  #bean(bean: Bean): string {
    let text = ''
    for (const name in bean) {
      const member = bean[name]
      if (member !== null && member !== undefined) text += `,"${name}":${this.value(member)}`
    }
    return `{${text.slice(1)}}`
  }

  #map(map: JsonMap): string {
    const entries = [...map].filter(([, value]) => value !== null && value !== undefined)
    if (this.#standard) entries.sort(([a], [b]) => compareKeys(a, b))
    return `{${entries.map(([key, value]) => `${this.#key(key)}:${this.value(value)}`).join(',')}}`
  }

  #key(key: string | Long | Bean): string {
    if (typeof key === 'string') return this.#quote(key)
    if (typeof key === 'object') return this.#standard ? this.#quote(this.#bean(key)) : this.#bean(key)
    return this.#standard ? `"${key}"` : String(key)
  }
}

function isList(value: readonly JsonInput[] | JsonMap | Bean): value is readonly JsonInput[] {
  return Array.isArray(value)
}

function isMap(value: JsonMap | Bean): value is JsonMap {
  return value instanceof Map
}

/** The order of Java's TreeMap: strings by UTF-16 units, numbers by value. Beans keep their order. */
function compareKeys(a: string | Long | Bean, b: string | Long | Bean): number {
  if (typeof a === 'object' || typeof b === 'object') return 0
  return a < b ? -1 : a > b ? 1 : 0
}
