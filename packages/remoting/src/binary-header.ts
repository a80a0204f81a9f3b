import type { Command, ExtFields } from './command.ts'
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
 * @throws FrameError if a length does not fit; Java closes the connection then, too.
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
  // Java reads a negative length as "no fields" and serves the request; any other wrong length closes the connection.
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
    // Java reads an empty key or value as null, which is the same as absent.
    if (keyEnd === keyStart || valueEnd === valueStart) continue
    if (!view.addField(keyStart, keyEnd, valueStart, valueEnd, false)) {
      throw new FrameError('the header has too many fields')
    }
  }
}

const MAX_KEY = 32767

/** The most bytes that the binary header of a command can take: UTF-8 needs at most three bytes per UTF-16 code unit. */
export function binaryHeaderRoom({ remark, extFields }: Omit<Command, 'body'>): number {
  let room = FIXED + (remark === null ? 0 : remark.length * 3)
  for (const [key, value] of extFields ?? []) room += 6 + (key.length + value.length) * 3
  return room
}

/**
 * Writes a binary header into `out` from `start`, where there must be room for `binaryHeaderRoom` bytes. Codes beyond 16
 * bits do not fit: such requests need a JSON header.
 * @returns Where the header ends.
 * @throws FrameError if the name of a field is too long
 */
export function writeBinaryHeader(command: Omit<Command, 'body'>, out: Buffer, start: number): number {
  out.writeInt16BE((command.code << 16) >> 16, start)
  out[start + 2] = languages.indexOf(command.language ?? 'OTHER')
  out.writeInt16BE((command.version << 16) >> 16, start + 3)
  out.writeInt32BE(command.opaque, start + 5)
  out.writeInt32BE(command.flag, start + 9)
  const remarkLength = command.remark === null ? 0 : out.write(command.remark, start + 17)
  out.writeInt32BE(remarkLength, start + 13)
  const fields = start + FIXED + remarkLength
  const end = command.extFields === null ? fields : writeFields(command.extFields, out, fields)
  out.writeInt32BE(end - fields, fields - 4)
  return end
}

function writeFields(extFields: ExtFields, out: Buffer, start: number): number {
  let at = start
  for (const [key, value] of extFields) {
    const keyLength = out.write(key, at + 2)
    if (keyLength > MAX_KEY) {
      throw new FrameError(`a header field's name has ${keyLength} bytes, the limit is ${MAX_KEY}`)
    }
    out.writeInt16BE(keyLength, at)
    at += 2 + keyLength
    const valueLength = out.write(value, at + 4)
    out.writeInt32BE(valueLength, at)
    at += 4 + valueLength
  }
  return at
}
