const HEAD_BYTES = 128
const CODE = Buffer.from('"code":')

/** Counts the bytes of answers and keeps only the start of each header: a storm has too many bytes to keep them. */
export class AnswerReader {
  readonly #onAnswer: (code: number) => void
  readonly #head = Buffer.alloc(8 + HEAD_BYTES)
  #seen = 0
  #left = 0

  /** @param onAnswer Called for each complete answer with its response code; NaN if its header does not start with one. */
  constructor(onAnswer: (code: number) => void) {
    this.#onAnswer = onAnswer
  }

  read(chunk: Buffer, size: number): void {
    for (let at = 0; at < size; ) {
      if (this.#seen < 4) {
        this.#head[this.#seen++] = chunk[at++] as number
        if (this.#seen === 4) this.#left = this.#head.readUInt32BE(0)
        continue
      }
      const step = Math.min(this.#left, size - at)
      this.#keep(chunk, at, step)
      at += step
      this.#left -= step
      if (this.#left === 0) this.#complete()
    }
  }

  #keep(chunk: Buffer, at: number, size: number): void {
    if (this.#seen >= this.#head.length) return
    this.#seen += chunk.copy(this.#head, this.#seen, at, at + size)
  }

  #complete(): void {
    const start = this.#head.indexOf(CODE)
    const known = start >= 0 && start < this.#seen
    const code = known
      ? Number.parseInt(this.#head.toString('latin1', start + CODE.length, this.#seen), 10)
      : Number.NaN
    this.#seen = 0
    this.#onAnswer(code)
  }
}
