import { binaryHeaderRoom, scanBinaryHeader, writeBinaryHeader } from './binary-header.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { BodyBytes, Command } from './command.ts'
import { FrameError, FrameTooLargeError } from './errors.ts'
import { HeaderView, toCommand } from './header-view.ts'
import { readJsonHeader, scanJsonHeader, type WrittenCommand, writeJsonHeader } from './json-header.ts'
import type { Outbox } from './outbox.ts'

/*
 * Grammar of a frame (Apache's RemotingCommand.encode):
 *   int32 length of what follows, byte serialize type (0 JSON, 1 binary), uint24 header length, header, body
 */

/** Apache's limit for a whole frame, including its four length bytes: `com.rocketmq.remoting.frameMaxLength`. */
export const MAX_FRAME = 16_777_216
const JSON_TYPE = 0
const BINARY_TYPE = 1
/** Pieces up to this size are copied together; it is cheaper to send larger ones as they are. */
const COPY_LIMIT = 16 * 1024

const BLOCK = 64 * 1024
/** A pooled buffer is lent once one part in so many of its frame has arrived. A read is 64 KiB, so it is enough for 4 MiB. */
const SMALLEST_PART = 64
/** Memory for a frame grows fourfold until so many bytes have arrived, and then twofold. */
const QUICK_GROWTH = 16 * BLOCK

const NO_BYTES = Buffer.alloc(0)
/** An unfinished frame that takes so much is in memory that returns to the operating system. */
const LARGE = 1 << 20

/** Limits the memory of a frame that arrives in several chunks. */
export interface FrameRoom {
  /** Whether the frame may have so many bytes of memory now. */
  grow(size: number): boolean
  /** Called when the frame is complete. */
  arrived(): void
}

/**
 * Splits a stream of chunks into frames. Memory grows only with the bytes received, never with an announced length.
 * Use: `push(chunk)`, then `next()` until it is false; a frame is `bytes` from `start` to `end`, without its length word.
 */
export class FrameDecoder {
  bytes: Buffer = NO_BYTES
  start = 0
  end = 0
  #chunk: Buffer = NO_BYTES
  #isOwn = false
  #position = 0
  /** The part received so far of a frame that arrives in several chunks. */
  #partial: Buffer = NO_BYTES
  #have = 0
  #needed = 0
  readonly #limit: number
  readonly #pool: BufferPool | undefined
  readonly #room: FrameRoom | undefined

  /**
   * @param limit Largest frame in bytes, including the length word.
   * @param pool Lends memory for frames that arrive in several chunks; see `lent`.
   * @param room Limits that memory. While a frame may not grow, `next` is false, and the rest of the chunk stays.
   */
  constructor(limit = MAX_FRAME, pool?: BufferPool, room?: FrameRoom) {
    this.#limit = limit
    this.#pool = pool
    this.#room = room
  }

  /** Bytes received of an incomplete frame. */
  get pending(): number {
    return this.#have
  }

  /** The memory of the current frame, to be returned to the pool when the frame is no longer used; undefined if it is in a chunk. */
  get lent(): Buffer | undefined {
    return this.bytes === this.#chunk ? undefined : this.bytes
  }

  /** Bytes of the chunk that have not been read yet. */
  get rest(): number {
    return this.#chunk.length - this.#position
  }

  /**
   * @param isOwn Whether no one else uses the chunk. Then its memory is freed as soon as all of it was copied into a frame: the garbage
   *   of a large frame takes as much as the frame, and stays while the process is idle.
   */
  push(chunk: Buffer, isOwn = false): void {
    this.#isOwn = isOwn
    this.#chunk = this.rest === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#position), chunk])
    this.#position = 0
  }

  /** Whether no rest of the chunk is left. Then the chunk is released, so that a silent connection does not keep it in memory. */
  isUsedUp(): boolean {
    if (this.#position < this.#chunk.length) return false
    this.#drop()
    return true
  }

  /** Releases all memory. No frame can be read after that; the current one stays readable. */
  close(): void {
    // The pool is for whole frames: it would keep what a flood of unfinished ones has left.
    if (this.#partial.length > 0) this.#freePartial()
    this.#partial = NO_BYTES
    this.#have = 0
    this.#chunk = NO_BYTES
    this.#position = 0
  }

  /** Copies the rest of the chunk, whose memory will be overwritten. */
  keepRest(): void {
    this.#chunk = Buffer.from(this.#chunk.subarray(this.#position))
    this.#position = 0
  }

  /**
   * Finds the next frame. True if it is complete; if not, and there is a `rest`, memory for it is short.
   * @throws FrameTooLargeError, FrameError as soon as the length word is wrong.
   */
  next(): boolean {
    if (this.#have > 0) return this.#continue()
    const bytes = this.#chunk
    const at = this.#position
    const left = bytes.length - at
    if (left < 4) return this.#begin(4)
    const size = 4 + this.#check(bytes.readUInt32BE(at))
    if (left < size) return this.#begin(size)
    this.bytes = bytes
    this.start = at + 4
    this.end = at + size
    this.#position = this.end
    return true
  }

  #check(length: number): number {
    if (length + 4 > this.#limit) throw new FrameTooLargeError(length + 4, this.#limit)
    if (length < 4) throw new FrameError(`a frame of ${length} bytes is too short`)
    return length
  }

  #begin(needed: number): false {
    this.#needed = needed
    if (this.#position < this.#chunk.length) this.#take()
    else this.#drop()
    return false
  }

  #continue(): boolean {
    this.#take()
    if (this.#have < this.#needed) return false
    if (this.#needed === 4) {
      this.#needed = 4 + this.#check(this.#partial.readUInt32BE(0))
      return this.#continue()
    }
    this.bytes = this.#whole()
    this.start = 4
    this.end = this.#needed
    this.#partial = NO_BYTES
    this.#have = 0
    this.#room?.arrived()
    return true
  }

  /** Copies the bytes that the partial frame still needs from the chunk. */
  #take(): void {
    const end = Math.min(this.#chunk.length, this.#position + this.#needed - this.#have)
    const have = this.#have + end - this.#position
    if (this.#partial.length < have && !this.#grow(have)) return
    const chunk = this.#chunk
    chunk.copy(this.#partial, this.#have, this.#position, end)
    // No frame before this one is in the chunk.
    const isCopied = this.#position === 0 && end === chunk.length
    this.#have = have
    this.#position = end
    if (end < chunk.length) return
    this.#drop()
    if (isCopied && this.#isOwn) this.#pool?.free(chunk)
  }

  #drop(): void {
    this.#chunk = NO_BYTES
    this.#position = 0
    this.bytes = NO_BYTES
  }

  #grow(have: number): boolean {
    const before = this.#partial
    // A peer that announces much and sends little gets little memory.
    const lent = have * SMALLEST_PART >= this.#needed ? this.#pool?.borrow(this.#needed) : undefined
    const ahead = have < QUICK_GROWTH ? 4 : 2
    const size = lent?.length ?? Math.min(roundUp(this.#needed), Math.max(have * ahead, 256))
    // Without a pool the peer is a server of this client's choice, and each large frame would pay for the copy.
    const isLarge = lent === undefined && this.#pool !== undefined && size >= LARGE
    if (this.#room?.grow(size) === false) {
      if (lent !== undefined) this.#pool?.give(lent)
      return false
    }
    if (isLarge && isResizable(before.buffer)) {
      before.buffer.resize(size)
      this.#partial = Buffer.from(before.buffer, 0, size)
      return true
    }
    const next = lent ?? (isLarge ? resizable(size, roundUp(this.#needed)) : Buffer.allocUnsafeSlow(size))
    before.copy(next, 0, 0, this.#have)
    // Pieces that were outgrown would leave no room for whole frames in the pool.
    if (before.length > 0) this.#freePartial()
    this.#partial = next
    return true
  }

  /** The frame that has arrived, in memory that its handler may keep. */
  #whole(): Buffer {
    const partial = this.#partial
    if (!isResizable(partial.buffer)) return partial
    const whole = this.#pool?.borrow(this.#needed) ?? Buffer.allocUnsafeSlow(roundUp(this.#needed))
    partial.copy(whole, 0, 0, this.#needed)
    this.#freePartial()
    return whole
  }

  #freePartial(): void {
    const { buffer } = this.#partial
    if (isResizable(buffer)) buffer.transferToFixedLength(0)
    else this.#pool?.free(this.#partial)
  }
}

/**
 * Memory that grows in place up to `most` bytes. It returns to the operating system when it is freed; other memory of this size
 * would mostly stay with the process after a flood of large frames.
 */
function resizable(size: number, most: number): Buffer {
  return Buffer.from(new ArrayBuffer(size, { maxByteLength: most }), 0, size)
}

function isResizable(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return buffer instanceof ArrayBuffer && buffer.resizable
}

/** Rounds up, so that the same memory still suffices if a broker's next registration is slightly longer. */
function roundUp(size: number): number {
  return size < BLOCK ? size : Math.ceil(size / BLOCK) * BLOCK
}

/** One for all calls of `decodeFrame`: a view takes much more memory than most frames. */
const view = new HeaderView()

/**
 * Decodes a whole frame, with its length word. The body stays a view of its bytes.
 * @throws FrameError
 */
export function decodeFrame(frame: Buffer): Command {
  const scanned = scanHeader(frame, 4, frame.length, frame.length, view)
  return readCommand(frame, 4, view, scanned, 0)
}

/**
 * Reads the header of the frame `bytes[start, end)` into the view, if the header has a usual form.
 * @returns false for a JSON header that only `readCommand` can read.
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
  if (type !== BINARY_TYPE) throw new FrameError(`the serialize type ${type} of a header is unknown`)
  scanBinaryHeader(bytes, headerStart, headerEnd, view)
  return true
}

/**
 * The command in a frame whose header `scanHeader` has read.
 * @param scanned What `scanHeader` returned.
 * @param fresh The opaque of a request that has none.
 */
export function readCommand(bytes: Buffer, start: number, view: HeaderView, scanned: boolean, fresh: number): Command {
  if (scanned) return toCommand(view)
  const body = view.bodyEnd > view.bodyStart ? bytes.subarray(view.bodyStart, view.bodyEnd) : null
  return readJsonHeader(bytes, start + 4, view.bodyStart, body, fresh)
}

/** A command to send. */
export type OutgoingCommand = WrittenCommand & { readonly body: BodyBytes | null }

/** Writes a command as one frame. */
export function writeFrame(command: OutgoingCommand, out: Outbox): void {
  const { body } = command
  const bodyLength = lengthOf(body)
  const copied = bodyLength > COPY_LIMIT ? 0 : bodyLength
  if (command.serializeType === 'ROCKETMQ') {
    out.reserve(8 + binaryHeaderRoom(command) + copied)
    begin(out, BINARY_TYPE, writeBinaryHeader(command, out.bytes, out.position + 8), bodyLength)
  } else {
    const header = writeJsonHeader(command)
    // UTF-8 needs at most three bytes per UTF-16 unit; counting them costs as much as writing them.
    const most = header.length > COPY_LIMIT ? Buffer.byteLength(header) : header.length * 3
    out.reserve(8 + most + copied)
    const start = out.position + 8
    begin(out, JSON_TYPE, start + out.bytes.write(header, start), bodyLength)
  }
  if (body instanceof Uint8Array) add(body, out)
  else if (body !== null) for (const part of body) add(part, out)
}

function lengthOf(body: BodyBytes | null): number {
  if (body === null) return 0
  if (body instanceof Uint8Array) return body.length
  let length = 0
  for (const part of body) length += part.length
  return length
}

function add(piece: Uint8Array, out: Outbox): void {
  if (piece.length > COPY_LIMIT) {
    out.append(piece)
    return
  }
  out.reserve(piece.length)
  out.bytes.set(piece, out.position)
  out.position += piece.length
}

/** Writes the two words before a header that is written already and ends at `headerEnd`. */
function begin(out: Outbox, type: number, headerEnd: number, bodyLength: number): void {
  const headerLength = headerEnd - out.position - 8
  out.bytes.writeUInt32BE(4 + headerLength + bodyLength, out.position)
  out.bytes.writeUInt32BE(((type << 24) | headerLength) >>> 0, out.position + 4)
  out.position = headerEnd
}

/** A command as the bytes of one frame; for tests and tools, where speed does not matter. */
export function encodeFrame(command: Omit<Command, 'body'> & Pick<OutgoingCommand, 'body'>, out: Outbox): Buffer {
  writeFrame(command, out)
  return Buffer.concat(out.take())
}
