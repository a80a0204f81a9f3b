import type { Command } from '../command.ts'

/** What a faulty server does with a request instead of answering it at once and once. */
export type FaultyAnswer =
  /** Answers after so long by the clock. */
  | { readonly answer: 'late'; readonly ms: number }
  | { readonly answer: 'never' }
  | { readonly answer: 'twice' }
  /** Another code; the rest is what the handler said, if it was asked. */
  | { readonly answer: 'code'; readonly code: number; readonly remark?: string }
  /** Bytes that are no frame. Default 64 times 0xff. */
  | { readonly answer: 'garbage'; readonly bytes?: Buffer }
  /** The first bytes of the answer, by default half of them, and then the end of the connection. */
  | { readonly answer: 'cut'; readonly bytes?: number }
  /** Ends the connection instead. */
  | { readonly answer: 'hang-up' }
  /** From now on neither reads nor writes on this connection, and keeps it open. */
  | { readonly answer: 'half-open' }
  /** A few bytes of the answer at a time. */
  | { readonly answer: 'slow'; readonly bytes: number; readonly everyMs: number }
  /** An answer to a request that was not made, then the true one. */
  | { readonly answer: 'stranger' }

export type Fault = FaultyAnswer & {
  /** How many requests meet it. Default 1; Infinity until it is lifted. */
  readonly times?: number
  /** How many requests pass before the first. Default 0. */
  readonly after?: number
  /** Whether the request does its work nevertheless. Default true, except with `code`. */
  readonly handled?: boolean
  /** Which requests; by default all of the name. */
  readonly where?: (request: SeenRequest) => boolean
}

/** A request that came. */
export interface SeenRequest {
  /** RocketMQ's name, or the number of a code that the server does not know. */
  readonly name: string
  readonly code: number
  /** The fields as they came, as text. */
  readonly header: Readonly<Record<string, string>>
  /** A copy. */
  readonly body: Buffer | null
  readonly remark: string | null
  readonly oneway: boolean
  /** Address of the sender. */
  readonly from: string
  /** When, by the clock. */
  readonly at: number
  readonly command: Command
}

/** A fault that was set. */
export interface SetFault extends Disposable {
  /** How many requests met it. */
  readonly met: number
  lift(): void
}

class StandingFault implements SetFault {
  readonly name: string
  readonly fault: Fault
  met = 0
  #passed = 0
  #lifted = false

  constructor(name: string, fault: Fault) {
    this.name = name
    this.fault = fault
  }

  get isOver(): boolean {
    return this.#lifted || this.met >= (this.fault.times ?? 1)
  }

  meets(request: SeenRequest): boolean {
    if (this.isOver || (this.name !== '*' && this.name !== request.name)) return false
    if (this.fault.where?.(request) === false) return false
    if (this.#passed++ < (this.fault.after ?? 0)) return false
    this.met++
    return true
  }

  lift(): void {
    this.#lifted = true
  }

  [Symbol.dispose](): void {
    this.lift()
  }
}

/** The faults of one server. The one set first comes first. */
export class Faults {
  #faults: StandingFault[] = []

  /** @param name a request's name, or `*` for all */
  set(name: string, fault: Fault): SetFault {
    const set = new StandingFault(name, fault)
    this.#faults.push(set)
    return set
  }

  clear(): void {
    for (const fault of this.#faults) fault.lift()
    this.#faults = []
  }

  take(request: SeenRequest): Fault | undefined {
    this.#faults = this.#faults.filter(each => !each.isOver)
    return this.#faults.find(each => each.meets(request))?.fault
  }
}
