import { isEqual } from './name-table.ts'

interface Known {
  readonly bytes: Buffer
  readonly name: string
}

/** Names kept at most: those of topics and groups in use. */
const SLOTS = 16_384
const LONGEST = 255

/** The strings of names that requests repeat. A sender of random names only replaces others. */
export class KnownNames {
  readonly #slots: (Known | undefined)[] = Array<Known | undefined>(SLOTS).fill(undefined)

  /** The string of `bytes[start, end)`, which is one object for all requests, so that maps find it quickly; undefined if it is too long. */
  find(bytes: Buffer, start: number, end: number): string | undefined {
    if (end - start > LONGEST) return undefined
    let hash = 0
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at] as number)) | 0
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    const known = this.#slots[slot]
    if (known !== undefined && isEqual(known.bytes, bytes, start, end)) return known.name
    const copy = Buffer.from(bytes.subarray(start, end))
    const name = copy.toString()
    this.#slots[slot] = { bytes: copy, name }
    return name
  }
}
