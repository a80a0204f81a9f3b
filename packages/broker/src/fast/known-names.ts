import { isEqual } from './name-table.ts'

interface Known {
  readonly bytes: Buffer
  readonly name: string
}

/** Names kept at most. Those in use come back at once after a sender of random names has pushed them out. */
const MOST = 32_768
const LONGEST = 255

/** The strings of names that requests repeat: of topics, groups and subscriptions. */
export class KnownNames {
  /** By the hash of their bytes; of two names with one hash the later is kept. */
  readonly #names = new Map<number, Known>()

  /** The string of `bytes[start, end)`, which is one object for all requests, so that maps find it quickly; undefined if it is too long. */
  find(bytes: Buffer, start: number, end: number): string | undefined {
    if (end - start > LONGEST) return undefined
    let hash = 0
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at] as number)) | 0
    const known = this.#names.get(hash)
    if (known !== undefined && isEqual(known.bytes, bytes, start, end)) return known.name
    if (this.#names.size >= MOST) this.#names.clear()
    // Copied, because the memory of the frame is used again.
    const copy = Buffer.from(bytes.subarray(start, end))
    const name = copy.toString()
    this.#names.set(hash, { bytes: copy, name })
    return name
  }
}
