import { PROPERTY } from '@gantrymq/protocol'
import { areSame, isEqual, NameTable } from './name-table.ts'

const NAME_END = 1
const VALUE_END = 2
/** Properties that a message of the fast path has at most. */
const MOST = 32

const UNIQ_KEY = 0
const WAIT = 1
/** These two are looked at; the others change what happens to the message, or the broker replaces them. */
const known = new NameTable([
  PROPERTY.UNIQ_KEY,
  PROPERTY.WAIT,
  PROPERTY.DELAY,
  PROPERTY.TRANSACTION_MESSAGE,
  PROPERTY.INNER_NUM,
  PROPERTY.TIMER_DELIVER_MS,
  PROPERTY.TIMER_DELAY_SEC,
  PROPERTY.TIMER_DELAY_MS,
  PROPERTY.POP_CK,
  PROPERTY.CLUSTER,
  PROPERTY.MSG_REGION,
  PROPERTY.TRACE_ON,
])
const TRUE = Buffer.from('true')

/**
 * Tells whether the properties of a message can be stored as they are: then `readMessageProperties` and writing them again would
 * give the same bytes. One object serves for all messages.
 */
export class PlainProperties {
  /** The value of UNIQ_KEY is in `[uniqueStart, uniqueEnd)`; it consists of letters and digits. */
  uniqueStart = 0
  uniqueEnd = 0
  readonly #starts = new Int32Array(MOST)
  readonly #ends = new Int32Array(MOST)

  /**
   * Checks the text in `bytes[start, end)`.
   * @returns The end of the text with its last separator, which is added if it is missing; -1 if only the long way stores such properties
   */
  check(bytes: Buffer, start: number, end: number): number {
    this.uniqueEnd = -1
    let count = 0
    for (let at = start; at < end; ) {
      let split = at
      let byte = 0
      while (split < end && (byte = bytes[split] as number) > VALUE_END) split++
      if (split === at || byte !== NAME_END || count === MOST) return -1
      const valueAt = split + 1
      let stop = valueAt
      byte = 0
      while (stop < end && (byte = bytes[stop] as number) > VALUE_END) stop++
      if (stop === valueAt || (stop < end && byte !== VALUE_END)) return -1
      if (!this.#isAllowed(bytes, at, split, stop)) return -1
      if (this.#isRepeated(bytes, at, split, count)) return -1
      this.#starts[count] = at
      this.#ends[count++] = split
      at = stop + 1
    }
    if (this.uniqueEnd < 0) return -1
    if (bytes[end - 1] === VALUE_END) return end
    bytes[end] = VALUE_END
    return end + 1
  }

  #isAllowed(bytes: Buffer, at: number, split: number, stop: number): boolean {
    const name = known.find(bytes, at, split)
    if (name < 0) return true
    if (name === UNIQ_KEY) {
      this.uniqueStart = split + 1
      this.uniqueEnd = stop
      return isAlphanumeric(bytes, split + 1, stop)
    }
    return name === WAIT && isEqual(TRUE, bytes, split + 1, stop)
  }

  #isRepeated(bytes: Buffer, at: number, split: number, count: number): boolean {
    for (let earlier = 0; earlier < count; earlier++) {
      const start = this.#starts[earlier] as number
      const length = split - at
      if ((this.#ends[earlier] as number) - start !== length) continue
      if (areSame(bytes, start, bytes, at, length)) return true
    }
    return false
  }
}

function isAlphanumeric(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    const letter = byte | 0x20
    if (!((byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x7a))) return false
  }
  return true
}
