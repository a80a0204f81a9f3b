import type { HeaderView } from '@gantrymq/remoting'
import { NameTable } from './name-table.ts'

/** Returned for a number that a fast path does not read: it is absent, or only the router can read it. */
export const UNREADABLE = Number.NEGATIVE_INFINITY

const DIGITS_OF_INT = 9
const DIGITS_OF_LONG = 15
const MINUS = 0x2d

/** The fields of a request header by the order in which their names were given, read from the bytes of its frame. */
export class HeaderFields {
  readonly #names: NameTable
  /** For each name the index of its field in the header, or -1. */
  readonly #fields: Int16Array
  #view!: HeaderView

  constructor(names: readonly string[]) {
    this.#names = new NameTable(names)
    this.#fields = new Int16Array(names.length)
  }

  /** Finds the fields of a header. They are valid as long as the view. Fields with other names are passed over, as by the router. */
  read(view: HeaderView): void {
    const { bytes, spans, fieldCount } = view
    this.#view = view
    this.#fields.fill(-1)
    for (let field = 0, at = 0; field < fieldCount; field++, at += 4) {
      const index = this.#names.find(bytes, spans[at] as number, spans[at + 1] as number)
      // The last value of a repeated name counts, as in Java.
      if (index >= 0) this.#fields[index] = field
    }
  }

  /** The index of the field in the header; -1 if it is absent. */
  at(name: number): number {
    return this.#fields[name] as number
  }

  has(name: number): boolean {
    return this.at(name) >= 0
  }

  /** Where the value begins, if `isPlain`. */
  start(name: number): number {
    return this.#view.spans[this.at(name) * 4 + 2] as number
  }

  end(name: number): number {
    return this.#view.spans[this.at(name) * 4 + 3] as number
  }

  /** Whether the field is there, and its bytes are its text. */
  isPlain(name: number): boolean {
    const field = this.at(name)
    return field >= 0 && this.#view.escapes[field] === 0
  }

  /** A number of at most nine digits: any such text is an int. */
  int(name: number): number {
    return this.#number(name, DIGITS_OF_INT)
  }

  /** A number of at most fifteen digits: any such text is exact as a number. */
  long(name: number): number {
    return this.#number(name, DIGITS_OF_LONG)
  }

  /** The same, and 0 if the field is absent. */
  intOrZero(name: number): number {
    return this.has(name) ? this.int(name) : 0
  }

  #number(name: number, mostDigits: number): number {
    if (!this.isPlain(name)) return UNREADABLE
    const { bytes } = this.#view
    const start = this.start(name)
    const end = this.end(name)
    const isNegative = bytes[start] === MINUS
    const digits = isNegative ? start + 1 : start
    if (end <= digits || end - digits > mostDigits) return UNREADABLE
    let value = 0
    for (let at = digits; at < end; at++) {
      const digit = (bytes[at] as number) - 0x30
      if (digit < 0 || digit > 9) return UNREADABLE
      value = value * 10 + digit
    }
    return isNegative ? 0 - value : value
  }
}
