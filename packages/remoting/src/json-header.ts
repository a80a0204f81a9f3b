import { type Command, REPLY_FLAG } from './command.ts'
import { FrameError } from './errors.ts'
import { readFastjson } from './fastjson/reader.ts'
import { isArray, isObject, type JsonObject, type JsonValue } from './fastjson/value.ts'
import { type HeaderView, MAX_FIELDS } from './header-view.ts'
import { quote } from './json-text.ts'
import { languages } from './language.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN = 0x7b
const CLOSE = 0x7d

/** Members of a header by name, so that the scanner can tell them by their bytes. */
const MEMBERS = new Map<string, number>([
  ['code', 1],
  ['extFields', 2],
  ['flag', 3],
  ['language', 4],
  ['opaque', 5],
  ['remark', 6],
  ['serializeTypeCurrentRPC', 7],
  ['version', 8],
])

/**
 * The member by its length and first letter, 0 if unknown. The caller compares no further bytes: a wrong guess would
 * need a sender that invents members, and those go through `isMember`.
 */
function memberAt(bytes: Buffer, start: number, end: number): number {
  switch (end - start) {
    case 4:
      return bytes[start] === 0x63 ? 1 : 3
    case 6:
      return bytes[start] === 0x6f ? 5 : 6
    case 7:
      return 8
    case 8:
      return 4
    case 9:
      return 2
    case 23:
      return 7
    default:
      return 0
  }
}

const NAMES: readonly Buffer[] = [...MEMBERS.keys()].map(name => Buffer.from(name))

function isMember(bytes: Buffer, start: number, member: number): boolean {
  const name = NAMES[member - 1] as Buffer
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false
  return true
}

/** Where the text that begins at `start` ends; -1 if it has escapes or control characters, or no end. */
function textEnd(bytes: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === QUOTE) return at
    if (byte === BACKSLASH || byte < 0x20) return -1
  }
  return -1
}

const languageBytes: readonly Buffer[] = languages.map(name => Buffer.from(name))

function languageAt(bytes: Buffer, start: number, end: number): number {
  if (end - start === 4 && bytes[start] === 0x4a && bytes[start + 1] === 0x41) return 0
  return languageBytes.findIndex(name => name.length === end - start && name.equals(bytes.subarray(start, end)))
}

/**
 * Reads a JSON header as Java and most other clients write it: no blanks, no escapes, texts in extFields.
 *
 * The hot path of every server: it replaces JSON.parse, which would make strings and objects of each header.
 * Anything unusual makes it give up, and `readJsonHeader` reads the header instead; both must agree.
 * @returns false if this header needs the general reader.
 */
export function scanJsonHeader(bytes: Buffer, start: number, end: number, view: HeaderView): boolean {
  view.reset(bytes, 'JSON')
  let opaqueSeen = false
  let at = start
  if (bytes[at++] !== OPEN) return false
  for (;;) {
    if (bytes[at++] !== QUOTE) return false
    const keyEnd = textEnd(bytes, at, end)
    if (keyEnd < 0) return false
    const member = memberAt(bytes, at, keyEnd)
    if (member === 0 || !isMember(bytes, at, member) || bytes[keyEnd + 1] !== COLON) return false
    at = keyEnd + 2
    if (member === 2) {
      at = scanFields(bytes, at, end, view)
      if (at < 0) return false
    } else if (bytes[at] === QUOTE) {
      const textStart = at + 1
      const stop = textEnd(bytes, textStart, end)
      if (stop < 0) return false
      if (member === 4) view.language = languageAt(bytes, textStart, stop)
      else if (member === 6) {
        view.remarkStart = textStart
        view.remarkEnd = stop
      } else if (member !== 7) return false
      at = stop + 1
    } else {
      const negative = bytes[at] === MINUS
      if (negative) at++
      let value = 0
      const digits = at
      for (let byte = bytes[at] as number; byte >= 0x30 && byte <= 0x39 && at < end; byte = bytes[++at] as number) {
        value = value * 10 + (byte - 0x30)
      }
      if (at === digits || at - digits > 10) return false
      if (negative) value = -value
      if (value > 2147483647 || value < -2147483648) return false
      if (member === 1) view.code = value
      else if (member === 3) view.flag = value
      else if (member === 5) {
        view.opaque = value
        opaqueSeen = true
      } else if (member === 8) view.version = value
      else return false
    }
    const next = bytes[at++]
    if (next === CLOSE) return at === end && opaqueSeen
    if (next !== COMMA || at >= end) return false
  }
}

/** The position behind extFields, or -1. */
function scanFields(bytes: Buffer, start: number, end: number, view: HeaderView): number {
  let at = start
  if (bytes[at++] !== OPEN) return -1
  view.fieldCount = 0
  if (bytes[at] === CLOSE) return at + 1
  for (;;) {
    if (bytes[at++] !== QUOTE) return -1
    const keyStart = at
    const keyEnd = textEnd(bytes, at, end)
    if (keyEnd < 0 || bytes[keyEnd + 1] !== COLON || bytes[keyEnd + 2] !== QUOTE) return -1
    at = keyEnd + 3
    const valueEnd = textEnd(bytes, at, end)
    if (valueEnd < 0 || !view.addField(keyStart, keyEnd, at, valueEnd)) return -1
    at = valueEnd + 1
    const next = bytes[at++]
    if (next === CLOSE) return at
    if (next !== COMMA) return -1
  }
}

/**
 * Reads any JSON header that Java 4.9 or 5.x accepts: blanks, comments, single quotes, bare names, numbers as texts.
 *
 * Rules seen on running servers (spec "observed"): a fraction is cut, `true` is 1, `null` keeps the default; a number
 * out of range or no number at all ends the connection; `language` may be its index.
 * @throws FrameError
 */
export function readJsonHeader(bytes: Buffer, start: number, end: number, body: Buffer | null, fresh: number): Command {
  const object = readObject(bytes.subarray(start, end))
  const extFields = object.get('extFields')
  if (extFields !== undefined && extFields !== null && !isObject(extFields)) {
    throw new FrameError('extFields of the header is not a JSON object')
  }
  const remark = object.get('remark')
  return {
    code: int32Of(object, 'code', 0),
    language: languageOf(object.get('language')),
    version: int32Of(object, 'version', 0),
    // A request without opaque gets a number of its own, as in Java.
    opaque: int32Of(object, 'opaque', fresh),
    flag: int32Of(object, 'flag', 0),
    remark: remark === undefined || remark === null ? null : textOf(remark),
    extFields: isObject(extFields) ? fieldsOf(extFields) : null,
    body,
    serializeType: 'JSON',
  }
}

function readObject(bytes: Buffer): JsonObject {
  let value: JsonValue
  try {
    value = readFastjson(bytes)
  } catch (cause) {
    throw new FrameError('the header is not JSON', { cause })
  }
  if (!isObject(value)) throw new FrameError('the header is not a JSON object')
  return value
}

function int32Of(object: JsonObject, name: string, fallback: number): number {
  const value = object.get(name)
  if (value === undefined || value === null) return fallback
  if (typeof value === 'boolean') return value ? 1 : 0
  const number = typeof value === 'string' ? Number(value.trim() === '' ? Number.NaN : value) : Number(value)
  const cut = Math.trunc(number)
  if (!(cut >= -2147483648 && cut <= 2147483647)) throw new FrameError(`${name} of the header is not an int`)
  return cut
}

function languageOf(value: JsonValue | undefined): Command['language'] {
  if (value === undefined) return 'JAVA'
  if (typeof value === 'number') {
    const language = languages[value]
    if (language === undefined) throw new FrameError(`no language has the number ${value}`)
    return language
  }
  if (typeof value !== 'string') return undefined
  return languages.find(name => name === value.toUpperCase())
}

function fieldsOf(object: JsonObject): Map<string, string> {
  if (object.size > MAX_FIELDS) throw new FrameError(`the header has ${object.size} fields, the limit is ${MAX_FIELDS}`)
  const fields = new Map<string, string>()
  for (const [key, value] of object) {
    if (value !== null) fields.set(textOf(key), textOf(value))
  }
  return fields
}

function textOf(value: JsonValue): string {
  if (typeof value === 'string') return value
  return isObject(value) || isArray(value) ? JSON.stringify(plain(value)) : String(value)
}

function plain(value: JsonValue): unknown {
  if (isObject(value)) return Object.fromEntries([...value].map(([key, item]) => [textOf(key), plain(item)]))
  if (isArray(value)) return value.map(plain)
  return typeof value === 'bigint' ? Number(value) : value
}

/** A command to be written. `fieldsText` stands for its fields where they are JSON already, without braces. */
export type WrittenCommand = Omit<Command, 'body'> & { readonly fieldsText?: string | undefined }

/** Writes a header as Java does: members by name, null ones left out, no blanks. */
export function writeJsonHeader(command: WrittenCommand): string {
  let text = `{"code":${command.code}`
  if (command.fieldsText !== undefined) text += `,"extFields":{${command.fieldsText}}`
  else if (command.extFields !== null) {
    text += ',"extFields":{'
    let separator = ''
    for (const [key, value] of command.extFields) {
      text += `${separator}${quote(key)}:${quote(value)}`
      separator = ','
    }
    text += '}'
  }
  text += `,"flag":${command.flag},"language":"${command.language ?? 'OTHER'}","opaque":${command.opaque}`
  if (command.remark !== null) text += `,"remark":${quote(command.remark)}`
  return `${text},"serializeTypeCurrentRPC":"JSON","version":${command.version}}`
}

/** What stands before and after the opaque in a reply that has no remark; for replies prepared in advance. */
export function jsonReplyAround(code: number, extFields: string, version: number): readonly [Buffer, Buffer] {
  return [
    Buffer.from(`{"code":${code}${extFields},"flag":${REPLY_FLAG},"language":"JAVA","opaque":`),
    Buffer.from(`,"serializeTypeCurrentRPC":"JSON","version":${version}}`),
  ]
}
