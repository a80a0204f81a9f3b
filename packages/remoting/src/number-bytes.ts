/** Writing numbers into memory, byte by byte: for a few bytes this is cheaper than a native call. */

const BILLION = 1_000_000_000
const HEX = Buffer.from('0123456789ABCDEF')

/** Writes an int32, the highest byte first. */
export function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

/** Writes a safe integer in decimal digits, at most 17 bytes. @returns The position after it. */
export function writeDecimal(bytes: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    bytes[at] = 0x2d
    return writeDecimal(bytes, at + 1, -value)
  }
  if (value < BILLION) return writeDigits(bytes, at, value, digitsOf(value))
  // Integer division is fast up to 2^31 only.
  const high = Math.floor(value / BILLION)
  return writeDigits(bytes, writeDecimal(bytes, at, high), value - high * BILLION, 9)
}

function digitsOf(value: number): number {
  let digits = 1
  for (let power = 10; power <= value; power *= 10) digits++
  return digits
}

function writeDigits(bytes: Uint8Array, start: number, value: number, digits: number): number {
  let rest = value | 0
  for (let at = start + digits - 1; at >= start; at--) {
    const next = (rest / 10) | 0
    bytes[at] = 0x30 + rest - next * 10
    rest = next
  }
  return start + digits
}

/** Writes a safe integer of 0 and more as 16 hexadecimal digits in upper case. @returns The position after it. */
export function writeHex(bytes: Uint8Array, at: number, value: number): number {
  const high = Math.floor(value / 0x1_0000_0000)
  for (let digit = 0; digit < 8; digit++) {
    const shift = 28 - digit * 4
    bytes[at + digit] = HEX[(high >>> shift) & 15] as number
    bytes[at + 8 + digit] = HEX[(value >>> shift) & 15] as number
  }
  return at + 16
}
