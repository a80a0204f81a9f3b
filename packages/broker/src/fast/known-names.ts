/** Names kept at most. Those in use come back at once after a sender of random names has pushed them out. */
const MOST = 32_768
const LONGEST = 255

/** The strings of names that requests repeat: of topics, groups and subscriptions. */
export class KnownNames {
  /** By the hash of their bytes; of two names with one hash the later is kept. */
  readonly #names = new Map<number, string>()

  /** The string of `bytes[start, end)`, which is one object for all requests, so that maps find it quickly; undefined if it is too long. */
  find(bytes: Buffer, start: number, end: number): string | undefined {
    if (end - start > LONGEST) return undefined
    let hash = 0
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at] as number)) | 0
    const known = this.#names.get(hash)
    if (known !== undefined && hasBytes(known, bytes, start, end)) return known
    const name = bytes.toString('utf8', start, end)
    // Of other names the characters are not the bytes, so that they would not be found. Topics and groups have none.
    if (!hasBytes(name, bytes, start, end)) return name
    if (this.#names.size >= MOST) this.#names.clear()
    this.#names.set(hash, name)
    return name
  }
}

/** Whether the characters of a name are `bytes[start, end)`. */
function hasBytes(name: string, bytes: Buffer, start: number, end: number): boolean {
  if (name.length !== end - start) return false
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== bytes[start + i]) return false
  return true
}
