import { finish, type Sliced } from '../slices.ts'
import { type OpenContainer, References } from './references.ts'
import { END, Scanner } from './scanner.ts'
import type { JsonObject, JsonValue } from './value.ts'

const QUOTE = 0x22
const APOSTROPHE = 0x27
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

export interface ReadOptions {
  /** How deeply objects and arrays may be nested. Default 64. */
  readonly maxDepth?: number
  /** Most values in a text, so that memory stays bounded. A non-empty object or array counts as four. Default 2,000,000. */
  readonly maxValues?: number
  /**
   * Most items in one object or array. Default 250,000: growing a larger one would block the event loop for too long.
   */
  readonly maxItems?: number
  /** Most bytes in one quoted text. Default 1 MiB. */
  readonly maxText?: number
}

/** How many values it counts as, because of its memory. */
const FILLED_CONTAINER = 4

const emptyObject: JsonObject = new Map()
const emptyArray: readonly JsonValue[] = Object.freeze([])

type Expected = 'value' | 'element' | 'name' | 'colon' | 'end' | 'nothing'

/**
 * Reads everything that fastjson 1 and 2 write or accept, a superset of JSON: bare and single-quoted names, objects as keys,
 * comments, extra and missing commas, `$ref`. The last of equal names counts. Bytes that are not UTF-8 become U+FFFD. The
 * reader keeps its own stack and can stop after any token, so neither the depth nor the size of what a peer sends blocks the
 * process.
 */
export class FastjsonReader {
  readonly #scan: Scanner
  readonly #maxDepth: number
  readonly #maxItems: number
  readonly #references: References
  readonly #open: OpenContainer[] = []
  #valuesLeft: number
  #expected: Expected = 'value'
  #result: JsonValue = null

  constructor(bytes: Uint8Array, options: ReadOptions = {}) {
    const { maxDepth = 64, maxValues = 2_000_000, maxItems = 250_000, maxText = 1 << 20 } = options
    this.#scan = new Scanner(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), maxText)
    this.#maxDepth = maxDepth
    this.#maxItems = maxItems
    this.#valuesLeft = maxValues
    this.#references = new References(this.#open)
  }

  /**
   * Continues to read for about this many bytes.
   * @returns true when everything is read.
   * @throws RemotingError BAD_BODY
   */
  step(maxBytes: number): boolean {
    const stop = this.#scan.at + maxBytes
    while (this.#expected !== 'nothing') {
      this.#advance()
      if (this.#scan.at >= stop) break
    }
    return this.#expected === 'nothing'
  }

  /** The value, once `step` has returned true. */
  get result(): JsonValue {
    return this.#result
  }

  #advance(): void {
    const scan = this.#scan
    switch (this.#expected) {
      case 'name':
        this.#name(scan.next(true))
        break
      case 'value':
        this.#value(scan.next(false))
        break
      case 'element': {
        const byte = scan.next(true)
        if (byte === CLOSE_ARRAY) this.#close()
        else this.#value(byte)
        break
      }
      case 'colon':
        this.#colon()
        break
      default:
        if (scan.next(true) !== END) throw scan.fail('nothing more is expected')
        this.#expected = 'nothing'
    }
  }

  #name(byte: number): void {
    const scan = this.#scan
    if (byte === CLOSE_OBJECT) return this.#close()
    if (byte === OPEN_OBJECT) return this.#begin(false, true)
    this.#top().key = scan.name()
    this.#colon()
  }

  #colon(): void {
    if (this.#scan.next(false) !== COLON) throw this.#scan.fail('a colon is expected')
    this.#scan.at++
    this.#expected = 'value'
  }

  #value(byte: number): void {
    if (byte === OPEN_OBJECT) this.#begin(false, false)
    else if (byte === OPEN_ARRAY) this.#begin(true, false)
    else if (byte === QUOTE || byte === APOSTROPHE) this.#put(this.#scan.text())
    else this.#put(this.#scan.plain())
  }

  #top(): OpenContainer {
    return this.#open[this.#open.length - 1] as OpenContainer
  }

  #begin(isArray: boolean, isKey: boolean): void {
    if (this.#open.length >= this.#maxDepth) throw this.#scan.fail(`it is nested deeper than ${this.#maxDepth}`)
    this.#scan.at++
    this.#open.push({ isArray, items: null, key: '', isKey })
    this.#expected = isArray ? 'element' : 'name'
  }

  #close(): void {
    this.#scan.at++
    const { isArray, items, isKey } = this.#open.pop() as OpenContainer
    const closed = items ?? (isArray ? emptyArray : emptyObject)
    if (isKey) {
      this.#top().key = closed as JsonObject
      this.#expected = 'colon'
    } else this.#put(this.#resolve(closed))
  }

  #resolve(value: JsonValue): JsonValue {
    if (!(value instanceof Map) || value.size !== 1) return value
    const path: unknown = value.get('$ref')
    if (typeof path !== 'string') return value
    const found = this.#references.find(path)
    if (found === undefined) throw this.#scan.fail('$ref makes the text too large')
    return found
  }

  #put(value: JsonValue): void {
    if (this.#open.length === 0) {
      this.#result = value
      this.#expected = 'end'
      return
    }
    const into = this.#top()
    if (--this.#valuesLeft < 0) throw this.#scan.fail('it has too many values')
    if (into.items === null) {
      this.#valuesLeft -= FILLED_CONTAINER - 1
      into.items = into.isArray ? [] : new Map()
    }
    if (into.items instanceof Map) {
      into.items.set(into.key, value)
      this.#expected = 'name'
      this.#checkItems(into.items.size)
    } else {
      into.items.push(value)
      this.#expected = 'element'
      this.#checkItems(into.items.length)
    }
  }

  #checkItems(count: number): void {
    if (count > this.#maxItems) throw this.#scan.fail(`an object or array has more than ${this.#maxItems} items`)
  }
}

/** A quarter of a millisecond of work. */
const SLICE_BYTES = 16 * 1024

/** Reads a text with pauses, see `FastjsonReader`. */
export function* readFastjsonInSlices(bytes: Uint8Array, options?: ReadOptions): Sliced<JsonValue> {
  const reader = new FastjsonReader(bytes, options)
  while (!reader.step(SLICE_BYTES)) yield
  return reader.result
}

/**
 * Reads a text without pauses, see `FastjsonReader`.
 * @throws RemotingError BAD_BODY
 */
export function readFastjson(text: Uint8Array | string, options?: ReadOptions): JsonValue {
  return finish(readFastjsonInSlices(typeof text === 'string' ? Buffer.from(text) : text, options))
}
