import type { Command } from '@gantrymq/remoting'

/** What becomes of a request, or of its answer, at a gateway. */
export type FaultyAnswer =
  /** The answer comes `ms` milliseconds later, by the clock of the gateway. */
  | { readonly answer: 'late'; readonly ms: number }
  | { readonly answer: 'never' }
  | { readonly answer: 'twice' }
  /** The answer has another code; the rest is the server's answer, if the server got the request. */
  | { readonly answer: 'code'; readonly code: number; readonly remark?: string }
  /** The answer is what `alter` makes of it. */
  | { readonly answer: 'altered'; readonly alter: (reply: Command, request: SeenRequest) => Command }
  /** Bytes that are not a frame. Default: 64 times 0xff. */
  | { readonly answer: 'garbage'; readonly bytes?: Buffer }
  /** The first bytes of the answer, by default half of them; then the connection ends. */
  | { readonly answer: 'cut'; readonly bytes?: number }
  /** The connection ends instead of an answer. */
  | { readonly answer: 'hang-up' }
  /** From now on nothing passes on this connection in either direction, and it stays open. */
  | { readonly answer: 'half-open' }
  /** A few bytes of the answer at a time. */
  | { readonly answer: 'slow'; readonly bytes: number; readonly everyMs: number }
  /** An answer to a request that was not made, then the real one. */
  | { readonly answer: 'wrong-opaque' }

export type Fault = FaultyAnswer & {
  /** How many requests meet the fault. Default 1; Infinity: all until it is lifted. */
  readonly times?: number
  /** How many matching requests pass before the first one meets the fault. Default 0. */
  readonly after?: number
  /** Whether the server still gets the request. Default true, except with `code`. */
  readonly handled?: boolean
  /** Which requests may meet the fault; by default all with the name. */
  readonly where?: (request: SeenRequest) => boolean
}

/** Whether the server gets a request that meets the fault. */
export function isHandled({ answer, handled = answer !== 'code' }: Fault): boolean {
  return handled
}

/** A request that a gateway received. */
export interface SeenRequest {
  /** RocketMQ's name, or the number of a code that it does not have. */
  readonly name: string
  readonly code: number
  /** The header fields as they were received, as text. */
  readonly header: Readonly<Record<string, string>>
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
  readonly fault: Fault
  readonly #names: ReadonlySet<string>
  met = 0
  #passed = 0
  #lifted = false

  constructor(names: ReadonlySet<string>, fault: Fault) {
    this.#names = names
    this.fault = fault
  }

  get isOver(): boolean {
    return this.#lifted || this.met >= (this.fault.times ?? 1)
  }

  concerns(name: string): boolean {
    return !this.isOver && (this.#names.has('*') || this.#names.has(name))
  }

  /** Whether the next request that it concerns meets it. */
  get isDue(): boolean {
    return this.#passed >= (this.fault.after ?? 0)
  }

  meets(request: SeenRequest): boolean {
    if (!this.concerns(request.name) || this.fault.where?.(request) === false) return false
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

/** The faults of one gateway. If several match a request, the one that was set first applies. */
export class Faults {
  #faults: StandingFault[] = []

  /** @param names names of requests; `*` stands for all */
  set(names: readonly string[], fault: Fault): SetFault {
    const set = new StandingFault(new Set(names), fault)
    this.#faults.push(set)
    return set
  }

  clear(): void {
    for (const fault of this.#faults) fault.lift()
    this.#faults = []
  }

  /** Whether the server would not get a request with this name now. */
  keepsBack(name: string): boolean {
    return this.#faults.some(each => each.concerns(name) && each.isDue && !isHandled(each.fault))
  }

  take(request: SeenRequest): Fault | undefined {
    if (this.#faults.length === 0) return undefined
    this.#faults = this.#faults.filter(each => !each.isOver)
    return this.#faults.find(each => each.meets(request))?.fault
  }
}
