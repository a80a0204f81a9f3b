import { RemotingError } from '@gantrymq/remoting'

const FRAME = 0x184d2204
/** Skippable frames with data of other programs: the last hex digit of their magic number can be any. */
const SKIPPABLE = 0x184d2a5
const STORED_AS_IS = 0x80000000
/** Shorter copies are faster byte by byte than with copyWithin. */
const LONG_COPY = 32

/**
 * Reads LZ4 frames (what Java's LZ4FrameInputStream reads), up to `maxBytes`. This is implemented here because the available
 * library has no limit: 4 MB of a hostile frame expand to 1 GB. A first pass over the lengths finds the size, so memory is
 * allocated once, and only if the size is within the limit. Checksums of the frames are ignored; the CRC of the message covers
 * them. About 500 MB/s.
 * @throws RemotingError BAD_BODY
 */
export function readLz4Frames(bytes: Buffer, maxBytes: number): Buffer {
  const out = Buffer.allocUnsafe(walkFrames(bytes, null, maxBytes))
  walkFrames(bytes, out, out.length)
  return out
}

/** Does both passes: without `out` it only measures. Returns the decompressed size. */
function walkFrames(bytes: Buffer, out: Buffer | null, limit: number): number {
  let to = 0
  for (let at = 0; at < bytes.length; ) {
    const magic = word(bytes, at)
    if (magic >>> 4 === SKIPPABLE) {
      at += 8 + word(bytes, at + 4)
    } else {
      if (magic !== FRAME) throw bad(`no frame at byte ${at}`)
      ;[at, to] = walkFrame(bytes, at + 4, out, to, limit)
    }
  }
  if (bytes.length === 0) throw bad('it is empty')
  return to
}

function walkFrame(bytes: Buffer, start: number, out: Buffer | null, from: number, limit: number): [number, number] {
  const flags = bytes[start] ?? 0
  if (flags >> 6 !== 1) throw bad('unknown version')
  if ((flags & 0x01) !== 0) throw bad('it needs a dictionary')
  const checksum = (flags & 0x10) !== 0 ? 4 : 0
  // Flags, block size and header checksum take a byte each. The content size is optional and cannot be trusted.
  let at = start + 3 + ((flags & 0x08) !== 0 ? 8 : 0)
  let to = from
  for (;;) {
    const size = word(bytes, at)
    at += 4
    if (size === 0) break
    const end = at + (size & 0x7fffffff)
    if (end + checksum > bytes.length) throw bad('it is cut')
    to = size >= STORED_AS_IS ? copyBlock(bytes, at, end, out, to, limit) : readBlock(bytes, at, end, out, to, limit)
    at = end + checksum
  }
  at += (flags & 0x04) !== 0 ? 4 : 0
  if (at > bytes.length) throw bad('it is cut')
  return [at, to]
}

function copyBlock(bytes: Buffer, at: number, end: number, out: Buffer | null, to: number, limit: number): number {
  if (to + end - at > limit) throw tooLarge(limit)
  if (out !== null) bytes.copy(out, to, at, end)
  return to + end - at
}

/** A block consists of literals and of copies of earlier output. */
function readBlock(bytes: Buffer, start: number, end: number, out: Buffer | null, from: number, limit: number): number {
  let at = start
  let to = from
  while (at < end) {
    const token = bytes[at++] ?? 0
    let literals = token >> 4
    if (literals === 15) [at, literals] = longLength(bytes, at, end, literals)
    if (at + literals > end) throw bad('it is cut')
    if (to + literals > limit) throw tooLarge(limit)
    if (out !== null) copyBytes(bytes, at, out, to, literals)
    at += literals
    to += literals
    if (at === end) return to
    if (at + 2 > end) throw bad('it is cut')
    const distance = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
    at += 2
    let length = token & 15
    if (length === 15) [at, length] = longLength(bytes, at, end, length)
    length += 4
    if (distance === 0 || distance > to) throw bad('it copies from before its start')
    if (to + length > limit) throw tooLarge(limit)
    if (out !== null) repeat(out, to, distance, length)
    to += length
  }
  return to
}

/** A length of 15 continues in the next bytes, until one is below 255. */
function longLength(bytes: Buffer, start: number, end: number, first: number): [number, number] {
  let at = start
  let length = first
  for (;;) {
    if (at >= end) throw bad('it is cut')
    const more = bytes[at++] ?? 0
    length += more
    if (more !== 255) return [at, length]
  }
}

function copyBytes(from: Buffer, at: number, out: Buffer, to: number, length: number): void {
  if (length > LONG_COPY) from.copy(out, to, at, at + length)
  else for (let i = 0; i < length; i++) out[to + i] = from[at + i] ?? 0
}

/** Copies earlier output. The copy may overlap its own output: then the pattern repeats. */
function repeat(out: Buffer, to: number, distance: number, length: number): void {
  const from = to - distance
  if (length > LONG_COPY && distance >= length) out.copyWithin(to, from, from + length)
  else if (length > LONG_COPY && distance === 1) out.fill(out[from] ?? 0, to, to + length)
  else for (let i = 0; i < length; i++) out[to + i] = out[from + i] ?? 0
}

function word(bytes: Buffer, at: number): number {
  if (at + 4 > bytes.length) throw bad('it is cut')
  return bytes.readUInt32LE(at)
}

function bad(why: string): RemotingError {
  return new RemotingError('BAD_BODY', `the LZ4 body cannot be read: ${why}`)
}

function tooLarge(limit: number): RemotingError {
  return new RemotingError('BAD_BODY', `the LZ4 body is larger than ${limit} bytes when decompressed`)
}
