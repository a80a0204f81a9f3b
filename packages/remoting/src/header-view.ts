import type { Command, SerializeType } from './command.ts'
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
  /** -1: no extFields at all, which Java tells from empty ones. */
  fieldCount = -1
  /** Four numbers a field: key start and end, value start and end. */
  readonly spans = new Int32Array(MAX_FIELDS * 4)
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
    this.fieldCount = -1
  }

  /** False if there are too many fields. */
  addField(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): boolean {
    if (this.fieldCount === MAX_FIELDS) return false
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
    remark: view.remarkEnd < 0 ? null : bytes.toString('utf8', view.remarkStart, view.remarkEnd),
    extFields: view.fieldCount < 0 ? null : readFields(view),
    body: bodyEnd > bodyStart ? bytes.subarray(bodyStart, bodyEnd) : null,
    serializeType: view.serializeType,
  }
}

function readFields({ bytes, spans, fieldCount }: HeaderView): Map<string, string> {
  const fields = new Map<string, string>()
  for (let at = 0; at < fieldCount * 4; at += 4) {
    const key = wordAt(bytes, spans[at] as number, spans[at + 1] as number)
    // A key that comes twice: the last one counts, as in Java (a signed fast-codec header has each key twice).
    fields.set(key, valueAt(bytes, spans[at + 2] as number, spans[at + 3] as number))
  }
  return fields
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
