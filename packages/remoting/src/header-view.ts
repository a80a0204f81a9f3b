import { isUtf8 } from 'node:buffer'
import type { Command, SerializeType } from './command.ts'
import { unescape, unescapeInto } from './fastjson/escapes.ts'
import { languages } from './language.ts'

/** Most text fields a header may have; a request of Apache's carries at most about thirty. */
export const MAX_FIELDS = 256

const NO_BYTES = Buffer.alloc(0)

/**
 * A header as it lies in its frame: numbers read, texts only marked by where they begin and end.
 *
 * One view serves all frames of a connection. It exists because most frames never need more than a few numbers and one
 * text, and making strings and maps of all the rest is what a header costs. Valid until the next frame is read.
 */
export class HeaderView {
  bytes: Buffer = NO_BYTES
  serializeType: SerializeType = 'JSON'
  code = 0
  /** Index into `languages`, or -1 when unknown. */
  language = 0
  version = 0
  opaque = 0
  flag = 0
  remarkStart = 0
  /** -1: no remark. */
  remarkEnd = -1
  remarkHasEscapes = false
  /** -1: no extFields at all, which Java tells from empty ones. */
  fieldCount = -1
  /** Four numbers a field: key start and end, value start and end. */
  readonly spans = new Int32Array(MAX_FIELDS * 4)
  /** 1 for a field whose value has escapes of JSON: its bytes are not those of its text, see `copyValue`. */
  readonly escapes = new Uint8Array(MAX_FIELDS)
  bodyStart = 0
  bodyEnd = 0

  reset(bytes: Buffer, serializeType: SerializeType): void {
    this.bytes = bytes
    this.serializeType = serializeType
    this.code = 0
    this.language = 0
    this.version = 0
    this.opaque = 0
    this.flag = 0
    this.remarkEnd = -1
    this.remarkHasEscapes = false
    this.fieldCount = -1
  }

  /** False if there are too many fields. */
  addField(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number, hasEscapes: boolean): boolean {
    if (this.fieldCount === MAX_FIELDS) return false
    this.escapes[this.fieldCount] = hasEscapes ? 1 : 0
    const at = this.fieldCount++ * 4
    this.spans[at] = keyStart
    this.spans[at + 1] = keyEnd
    this.spans[at + 2] = valueStart
    this.spans[at + 3] = valueEnd
    return true
  }
}

/** The whole header as values. The body stays a view of the frame's bytes. */
export function toCommand(view: HeaderView): Command {
  const { bytes, bodyStart, bodyEnd } = view
  return {
    code: view.code,
    language: languages[view.language],
    version: view.version,
    opaque: view.opaque,
    flag: view.flag,
    remark: view.remarkEnd < 0 ? null : remarkOf(view),
    extFields: view.fieldCount < 0 ? null : readFields(view),
    body: bodyEnd > bodyStart ? bytes.subarray(bodyStart, bodyEnd) : null,
    serializeType: view.serializeType,
  }
}

function remarkOf({ bytes, remarkStart, remarkEnd, remarkHasEscapes }: HeaderView): string {
  return remarkHasEscapes ? unescape(bytes, remarkStart, remarkEnd) : bytes.toString('utf8', remarkStart, remarkEnd)
}

function readFields({ bytes, spans, escapes, fieldCount }: HeaderView): Map<string, string> {
  const fields = new Map<string, string>()
  for (let field = 0, at = 0; field < fieldCount; field++, at += 4) {
    const key = wordAt(bytes, spans[at] as number, spans[at + 1] as number)
    const start = spans[at + 2] as number
    const end = spans[at + 3] as number
    // A key that comes twice: the last one counts, as in Java (a signed fast-codec header has each key twice).
    fields.set(key, escapes[field] === 1 ? unescape(bytes, start, end) : valueAt(bytes, start, end))
  }
  return fields
}

/**
 * Writes the text of a field's value as UTF-8 into `out` from `at`, without making a string of it: for a fast path that
 * stores it. It takes at most as many bytes as the value has in the frame, and `out` must have room for these.
 * @returns Where the text ends in `out`. -1 if it is no UTF-8: a fast path must leave such a request to the router, which
 * reads U+FFFD where the bytes are wrong.
 */
export function copyValue({ bytes, spans, escapes }: HeaderView, field: number, out: Buffer, at: number): number {
  const start = spans[field * 4 + 2] as number
  const end = spans[field * 4 + 3] as number
  if (at + end - start > out.length)
    throw new RangeError(`${end - start} bytes of a field do not fit behind byte ${at}`)
  const to = escapes[field] === 1 ? unescapeInto(bytes, start, end, out, at) : at + bytes.copy(out, at, start, end)
  return isUtf8(out.subarray(at, to)) ? to : -1
}

const DIGIT_0 = 0x30
const DIGIT_9 = 0x39

// Numbers differ from header to header, if they have more than a digit.
function valueAt(bytes: Buffer, start: number, end: number): string {
  const first = bytes[start] as number
  const isNumber = first >= DIGIT_0 && first <= DIGIT_9 && end - start > 1
  return isNumber ? bytes.toString('utf8', start, end) : wordAt(bytes, start, end)
}

const LONGEST_WORD = 24
const WORDS = 256

/** Words that came before: names of fields, names of regions, `true`. A sender who makes up words only pushes others out. */
const words: (string | undefined)[] = Array.from({ length: WORDS }, () => undefined)

/** A text of UTF-8. To find one that came before is cheaper than to make it: a twentieth of what a message costs. */
function wordAt(bytes: Buffer, start: number, end: number): string {
  const length = end - start
  if (length === 0 || length > LONGEST_WORD) return bytes.toString('utf8', start, end)
  const place = ((bytes[start] as number) * 7 + (bytes[end - 1] as number) * 31 + length) & (WORDS - 1)
  const known = words[place]
  if (known !== undefined && isAt(known, bytes, start, length)) return known
  const word = bytes.toString('utf8', start, end)
  words[place] = word
  return word
}

/** Only ever true of words of ASCII, where a letter is a byte. */
function isAt(word: string, bytes: Buffer, start: number, length: number): boolean {
  if (word.length !== length) return false
  for (let i = 0; i < length; i++) {
    const unit = word.charCodeAt(i)
    if (unit !== bytes[start + i] || unit > 0x7f) return false
  }
  return true
}
