/** Most answers in one turn of the event loop. */
const ANSWERS = 500
/** Bytes of answers in one turn after which the next one goes on. */
const BYTES = 4 << 20

/**
 * Shares out the answers to pulls that waited among turns of the event loop. Many wait for the same event, and their answers take
 * memory until the connections have sent them: so one turn makes few of them, and requests that come meanwhile are answered.
 */
export class AnswerTurns {
  readonly #later: (work: () => void) => void
  #waiting: (() => number)[] = []
  #answers = ANSWERS
  #bytes = BYTES
  #isScheduled = false

  /** @param later Calls `work` in the next turn, when what was answered in this one has been written. */
  constructor(later: (work: () => void) => void) {
    this.#later = later
  }

  /** Answers, now or in a later turn. @param answer Returns the bytes of the answer. It must not throw. */
  run(answer: () => number): void {
    if (this.#waiting.length > 0 || this.#isOver) this.#waiting.push(answer)
    else this.#spend(answer())
    this.#schedule()
  }

  get #isOver(): boolean {
    return this.#answers <= 0 || this.#bytes <= 0
  }

  #spend(bytes: number): void {
    this.#answers--
    this.#bytes -= bytes
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#later(() => this.#goOn())
  }

  #goOn(): void {
    this.#isScheduled = false
    this.#answers = ANSWERS
    this.#bytes = BYTES
    const waiting = this.#waiting
    let done = 0
    while (done < waiting.length && !this.#isOver) this.#spend(waiting[done++]!())
    if (done === 0) return
    // What came meanwhile was put behind.
    this.#waiting = waiting.slice(done)
    this.#schedule()
  }
}
