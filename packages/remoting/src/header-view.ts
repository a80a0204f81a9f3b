import { isUtf8 } from 'node:buffer'
import type { Command, SerializeType } from './command.ts'
import { unescape, unescapeInto } from './fastjson/escapes.ts'
import { languages } from './language.ts'

/** The maximum number of fields in a header; Apache's requests have at most about thirty. */
export const MAX_FIELDS = 256

const NO_BYTES = Buffer.alloc(0)

/**
 * A header within its frame: numbers are decoded, texts are only marked by their start and end.
 *
 * One view serves all frames of a read. It exists because most frames need only a few numbers and one text, and creating
 * strings and maps for the rest is the main cost of a header. Valid until the next frame is read.
 */
export class HeaderView {
  bytes: Buffer = NO_BYTES
  serializeType: SerializeType = 'JSON'
  code = 0
  /** Index into `languages`, or -1 if unknown. */
  language = 0
  version = 0
  opaque = 0
  flag = 0
  remarkStart = 0
  /** -1: no remark. */
  remarkEnd = -1
  remarkHasEscapes = false
  /** -1: no extFields at all, which Java distinguishes from empty ones. */
  fieldCount = -1
  /** Four numbers per field: key start and end, value start and end. */
  readonly spans = new Int32Array(MAX_FIELDS * 4)
  /** 1 for a field whose value contains JSON escapes: then its bytes differ from its text, see `copyValue`. */
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

/** Decodes the whole header. The body stays a view of the frame's bytes. */
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
    // The last value of a repeated key counts, as in Java (a signed fast-codec header has each key twice).
    fields.set(key, escapes[field] === 1 ? unescape(bytes, start, end) : valueAt(bytes, start, end))
  }
  return fields
}

/**
 * Writes the text of a field's value as UTF-8 into `out` at `at`, without creating a string: for a fast path that stores it. The
 * text takes at most as many bytes as the value in the frame, and `out` must have room for them.
 * @returns The position after the text in `out`; -1 if the text is not UTF-8. A fast path must leave such a request to the
 * router, which reads wrong bytes as U+FFFD.
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

// Numbers of more than one digit differ from header to header, so they are not cached.
function valueAt(bytes: Buffer, start: number, end: number): string {
  const first = bytes[start] as number
  const isNumber = first >= DIGIT_0 && first <= DIGIT_9 && end - start > 1
  return isNumber ? bytes.toString('utf8', start, end) : wordAt(bytes, start, end)
}

const LONGEST_WORD = 24
const WORDS = 256

/** A cache of short texts: names of fields, names of regions, `true`. A sender of random words only replaces entries. */
const words: (string | undefined)[] = Array.from({ length: WORDS }, () => undefined)

/** Decodes a text. Finding it in the cache is cheaper than creating it, which would be a twentieth of the cost of a message. */
function wordAt(bytes: Buffer, start: number, end: number): string {
  const length = end - start
  if (length === 0 || length > LONGEST_WORD) return bytes.toString('utf8', start, end)
  const slot = ((bytes[start] as number) * 7 + (bytes[end - 1] as number) * 31 + length) & (WORDS - 1)
  const known = words[slot]
  if (known !== undefined && isAt(known, bytes, start, length)) return known
  const word = bytes.toString('utf8', start, end)
  words[slot] = word
  return word
}

/** True only for ASCII words, in which every letter is one byte. */
function isAt(word: string, bytes: Buffer, start: number, length: number): boolean {
  if (word.length !== length) return false
  for (let i = 0; i < length; i++) {
    const unit = word.charCodeAt(i)
    if (unit !== bytes[start + i] || unit > 0x7f) return false
  }
  return true
}
