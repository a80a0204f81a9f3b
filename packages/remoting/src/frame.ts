import { scanBinaryHeader, writeBinaryHeader } from './binary-header.ts'
import type { Command } from './command.ts'
import { FrameError, FrameTooLargeError } from './errors.ts'
import { type HeaderView, toCommand } from './header-view.ts'
import { readJsonHeader, scanJsonHeader, writeJsonHeader } from './json-header.ts'
import type { Outbox } from './outbox.ts'

/*
 * Grammar of a frame (Apache's RemotingCommand.encode):
 *   int32 length of what follows, byte serialize type (0 JSON, 1 binary), uint24 header length, header, body
 */

/** Apache's limit for a whole frame, its four length bytes counted: `com.rocketmq.remoting.frameMaxLength`. */
export const MAX_FRAME = 16_777_216
const JSON_TYPE = 0
const BINARY_TYPE = 1
/** Pieces up to this size are copied together; larger ones are cheaper to hand over as they are. */
const COPY_LIMIT = 16 * 1024
/** A rest smaller than this is copied, so that it does not keep the whole read alive. */
const REST_COPIED = 4096

const NO_BYTES = Buffer.alloc(0)

/**
 * Cuts a stream of chunks into frames. Memory grows only with bytes received, never with a length announced.
 * Use: `push(chunk)`, then `next()` until it is false; a frame is `bytes` from `start` to `end`, its length word left out.
 */
export class FrameDecoder {
  bytes: Buffer = NO_BYTES
  start = 0
  end = 0
  #position = 0
  #rest: Buffer[] = []
  #restSize = 0
  #needed = 4
  readonly #limit: number

  /** @param limit Largest frame in bytes, length word counted. */
  constructor(limit = MAX_FRAME) {
    this.#limit = limit
  }

  /** Bytes of a frame that is not complete. */
  get pending(): number {
    return this.#restSize
  }

  push(chunk: Buffer): void {
    if (this.#restSize === 0) {
      this.bytes = chunk
      this.#position = 0
      return
    }
    this.#rest.push(chunk)
    this.#restSize += chunk.length
    if (this.#restSize < this.#needed) return
    this.bytes = Buffer.concat(this.#rest, this.#restSize)
    this.#position = 0
    this.#rest = []
    this.#restSize = 0
  }

  /**
   * True if a frame is there.
   * @throws FrameTooLargeError, FrameError as soon as the length word is wrong.
   */
  next(): boolean {
    if (this.#restSize > 0) return false
    const { bytes } = this
    const at = this.#position
    if (bytes.length - at < 4) return this.#keep(at, 4)
    const length = bytes.readUInt32BE(at)
    if (length + 4 > this.#limit) throw new FrameTooLargeError(length + 4, this.#limit)
    if (length < 4) throw new FrameError(`a frame of ${length} bytes is too short`)
    if (bytes.length - at - 4 < length) return this.#keep(at, 4 + length)
    this.start = at + 4
    this.end = at + 4 + length
    this.#position = this.end
    return true
  }

  #keep(at: number, needed: number): false {
    const rest = this.bytes.subarray(at)
    this.bytes = NO_BYTES
    this.#position = 0
    this.#needed = needed
    this.#restSize = rest.length
    if (rest.length > 0) this.#rest = [rest.length < REST_COPIED ? Buffer.from(rest) : rest]
    return false
  }
}

/**
 * Reads the header of the frame `bytes[start, end)` into the view, if it is an ordinary one.
 * @returns false if it is a JSON header that only `readCommand` understands.
 * @throws FrameError
 */
export function scanHeader(bytes: Buffer, start: number, end: number, maxHeader: number, view: HeaderView): boolean {
  const word = bytes.readUInt32BE(start)
  const type = word >>> 24
  const headerStart = start + 4
  const headerLength = word & 0xffffff
  const headerEnd = headerStart + headerLength
  if (headerEnd > end) throw new FrameError(`a header of ${headerLength} bytes does not fit a frame of ${end - start}`)
  if (headerLength > maxHeader) throw new FrameError(`a header of ${headerLength} bytes, the limit is ${maxHeader}`)
  view.bodyStart = headerEnd
  view.bodyEnd = end
  if (type === JSON_TYPE) return scanJsonHeader(bytes, headerStart, headerEnd, view)
  if (type !== BINARY_TYPE) throw new FrameError(`no header is written in type ${type}`)
  scanBinaryHeader(bytes, headerStart, headerEnd, view)
  return true
}

/**
 * The command in a frame that `scanHeader` has looked at.
 * @param scanned What `scanHeader` returned.
 * @param fresh The opaque of a request that has none.
 */
export function readCommand(bytes: Buffer, start: number, view: HeaderView, scanned: boolean, fresh: number): Command {
  if (scanned) return toCommand(view)
  const body = view.bodyEnd > view.bodyStart ? bytes.subarray(view.bodyStart, view.bodyEnd) : null
  return readJsonHeader(bytes, start + 4, view.bodyStart, body, fresh)
}

/** Writes a command as one frame. */
export function writeFrame(command: Omit<Command, 'body'> & { readonly body: Uint8Array | null }, out: Outbox): void {
  const { body } = command
  const bodyLength = body === null ? 0 : body.length
  if (command.serializeType === 'ROCKETMQ') {
    const header = writeBinaryHeader(command)
    begin(out, BINARY_TYPE, header.length, bodyLength)
    out.position += header.copy(out.bytes, out.position)
  } else {
    const header = writeJsonHeader(command)
    const length = Buffer.byteLength(header)
    begin(out, JSON_TYPE, length, bodyLength)
    out.position += out.bytes.write(header, out.position)
  }
  if (body === null) return
  if (bodyLength > COPY_LIMIT) {
    out.append(body)
    return
  }
  out.bytes.set(body, out.position)
  out.position += bodyLength
}

function begin(out: Outbox, type: number, headerLength: number, bodyLength: number): void {
  out.reserve(8 + headerLength + (bodyLength > COPY_LIMIT ? 0 : bodyLength))
  out.bytes.writeUInt32BE(4 + headerLength + bodyLength, out.position)
  out.bytes.writeUInt32BE(((type << 24) | headerLength) >>> 0, out.position + 4)
  out.position += 8
}

/** A command as the bytes of one frame; for tests and tools, where speed is nothing. */
export function encodeFrame(
  command: Omit<Command, 'body'> & { readonly body: Uint8Array | null },
  out: Outbox,
): Buffer {
  writeFrame(command, out)
  return Buffer.concat(out.take())
}
