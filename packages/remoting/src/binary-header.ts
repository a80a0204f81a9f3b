import type { Command } from './command.ts'
import { FrameError } from './errors.ts'
import type { HeaderView } from './header-view.ts'
import { languages } from './language.ts'

/*
 * Grammar (Apache's RocketMQSerializable), all numbers big-endian:
 *   code int16, language int8, version int16, opaque int32, flag int32,
 *   remark: int32 length, bytes
 *   extFields: int32 length of the block, then until its end: int16 length, key, int32 length, value
 */
const FIXED = 21

/**
 * Reads a binary header into a view.
 * @throws FrameError if a length does not fit, as Java closes the connection then.
 */
export function scanBinaryHeader(bytes: Buffer, start: number, end: number, view: HeaderView): void {
  if (end - start < FIXED) throw new FrameError(`a binary header of ${end - start} bytes is too short`)
  view.reset(bytes, 'ROCKETMQ')
  view.code = bytes.readInt16BE(start)
  const language = bytes[start + 2] as number
  view.language = language < languages.length ? language : -1
  view.version = bytes.readInt16BE(start + 3)
  view.opaque = bytes.readInt32BE(start + 5)
  view.flag = bytes.readInt32BE(start + 9)
  const remarkLength = bytes.readInt32BE(start + 13)
  const remarkStart = start + 17
  if (remarkLength < 0 || remarkStart + remarkLength + 4 > end) {
    throw new FrameError(`a remark of ${remarkLength} bytes does not fit its header`)
  }
  if (remarkLength > 0) {
    view.remarkStart = remarkStart
    view.remarkEnd = remarkStart + remarkLength
  }
  const fieldsStart = remarkStart + remarkLength + 4
  const fieldsLength = bytes.readInt32BE(fieldsStart - 4)
  // Java reads a negative length as "no fields" and serves the request; every other wrong length closes.
  if (fieldsLength <= 0) return
  if (fieldsStart + fieldsLength > end) {
    throw new FrameError(`extFields of ${fieldsLength} bytes do not fit a header of ${end - start}`)
  }
  scanBinaryFields(bytes, fieldsStart, fieldsStart + fieldsLength, view)
}

function scanBinaryFields(bytes: Buffer, start: number, end: number, view: HeaderView): void {
  view.fieldCount = 0
  let at = start
  while (at < end) {
    if (at + 2 > end) throw new FrameError('extFields end inside a key')
    const keyStart = at + 2
    const keyEnd = keyStart + bytes.readInt16BE(at)
    if (keyEnd < keyStart || keyEnd + 4 > end) throw new FrameError('a key of extFields does not fit')
    const valueStart = keyEnd + 4
    const valueEnd = valueStart + bytes.readInt32BE(keyEnd)
    if (valueEnd < valueStart || valueEnd > end) throw new FrameError('a value of extFields does not fit')
    at = valueEnd
    // An empty key or value reads as null in Java, which is the same as absent.
    if (keyEnd === keyStart || valueEnd === valueStart) continue
    if (!view.addField(keyStart, keyEnd, valueStart, valueEnd, false)) {
      throw new FrameError('the header has too many fields')
    }
  }
}

const MAX_KEY = 32767

/** Writes a binary header. Codes beyond 16 bits do not fit: such requests must go as JSON. */
export function writeBinaryHeader(command: Omit<Command, 'body'>): Buffer {
  const remark = Buffer.from(command.remark ?? '')
  const fields = encodeFields(command.extFields)
  const bytes = Buffer.allocUnsafe(FIXED + remark.length + fields.length)
  bytes.writeInt16BE((command.code << 16) >> 16, 0)
  const language = command.language === undefined ? languages.indexOf('OTHER') : languages.indexOf(command.language)
  bytes.writeUInt8(language, 2)
  bytes.writeInt16BE((command.version << 16) >> 16, 3)
  bytes.writeInt32BE(command.opaque, 5)
  bytes.writeInt32BE(command.flag, 9)
  bytes.writeInt32BE(remark.length, 13)
  remark.copy(bytes, 17)
  bytes.writeInt32BE(fields.length, 17 + remark.length)
  fields.copy(bytes, FIXED + remark.length)
  return bytes
}

function encodeFields(extFields: Command['extFields']): Buffer {
  const parts: Buffer[] = []
  for (const [key, value] of extFields ?? []) {
    const keyBytes = Buffer.from(key)
    if (keyBytes.length > MAX_KEY)
      throw new FrameError(`a header field's name has ${keyBytes.length} bytes, the limit is ${MAX_KEY}`)
    const valueBytes = Buffer.from(value)
    const lengths = Buffer.allocUnsafe(6)
    lengths.writeInt16BE(keyBytes.length, 0)
    lengths.writeInt32BE(valueBytes.length, 2)
    parts.push(lengths.subarray(0, 2), keyBytes, lengths.subarray(2), valueBytes)
  }
  return Buffer.concat(parts)
}
