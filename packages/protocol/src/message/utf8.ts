/** Up to this length a loop is cheaper than a native call. */
const SHORT_TEXT = 16

/** Size of a text in UTF-8, bytes. */
export function utf8Size(text: string): number {
  return isShortAscii(text) ? text.length : Buffer.byteLength(text)
}

/**
 * Writes a text as UTF-8 into `out` at `at`, where there must be room for `utf8Size(text)` bytes.
 * @returns The position after it.
 */
export function writeUtf8(text: string, out: Buffer, at: number): number {
  if (!isShortAscii(text)) return at + out.write(text, at)
  for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i)
  return at + text.length
}

function isShortAscii(text: string): boolean {
  if (text.length > SHORT_TEXT) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}
