const BACKSLASH = 0x5c
const LETTER_U = 0x75
const LETTER_X = 0x78

/** Marks bytes that are not in a table. */
const NONE = 0xff

/** The byte for each single-letter escape, by the byte behind the backslash. */
const singles = new Uint8Array(256).fill(NONE)
for (const [escape, byte] of [
  ['b', 0x08],
  ['t', 0x09],
  ['n', 0x0a],
  ['v', 0x0b],
  ['f', 0x0c],
  ['F', 0x0c], // as in fastjson 1
  ['r', 0x0d],
  ['"', 0x22],
  ["'", 0x27],
  ['\\', 0x5c],
  ['/', 0x2f],
] as const) {
  singles[escape.charCodeAt(0)] = byte
}
for (let digit = 0; digit <= 7; digit++) singles[0x30 + digit] = digit

const hexDigits = new Uint8Array(256).fill(NONE)
for (const digit of '0123456789abcdefABCDEF') hexDigits[digit.charCodeAt(0)] = Number.parseInt(digit, 16)

/** Raised by `unescape`, with the position of the unknown escape. */
export class BadEscape {
  readonly at: number

  constructor(at: number) {
    this.at = at
  }
}

/** The value of `digits` hexadecimal digits; -1 if there are fewer before `end`. */
function hex(bytes: Uint8Array, at: number, digits: number, end: number): number {
  if (at + digits > end) return -1
  let value = 0
  for (let i = at; i < at + digits; i++) {
    const digit = hexDigits[bytes[i] as number] as number
    if (digit === NONE) return -1
    value = value * 16 + digit
  }
  return value
}

/** The length of the JSON escape that begins at `at`; 0 if it is not one of JSON, although `unescape` may know it. */
export function jsonEscapeLength(bytes: Uint8Array, at: number, end: number): number {
  const kind = at + 1 < end ? (bytes[at + 1] as number) : 0
  switch (kind) {
    case LETTER_U:
      return hex(bytes, at + 2, 4, end) < 0 ? 0 : 6
    case 0x22: // "
    case 0x2f: // /
    case BACKSLASH:
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return 2
    default:
      return 0
  }
}

/** Longer texts get their own memory. */
const scratch = Buffer.allocUnsafeSlow(4096)

/**
 * Decodes a quoted text with escapes. Knows the escapes of fastjson 1 and 2: those of JSON, `\xHH`, `\v`, `\'`, `\0` to `\7`.
 * Half a surrogate pair becomes U+FFFD.
 * @throws BadEscape
 */
export function unescape(bytes: Uint8Array, start: number, end: number): string {
  const out = end - start <= scratch.length ? scratch : Buffer.allocUnsafe(end - start)
  return out.toString('utf8', 0, unescapeInto(bytes, start, end, out, 0))
}

/**
 * As `unescape`, but writes the text as UTF-8 into `out` at `at`. The text takes at most `end - start` bytes: no escape is
 * shorter than its UTF-8. Bytes that are not UTF-8 are copied unchanged.
 * @returns The position after the text in `out`.
 * @throws BadEscape
 */
export function unescapeInto(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let to = at
  let from = start
  while (from < end) {
    const byte = bytes[from] as number
    if (byte !== BACKSLASH) {
      out[to++] = byte
      from++
      continue
    }
    const kind = bytes[from + 1] as number
    const single = singles[kind] as number
    if (single !== NONE) {
      out[to++] = single
      from += 2
      continue
    }
    const point = codePointAt(bytes, from, end)
    if (point < 0x80) out[to++] = point
    else to = writeUtf8(out, to, point)
    from += kind === LETTER_X ? 4 : point > 0xffff ? 12 : 6
  }
  return to
}

/** The code point of `\xHH`, `\uHHHH` or a pair of the latter. */
function codePointAt(bytes: Uint8Array, at: number, end: number): number {
  const kind = bytes[at + 1]
  const unit = kind === LETTER_U ? hex(bytes, at + 2, 4, end) : kind === LETTER_X ? hex(bytes, at + 2, 2, end) : -1
  if (unit < 0) throw new BadEscape(at)
  if (unit < 0xd800 || unit > 0xdfff) return unit
  const low = bytes[at + 6] === BACKSLASH && bytes[at + 7] === LETTER_U ? hex(bytes, at + 8, 4, end) : -1
  if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) return 0xfffd
  return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
}

function writeUtf8(out: Uint8Array, at: number, point: number): number {
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
