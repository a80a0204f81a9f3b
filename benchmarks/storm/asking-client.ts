import { AskingConnection } from './asking-connection.ts'

/** A request of a client. */
export interface Question {
  readonly request: readonly Buffer[]
  /** Gets the time since the question was due, and the response code; undefined if the connection ended without an answer. */
  readonly onAnswer: (us: number, code: number | undefined) => void
}

interface DueQuestion extends Question {
  readonly since: number
}

/** A client asks one question after the other. A question that is due while another waits counts from when it was due. */
export class AskingClient {
  readonly #connection: AskingConnection
  readonly #due: DueQuestion[] = []
  #isBusy = false

  constructor(port: number) {
    this.#connection = new AskingConnection(port)
  }

  get isBusy(): boolean {
    return this.#isBusy
  }

  ask(question: Question): void {
    this.#due.push({ ...question, since: performance.now() })
    if (!this.#isBusy) this.#askNext()
  }

  #askNext(): void {
    const next = this.#due.shift()
    if (!next) return
    this.#isBusy = true
    this.#connection.ask(next.request, code => {
      this.#isBusy = false
      next.onAnswer((performance.now() - next.since) * 1000, code)
      this.#askNext()
    })
  }

  /** Ends the connection, and so all questions without an answer. */
  close(): void {
    this.#connection.close()
  }
}
