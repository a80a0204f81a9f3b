/** What keeps a consumer from its messages. Codes are stable: branch on them, not on the message. */
export type ProblemCode =
  | 'ALL_PULLS_FAIL'
  | 'CLIENT_ID_TWICE'
  | 'DIFFERENT_SUBSCRIPTIONS'
  | 'GROUP_MISSING'
  | 'NO_BROKER'
  | 'NO_PERMISSION'
  | 'NOT_READABLE'
  | 'OFFSETS_SHARED'
  | 'TOPIC_MISSING'

/** A trouble of a running consumer. */
export interface Problem {
  readonly code: ProblemCode
  /** What happened, to whom, and what to do. */
  readonly message: string
  /** The topic, or whatever else it is about; empty if it is the consumer as a whole. */
  readonly subject: string
}

/** The problems that a consumer has now. Each is reported when it begins, and not again before it has ended. */
export class Problems {
  readonly #current = new Map<string, Problem>()
  readonly #report: (problem: Problem) => void

  /** @param report Must not throw. */
  constructor(report: (problem: Problem) => void) {
    this.#report = report
  }

  /** The current problems, the oldest first. */
  get all(): readonly Problem[] {
    return [...this.#current.values()]
  }

  has(code: ProblemCode, subject = ''): boolean {
    return this.#current.has(keyOf(code, subject))
  }

  raise(code: ProblemCode, message: string, subject = ''): void {
    if (this.has(code, subject)) return
    const problem = { code, message, subject }
    this.#current.set(keyOf(code, subject), problem)
    this.#report(problem)
  }

  clear(code: ProblemCode, subject = ''): void {
    this.#current.delete(keyOf(code, subject))
  }
}

function keyOf(code: ProblemCode, subject: string): string {
  return `${code} ${subject}`
}
