import type { Command } from './command.ts'
import { FrameError } from './errors.ts'
import { jsonEscapeLength } from './fastjson/escapes.ts'
import { quote } from './fastjson/quote.ts'
import { readFastjson } from './fastjson/reader.ts'
import { isArray, isObject, type JsonObject, type JsonValue } from './fastjson/value.ts'
import { type HeaderView, MAX_FIELDS } from './header-view.ts'
import { languages } from './language.ts'

const QUOTE = 0x22
const DOLLAR = 0x24
const COMMA = 0x2c
const MINUS = 0x2d
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN = 0x7b
const CLOSE = 0x7d

const CODE = 0
const EXT_FIELDS = 1
const FLAG = 2
const LANGUAGE = 3
const OPAQUE = 4
const REMARK = 5
const SERIALIZE_TYPE = 6
const VERSION = 7

/** The first bytes of each member, by its number. No two members start with the same letter. */
const beginnings: readonly Buffer[] = [
  'code',
  'extFields',
  'flag',
  'language',
  'opaque',
  'remark',
  'serializeTypeCurrentRPC',
  'version',
].map(name => Buffer.from(`"${name}":`))

const NO_MEMBER = 0xff
const memberByLetter = new Uint8Array(256).fill(NO_MEMBER)
for (const [member, beginning] of beginnings.entries()) memberByLetter[beginning[1] as number] = member

/** The member that begins at `at`; NO_MEMBER if Java does not write such a member. */
function memberAt(bytes: Buffer, at: number, end: number): number {
  if (at + 1 >= end) return NO_MEMBER
  const member = memberByLetter[bytes[at + 1] as number] as number
  if (member === NO_MEMBER) return NO_MEMBER
  const beginning = beginnings[member] as Buffer
  for (let i = 0; i < beginning.length; i++) if (bytes[at + i] !== beginning[i]) return NO_MEMBER
  return member
}

/** The position of the next quote or backslash; -1 if a control character or the end comes first. */
function runEnd(bytes: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === QUOTE || byte === BACKSLASH) return at
    if (byte < 0x20) return -1
  }
  return -1
}

/** The end of a text whose first escape is at `start`; -1 if the text has no end, or an escape that JSON does not have. */
function escapedEnd(bytes: Buffer, start: number, end: number): number {
  let at = start
  for (;;) {
    const length = jsonEscapeLength(bytes, at, end)
    if (length === 0) return -1
    at = runEnd(bytes, at + length, end)
    if (at < 0 || bytes[at] === QUOTE) return at
  }
}

function isJava(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0x4a && bytes[at + 1] === 0x41 && bytes[at + 2] === 0x56 && bytes[at + 3] === 0x41
}

const languageBytes: readonly Buffer[] = languages.map(name => Buffer.from(name))

function languageAt(bytes: Buffer, start: number, end: number): number {
  if (end - start === 4 && isJava(bytes, start)) return 0
  return languageBytes.findIndex(name => name.length === end - start && name.equals(bytes.subarray(start, end)))
}

/**
 * Reads a JSON header as Java and most other clients write it: no blanks, only strings in extFields, escapes in values only.
 *
 * This is the hot path of every server. It replaces JSON.parse, which would create strings and objects for each header.
 * If it finds anything unusual it gives up, and `readJsonHeader` reads the header instead; both must give the same result.
 * @returns false if this header needs the general reader.
 */
export function scanJsonHeader(bytes: Buffer, start: number, end: number, view: HeaderView): boolean {
  view.reset(bytes, 'JSON')
  let hasOpaque = false
  let at = start
  if (bytes[at++] !== OPEN) return false
  for (;;) {
    const member = memberAt(bytes, at, end)
    if (member === NO_MEMBER) return false
    at += (beginnings[member] as Buffer).length
    if (member === EXT_FIELDS) at = scanFields(bytes, at, end, view)
    else if (bytes[at] === QUOTE) at = scanText(member, bytes, at + 1, end, view)
    else at = scanNumber(member, bytes, at, end, view)
    if (at < 0) return false
    if (member === OPAQUE) hasOpaque = true
    const next = bytes[at++]
    // The general reader assigns an opaque to a request without one.
    if (next === CLOSE) return at === end && hasOpaque
    if (next !== COMMA || at >= end) return false
  }
}

/** The position behind a member in quotes, or -1. */
function scanText(member: number, bytes: Buffer, start: number, end: number, view: HeaderView): number {
  let stop = runEnd(bytes, start, end)
  const hasEscapes = bytes[stop] === BACKSLASH
  if (hasEscapes) stop = escapedEnd(bytes, stop, end)
  if (stop < 0) return -1
  if (member === LANGUAGE) {
    view.language = languageAt(bytes, start, stop)
    // Java also accepts names in lower case.
    if (view.language < 0) return -1
  } else if (member === REMARK) {
    view.remarkStart = start
    view.remarkEnd = stop
    view.remarkHasEscapes = hasEscapes
  } else if (member !== SERIALIZE_TYPE) return -1
  return stop + 1
}

/** The position behind a member that is an int, or -1. */
function scanNumber(member: number, bytes: Buffer, start: number, end: number, view: HeaderView): number {
  const negative = bytes[start] === MINUS
  const digits = negative ? start + 1 : start
  let at = digits
  let value = 0
  for (let byte = bytes[at] as number; byte >= 0x30 && byte <= 0x39 && at < end; byte = bytes[++at] as number) {
    value = value * 10 + (byte - 0x30)
  }
  if (at === digits || at - digits > 10) return -1
  if (negative && value !== 0) value = -value
  if (value > 2147483647 || value < -2147483648) return -1
  if (member === CODE) view.code = value
  else if (member === FLAG) view.flag = value
  else if (member === OPAQUE) view.opaque = value
  else if (member === VERSION) view.version = value
  else return -1
  return at
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
    const keyEnd = runEnd(bytes, at, end)
    // A member named $ref may be a reference to another value, see References.
    if (keyEnd < 0 || bytes[keyEnd] !== QUOTE || bytes[keyStart] === DOLLAR) return -1
    if (bytes[keyEnd + 1] !== COLON || bytes[keyEnd + 2] !== QUOTE) return -1
    at = keyEnd + 3
    let valueEnd = runEnd(bytes, at, end)
    const hasEscapes = bytes[valueEnd] === BACKSLASH
    if (hasEscapes) valueEnd = escapedEnd(bytes, valueEnd, end)
    if (valueEnd < 0 || !view.addField(keyStart, keyEnd, at, valueEnd, hasEscapes)) return -1
    at = valueEnd + 1
    const next = bytes[at++]
    if (next === CLOSE) return at
    if (next !== COMMA) return -1
  }
}

/**
 * Reads any JSON header that Apache 4.9 or 5.x accepts: blanks, comments, single quotes, bare names, numbers as strings.
 *
 * Rules observed on running Apache servers: a fraction is truncated, `true` is 1, `null` keeps the default; a number
 * that is out of range or not a number closes the connection; `language` may be an index.
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
    // A request without an opaque gets a new one, as in Java.
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
    // The caller has checked the length of the header.
    value = readFastjson(bytes, { maxText: bytes.length })
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

/** A command to be written. If its fields are JSON text already, `fieldsText` replaces `extFields`, without braces. */
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
