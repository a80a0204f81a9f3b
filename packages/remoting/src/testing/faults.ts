import type { Command } from '../command.ts'

/** What a faulty server does with a request instead of answering it once, without delay. */
export type FaultyAnswer =
  /** Answers after `ms` milliseconds of the server's clock. */
  | { readonly answer: 'late'; readonly ms: number }
  | { readonly answer: 'never' }
  | { readonly answer: 'twice' }
  /** Answers with another code; the rest is the handler's answer, if the handler ran. */
  | { readonly answer: 'code'; readonly code: number; readonly remark?: string }
  /** Sends bytes that are not a frame. Default: 64 times 0xff. */
  | { readonly answer: 'garbage'; readonly bytes?: Buffer }
  /** Sends the first bytes of the answer, by default half of them, and then closes the connection. */
  | { readonly answer: 'cut'; readonly bytes?: number }
  /** Closes the connection instead of answering. */
  | { readonly answer: 'hang-up' }
  /** From now on neither reads nor writes on this connection, and keeps it open. */
  | { readonly answer: 'half-open' }
  /** Sends a few bytes of the answer at a time. */
  | { readonly answer: 'slow'; readonly bytes: number; readonly everyMs: number }
  /** Sends an answer to a request that was not made, then the real one. */
  | { readonly answer: 'wrong-opaque' }

export type Fault = FaultyAnswer & {
  /** How many requests meet the fault. Default 1; Infinity: all until it is lifted. */
  readonly times?: number
  /** How many matching requests pass before the first one meets the fault. Default 0. */
  readonly after?: number
  /** Whether the handler still runs. Default true, except with `code`. */
  readonly handled?: boolean
  /** Which requests may meet the fault; by default all with the name. */
  readonly where?: (request: SeenRequest) => boolean
}

/** A request that the server received. */
export interface SeenRequest {
  /** RocketMQ's name, or the number of a code that the server does not know. */
  readonly name: string
  readonly code: number
  /** The header fields as they were received, as text. */
  readonly header: Readonly<Record<string, string>>
  /** A copy. */
  readonly body: Buffer | null
  readonly remark: string | null
  readonly oneway: boolean
  /** Address of the sender. */
  readonly from: string
  /** When it was received, by `Clock.now`. */
  readonly at: number
  readonly command: Command
}

/** A fault that was set. */
export interface SetFault extends Disposable {
  /** How many requests have met it. */
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

/** The faults of one server. If several match a request, the one that was set first applies. */
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
