import { RemotingError } from '@gantrymq/remoting'

const WORD = 4

/** Reads the parts of a decompressed registration: int32 counts, and strings preceded by their int32 length. */
export class PartReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** How many strings follow. Each takes at least its length word, so a count beyond the remaining bytes is refused. */
  count(): number {
    return this.#int32(WORD, 'a count')
  }

  bytes(): Buffer {
    const length = this.#int32(1, 'a length')
    return this.#bytes.subarray(this.#at, (this.#at += length))
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  #int32(unit: number, what: string): number {
    const start = this.#at
    if (start + WORD > this.#bytes.length) throw bad(`it ends before ${what} at byte ${start}`)
    const value = this.#bytes.readInt32BE(start)
    this.#at += WORD
    if (value < 0 || value * unit > this.#bytes.length - this.#at) throw bad(`${what} of ${value} at byte ${start}`)
    return value
  }
}

function bad(what: string): RemotingError {
  return new RemotingError('BAD_BODY', `a compressed registration cannot be read: ${what}`)
}

/** Writes such parts. */
export class PartWriter {
  readonly #parts: Buffer[] = []

  count(value: number): void {
    const word = Buffer.allocUnsafe(WORD)
    word.writeInt32BE(value)
    this.#parts.push(word)
  }

  text(text: string): void {
    const bytes = Buffer.from(text)
    this.count(bytes.length)
    this.#parts.push(bytes)
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
