import { RemotingError } from '../errors.ts'
import { exactLong, type Long } from '../fields.ts'
import { BadEscape, unescape } from './escapes.ts'

/** Stands for the end of the text. */
export const END = -1

const QUOTE = 0x22
const APOSTROPHE = 0x27
const COMMA = 0x2c
const SLASH = 0x2f
const STAR = 0x2a
const SEMICOLON = 0x3b
const BACKSLASH = 0x5c

const LONGEST_WORD = 1024
/** A limit, so that no step takes long. */
const LONGEST_BLANK = 1 << 20
const EXCERPT = 24

/** Bytes that end a word: blanks, quotes, brackets, commas and similar. */
const ENDS_WORD = new Uint8Array(256)
for (const char of '\b\t\n\f\r "\',/:;[]{}') ENDS_WORD[char.charCodeAt(0)] = 1

const INTEGER = /^[+-]?\d{1,64}[LSB]?$/
const DECIMAL = /^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?[LSBFD]?$/
const NULLS = new Set(['null', 'undefined', 'NaN', 'Infinity', '-Infinity', '+Infinity'])

const NAME_SLOTS = 256

/** Reads the tokens of a text: blanks, quoted texts, words, numbers. */
export class Scanner {
  at = 0
  readonly #bytes: Buffer
  readonly #maxText: number
  /** A cache of names, by a cheap hash: a topic table has the same seven names ten thousand times. */
  readonly #names: string[] = []

  constructor(bytes: Buffer, maxText: number) {
    this.#bytes = bytes
    this.#maxText = maxText
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) this.at = 3
  }

  fail(what: string, at = this.at): RemotingError {
    const excerpt = this.#bytes.toString('utf8', at, Math.min(at + EXCERPT, this.#bytes.length))
    const where = excerpt === '' ? 'at its end' : `at ${JSON.stringify(excerpt)}`
    return new RemotingError('BAD_BODY', `not the JSON of a body: ${what}, byte ${at}, ${where}`)
  }

  /** The next byte that is not a blank and not in a comment. With `skipCommas`, commas count as blanks. */
  next(skipCommas: boolean): number {
    const bytes = this.#bytes
    let at = this.at
    for (;;) {
      const byte = bytes[at] ?? END
      // fastjson 1 accepts extra commas, fastjson 2 missing commas. fastjson 1 also accepts a semicolon.
      const blank =
        byte <= 0x20 ? byte !== END && ENDS_WORD[byte] === 1 : skipCommas && (byte === COMMA || byte === SEMICOLON)
      if (blank) {
        if (++at - this.at > LONGEST_BLANK) throw this.fail(`more than ${LONGEST_BLANK} blanks in a row`)
      } else {
        this.at = at
        if (byte !== SLASH) return byte
        this.#skipComment()
        at = this.at
      }
    }
  }

  #skipComment(): void {
    const kind = this.#bytes[this.at + 1]
    if (kind !== SLASH && kind !== STAR) throw this.fail('a comment is expected')
    const end = this.#bytes.indexOf(kind === STAR ? '*/' : '\n', this.at + 2, 'latin1')
    if (kind === STAR && end < 0) throw this.fail('the comment has no end')
    this.at = end < 0 ? this.#bytes.length : end + (kind === STAR ? 2 : 1)
  }

  /** The name of a member: in double or single quotes, or bare. */
  name(): string {
    const first = this.#bytes[this.at]
    return first === QUOTE || first === APOSTROPHE ? this.#cachedName(first) : this.word()
  }

  #cachedName(quote: number): string {
    const bytes = this.#bytes
    const start = this.at + 1
    let hash = 0
    let end = start
    for (let byte = bytes[end]; byte !== quote; byte = bytes[++end]) {
      // The slow path handles escapes, characters beyond ASCII and missing ends.
      if (byte === undefined || byte === BACKSLASH || byte > 0x7e || end - start > 32) return this.text()
      hash = (hash * 31 + byte) | 0
    }
    const slot = hash & (NAME_SLOTS - 1)
    const known = this.#names[slot]
    const name = known !== undefined && this.#equals(known, start, end) ? known : bytes.toString('latin1', start, end)
    this.#names[slot] = name
    this.at = end + 1
    return name
  }

  #equals(text: string, start: number, end: number): boolean {
    if (text.length !== end - start) return false
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== this.#bytes[start + i]) return false
    return true
  }

  /** The quoted text that begins here. */
  text(): string {
    const bytes = this.#bytes
    const quote = bytes[this.at] as number
    const start = this.at + 1
    let high = 0
    let escaped = false
    let end = start
    for (let byte = bytes[end]; byte !== quote; byte = bytes[end]) {
      if (byte === undefined) throw this.fail('the quoted text has no end')
      if (end - start >= this.#maxText) throw this.fail(`the text is longer than ${this.#maxText} bytes`)
      if (byte === BACKSLASH) {
        escaped = true
        end++
      }
      high |= byte
      end++
    }
    const text = escaped ? this.#unescaped(start, end) : bytes.toString(high < 0x80 ? 'latin1' : 'utf8', start, end)
    this.at = end + 1
    return text
  }

  #unescaped(start: number, end: number): string {
    try {
      return unescape(this.#bytes, start, end)
    } catch (cause) {
      if (cause instanceof BadEscape) throw this.fail('an unknown escape', cause.at)
      throw cause
    }
  }

  /** The unquoted word that begins here. */
  word(): string {
    const start = this.at
    let end = start
    for (let byte = this.#bytes[end]; byte !== undefined && ENDS_WORD[byte] === 0; byte = this.#bytes[++end]) {
      if (end - start > LONGEST_WORD) throw this.fail(`a word is longer than ${LONGEST_WORD} bytes`)
    }
    if (end === start) throw this.fail('a name or a value is expected')
    this.at = end
    return this.#bytes.toString('utf8', start, end)
  }

  /** A number or a literal. */
  plain(): Long | boolean | null {
    const short = this.#shortInteger()
    if (short !== undefined) return short
    const start = this.at
    const word = this.word()
    if (word === 'true') return true
    if (word === 'false') return false
    if (NULLS.has(word)) return null
    if (INTEGER.test(word)) return exactLong(BigInt(word.replace(/^\+|[LSB]$/g, '')))
    if (!DECIMAL.test(word)) throw this.fail('a value is expected', start)
    const number = Number.parseFloat(word)
    return Number.isFinite(number) ? number : null
  }

  /** Reads a number of up to 15 digits and nothing else, without creating a string. */
  #shortInteger(): number | undefined {
    const bytes = this.#bytes
    const negative = bytes[this.at] === 0x2d
    const start = negative ? this.at + 1 : this.at
    let value = 0
    let end = start
    for (let byte = bytes[end]; byte !== undefined && byte >= 0x30 && byte <= 0x39; byte = bytes[++end]) {
      if (end - start === 15) return undefined
      value = value * 10 + (byte - 0x30)
    }
    const after = bytes[end]
    if (end === start || (after !== undefined && ENDS_WORD[after] === 0)) return undefined
    this.at = end
    return negative && value !== 0 ? -value : value
  }
}
