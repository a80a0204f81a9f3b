/**
 * Frames for the suites, written and read without our codec, so that a mistake in the codec cannot hide.
 * docs/protocol.md describes the layout and the two kinds of header.
 */

export type RawSerializeType = 'JSON' | 'ROCKETMQ'

export interface RawRequest {
  readonly code: number
  readonly extFields?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | string | undefined
  /** Default 409, the version number of 4.9.8. */
  readonly version?: number
  /** Default 0; 2 means one-way. */
  readonly flag?: number
  readonly opaque?: number
  /** Default JSON. */
  readonly serializeType?: RawSerializeType
  /** A complete JSON header; replaces the one made from the other members. */
  readonly headerText?: string
}

export interface RawFrame {
  readonly bytes: Buffer
  readonly serializeType: RawSerializeType
  readonly code: number
  readonly language: string | number
  readonly version: number
  readonly opaque: number
  readonly flag: number
  readonly remark: string | null
  readonly extFields: Readonly<Record<string, string>> | null
  /** Null if there is none. */
  readonly body: Buffer | null
}

const JAVA = 0
const DEFAULT_VERSION = 409

let lastOpaque = 0
/** A request number that is unique in this process. */
export const nextOpaque = () => ++lastOpaque

function jsonHeader(request: RawRequest, opaque: number): Buffer {
  if (request.headerText !== undefined) return Buffer.from(request.headerText)
  const { code, extFields, flag = 0, version = DEFAULT_VERSION } = request
  return Buffer.from(
    JSON.stringify({ code, extFields, flag, language: 'JAVA', opaque, serializeTypeCurrentRPC: 'JSON', version }),
  )
}

function sized(width: 2 | 4, text: string): Buffer {
  const bytes = Buffer.from(text)
  const size = Buffer.alloc(width)
  size.writeIntBE(bytes.length, 0, width)
  return Buffer.concat([size, bytes])
}

function binaryHeader(request: RawRequest, opaque: number): Buffer {
  const fields = Object.entries(request.extFields ?? {}).flatMap(([key, value]) => [sized(2, key), sized(4, value)])
  const block = Buffer.concat(fields)
  const fixed = Buffer.alloc(21)
  fixed.writeInt16BE(request.code, 0)
  fixed.writeUInt8(JAVA, 2)
  fixed.writeInt16BE(request.version ?? DEFAULT_VERSION, 3)
  fixed.writeInt32BE(opaque, 5)
  fixed.writeInt32BE(request.flag ?? 0, 9)
  fixed.writeInt32BE(0, 13)
  fixed.writeInt32BE(block.length, 17)
  return Buffer.concat([fixed, block])
}

/** Encodes a request. */
export function encodeRaw(request: RawRequest, opaque = request.opaque ?? nextOpaque()): Buffer {
  const binary = request.serializeType === 'ROCKETMQ'
  const header = binary ? binaryHeader(request, opaque) : jsonHeader(request, opaque)
  const body = Buffer.from(request.body ?? '')
  const start = Buffer.alloc(8)
  start.writeUInt32BE(4 + header.length + body.length, 0)
  start.writeUInt32BE(header.length, 4)
  start.writeUInt8(binary ? 1 : 0, 4)
  return Buffer.concat([start, header, body])
}

interface HeaderParts extends Omit<RawFrame, 'bytes' | 'body' | 'serializeType'> {}

function readJsonHeader(bytes: Buffer): HeaderParts {
  const header = JSON.parse(bytes.toString()) as Partial<HeaderParts>
  const { code = 0, language = 'JAVA', version = 0, opaque = 0, flag = 0, remark = null, extFields = null } = header
  return { code, language, version, opaque, flag, remark, extFields }
}

function readFields(block: Buffer): Record<string, string> | null {
  if (block.length === 0) return null
  const fields: Record<string, string> = {}
  for (let at = 0; at < block.length; ) {
    const keyEnd = at + 2 + block.readInt16BE(at)
    const valueEnd = keyEnd + 4 + block.readInt32BE(keyEnd)
    fields[block.toString('utf8', at + 2, keyEnd)] = block.toString('utf8', keyEnd + 4, valueEnd)
    at = valueEnd
  }
  return fields
}

function readBinaryHeader(bytes: Buffer): HeaderParts {
  const remarkEnd = 17 + bytes.readInt32BE(13)
  const fieldsEnd = remarkEnd + 4 + bytes.readInt32BE(remarkEnd)
  return {
    code: bytes.readInt16BE(0),
    language: bytes.readUInt8(2),
    version: bytes.readInt16BE(3),
    opaque: bytes.readInt32BE(5),
    flag: bytes.readInt32BE(9),
    remark: remarkEnd > 17 ? bytes.toString('utf8', 17, remarkEnd) : null,
    extFields: readFields(bytes.subarray(remarkEnd + 4, fieldsEnd)),
  }
}

/** Decodes one whole frame. */
export function decodeRaw(bytes: Buffer): RawFrame {
  const headerEnd = 8 + (bytes.readUInt32BE(4) & 0xffffff)
  const binary = bytes.readUInt8(4) === 1
  const header = bytes.subarray(8, headerEnd)
  return {
    ...(binary ? readBinaryHeader(header) : readJsonHeader(header)),
    bytes,
    serializeType: binary ? 'ROCKETMQ' : 'JSON',
    body: headerEnd < bytes.length ? bytes.subarray(headerEnd) : null,
  }
}

/** Cuts a byte stream into whole frames. */
export class FrameCutter {
  #rest: Buffer = Buffer.alloc(0)

  /** Adds a chunk and returns the frames that it completes. */
  cut(chunk: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const frames: Buffer[] = []
    while (this.#rest.length >= 4) {
      const size = 4 + this.#rest.readUInt32BE(0)
      if (this.#rest.length < size) break
      frames.push(Buffer.from(this.#rest.subarray(0, size)))
      this.#rest = this.#rest.subarray(size)
    }
    return frames
  }
}

/** Parses JSON as fastjson writes it: numeric keys may have no quotes. */
export function parseFastjson(body: Buffer | string | null): unknown {
  if (body === null) return null
  const text = body.toString()
  // The first alternative consumes strings, so that nothing inside a string looks like a key.
  return JSON.parse(
    text.replace(/("(?:[^"\\]|\\.)*")|([{,]\s*)(-?\d+):/g, (all, string, before, key) =>
      string === undefined ? `${before}"${key}":` : all,
    ),
  )
}
