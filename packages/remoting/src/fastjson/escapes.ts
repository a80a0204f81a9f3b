const SINGLE = new Map<number, number>([
  [0x62, 0x08], // b
  [0x74, 0x09], // t
  [0x6e, 0x0a], // n
  [0x76, 0x0b], // v
  [0x66, 0x0c], // f
  [0x46, 0x0c], // F, as in fastjson 1
  [0x72, 0x0d], // r
  [0x22, 0x22],
  [0x27, 0x27],
  [0x5c, 0x5c],
  [0x2f, 0x2f],
])

/** Raised by `unescape`, with the position of the escape that nobody knows. */
export class BadEscape {
  readonly at: number

  constructor(at: number) {
    this.at = at
  }
}

function hex(bytes: Uint8Array, at: number, digits: number, end: number): number {
  let value = 0
  for (let i = at; i < at + digits; i++) {
    const byte = i < end ? (bytes[i] ?? 0) : 0
    const digit = byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57
    if (digit < 0 || digit > 15 || (byte > 0x39 && digit < 10)) return -1
    value = value * 16 + digit
  }
  return value
}

/**
 * A quoted text that has escapes. Knows those of fastjson 1 and 2: JSON's, `\xHH`, `\v`, `\'`, `\0` to `\7`.
 * Half a surrogate pair becomes U+FFFD.
 * @throws BadEscape
 */
export function unescape(bytes: Buffer, start: number, end: number): string {
  // No escape is shorter than its UTF-8.
  const out = Buffer.allocUnsafe(end - start)
  let length = 0
  let at = start
  while (at < end) {
    const byte = bytes[at] as number
    if (byte !== 0x5c) {
      out[length++] = byte
      at++
      continue
    }
    const kind = bytes[at + 1] as number
    const single = SINGLE.get(kind)
    if (single !== undefined) {
      out[length++] = single
      at += 2
    } else if (kind >= 0x30 && kind <= 0x37) {
      out[length++] = kind - 0x30
      at += 2
    } else {
      const point = codePointAt(bytes, at, end)
      length = writeUtf8(out, length, point)
      at += kind === 0x78 ? 4 : point > 0xffff ? 12 : 6
    }
  }
  return out.toString('utf8', 0, length)
}

/** Of `\xHH`, `\uHHHH` or a pair of the latter. */
function codePointAt(bytes: Buffer, at: number, end: number): number {
  const digits = bytes[at + 1] === 0x78 ? 2 : bytes[at + 1] === 0x75 ? 4 : 0
  const unit = digits === 0 ? -1 : hex(bytes, at + 2, digits, end)
  if (unit < 0) throw new BadEscape(at)
  if (unit < 0xd800 || unit > 0xdfff) return unit
  const low = bytes[at + 6] === 0x5c && bytes[at + 7] === 0x75 ? hex(bytes, at + 8, 4, end) : -1
  if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) return 0xfffd
  return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
}

function writeUtf8(out: Buffer, at: number, point: number): number {
  if (point < 0x80) {
    out[at] = point
    return at + 1
  }
  if (point < 0x800) {
    out[at] = 0xc0 | (point >> 6)
    out[at + 1] = 0x80 | (point & 0x3f)
    return at + 2
  }
  if (point < 0x10000) {
    out[at] = 0xe0 | (point >> 12)
    out[at + 1] = 0x80 | ((point >> 6) & 0x3f)
    out[at + 2] = 0x80 | (point & 0x3f)
    return at + 3
  }
  out[at] = 0xf0 | (point >> 18)
  out[at + 1] = 0x80 | ((point >> 12) & 0x3f)
  out[at + 2] = 0x80 | ((point >> 6) & 0x3f)
  out[at + 3] = 0x80 | (point & 0x3f)
  return at + 4
}
