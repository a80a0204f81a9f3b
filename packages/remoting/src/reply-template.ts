import { type SerializeType, REPLY_FLAG } from './command.ts'
import { ANNOUNCED_VERSION } from './connection-options.ts'
import { quote } from './fastjson/quote.ts'
import { languages } from './language.ts'
import { writeDecimal, writeHex, writeInt32 } from './number-bytes.ts'

export interface ReplyTemplateOptions {
  /** Default 0, success. */
  readonly code?: number
  readonly remark?: string
  /** The fields that differ from reply to reply, each with the text that its value always begins with. */
  readonly values?: Readonly<Record<string, string>>
  /** The fields behind them, which are the same in every reply. */
  readonly constants?: Readonly<Record<string, string>>
}

const JSON_TYPE = 0
const BINARY_TYPE = 1
/** Of a binary header: code, language, version, opaque, flag, length of the remark, length of the fields. */
const BINARY_FIXED = 21
/** Bytes that the opaque takes at most. */
const OPAQUE_ROOM = 11
const SHORT = 24

/**
 * Writes replies that have the same fields every time, without creating strings or maps: for a fast path. The bytes are those that
 * `writeFrame` would write, in both encodings. To write a reply, call `begin`, then one of `number`, `hex` and `text` for each
 * value, in their order, then `end`. One reply at a time.
 */
export class ReplyTemplate {
  /** Bytes that a reply takes, besides its values and its body. */
  readonly room: number
  /** The bytes before each value, and those behind the last one. */
  readonly #json: readonly Buffer[]
  readonly #jsonEnd: Buffer
  readonly #binary: readonly Buffer[]
  readonly #prefixes: readonly number[]
  readonly #fieldsAt: number
  #out: Buffer = Buffer.alloc(0)
  #start = 0
  #at = 0
  #isJson = true
  #opaque = 0
  #value = 0
  /** Of a binary header: where the value begins. */
  #valueAt = 0

  constructor({ code = 0, remark, values, constants = {} }: ReplyTemplateOptions) {
    const hasFields = values !== undefined
    const names = Object.entries(values ?? {})
    const rest = Object.entries(constants)
    const before = names.map(([name, prefix], index) => {
      const head = index === 0 ? `{"code":${code},"extFields":{` : '",'
      return `${head}${quote(name)}:${quote(prefix).slice(0, -1)}`
    })
    const behind = rest.map(([name, value]) => `${quote(name)}:${quote(value)}`).join(',')
    const fieldsEnd = `${names.length > 0 ? `"${behind === '' ? '' : ','}` : ''}${behind}}`
    const start = names.length > 0 ? '' : `{"code":${code}${hasFields ? ',"extFields":{' : ''}`
    const last = `${start}${hasFields ? fieldsEnd : ''},"flag":${REPLY_FLAG},"language":"JAVA","opaque":`
    this.#json = [...before, last].map(text => Buffer.from(text))
    const shown = remark === undefined ? '' : `,"remark":${quote(remark)}`
    this.#jsonEnd = Buffer.from(`${shown},"serializeTypeCurrentRPC":"JSON","version":${ANNOUNCED_VERSION}}`)
    const head = binaryHead(code, remark)
    this.#fieldsAt = head.length
    this.#prefixes = names.map(([, prefix]) => Buffer.byteLength(prefix))
    const parts = names.map(([name, prefix]) => binaryField(name, prefix))
    parts.push(Buffer.concat(rest.map(([name, value]) => binaryField(name, value))))
    parts[0] = Buffer.concat([head, parts[0] as Buffer])
    this.#binary = parts
    this.room = 8 + Math.max(sizeOf(this.#json) + OPAQUE_ROOM + this.#jsonEnd.length, sizeOf(parts))
  }

  /** @param out Has room at `at` for `room` bytes, the values and the body. */
  begin(out: Buffer, at: number, serializeType: SerializeType, opaque: number): void {
    this.#out = out
    this.#start = at
    this.#isJson = serializeType === 'JSON'
    this.#opaque = opaque
    this.#value = 0
    this.#at = at + 8
    this.#next()
  }

  /** A safe integer in decimal digits. */
  number(value: number): void {
    this.#at = writeDecimal(this.#out, this.#at, value)
    this.#end()
  }

  /** A safe integer of 0 and more as 16 hexadecimal digits. */
  hex(value: number): void {
    this.#at = writeHex(this.#out, this.#at, value)
    this.#end()
  }

  /** Text in UTF-8; in a JSON header it needs no escapes. Its bytes are `from[start, end)`. */
  text(from: Buffer, start: number, end: number): void {
    const out = this.#out
    let at = this.#at
    for (let i = start; i < end; i++) out[at++] = from[i] as number
    this.#at = at
    this.#end()
  }

  /**
   * @param bodyBytes The length of the body that follows the header.
   * @returns The position after the header
   */
  end(bodyBytes: number): number {
    const out = this.#out
    const start = this.#start
    let at = this.#at
    if (this.#isJson) at = put(this.#jsonEnd, out, writeDecimal(out, at, this.#opaque))
    else {
      writeInt32(out, start + 13, this.#opaque)
      writeInt32(out, start + 8 + this.#fieldsAt - 4, at - start - 8 - this.#fieldsAt)
    }
    const type = this.#isJson ? JSON_TYPE : BINARY_TYPE
    writeInt32(out, start, at - start - 4 + bodyBytes)
    writeInt32(out, start + 4, (type << 24) | (at - start - 8))
    return at
  }

  /** Ends a value, and writes what is before the next one. */
  #end(): void {
    if (!this.#isJson) writeInt32(this.#out, this.#valueAt - 4, this.#at - this.#valueAt)
    this.#value++
    this.#next()
  }

  #next(): void {
    const value = this.#value
    this.#at = put((this.#isJson ? this.#json : this.#binary)[value] as Buffer, this.#out, this.#at)
    this.#valueAt = this.#at - (this.#prefixes[value] ?? 0)
  }
}

function sizeOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0)
}

function binaryHead(code: number, remark = ''): Buffer {
  const text = Buffer.from(remark)
  const head = Buffer.alloc(BINARY_FIXED + text.length)
  head.writeInt16BE(code)
  head[2] = languages.indexOf('JAVA')
  head.writeInt16BE(ANNOUNCED_VERSION, 3)
  head.writeInt32BE(REPLY_FLAG, 9)
  head.writeInt32BE(text.length, 13)
  text.copy(head, 17)
  return head
}

function binaryField(name: string, value: string): Buffer {
  const key = Buffer.from(name)
  const text = Buffer.from(value)
  const field = Buffer.alloc(6 + key.length + text.length)
  field.writeInt16BE(key.length)
  key.copy(field, 2)
  field.writeInt32BE(text.length, 2 + key.length)
  text.copy(field, 6 + key.length)
  return field
}

function put(from: Buffer, out: Buffer, at: number): number {
  const { length } = from
  if (length > SHORT) out.set(from, at)
  else for (let i = 0; i < length; i++) out[at + i] = from[i] as number
  return at + length
}

/** A frame of a template as a frame with another code. */
export function withCode(frame: Buffer, code: number): Buffer {
  if (frame[4] === BINARY_TYPE) {
    const changed = Buffer.from(frame)
    changed.writeInt16BE(code, 8)
    return changed
  }
  const codeAt = 8 + '{"code":'.length
  const changed = Buffer.concat([
    frame.subarray(0, codeAt),
    Buffer.from(String(code)),
    frame.subarray(frame.indexOf(',', codeAt)),
  ])
  const longer = changed.length - frame.length
  changed.writeInt32BE(frame.readInt32BE(0) + longer, 0)
  changed.writeInt32BE(frame.readInt32BE(4) + longer, 4)
  return changed
}
