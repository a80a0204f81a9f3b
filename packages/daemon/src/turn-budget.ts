import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers'
import { ResponseError, type Sliced, SYSTEM_BUSY } from '@gantrymq/remoting'

export interface TurnBudgetOptions<Lane extends string> {
  /** The kinds of work. While several of them wait, each gets the same number of slices. */
  readonly lanes: readonly Lane[]
  /** Most time that all slices of one turn take together, milliseconds. Default 0.5. */
  readonly budgetMs?: number
  /** Most works that wait in one lane. Default 10,000: Apache's defaultThreadPoolQueueCapacity. */
  readonly maxWaiting?: number
  /** Milliseconds with fractions that never go back. Default `performance.now`. */
  readonly now?: () => number
  /** Calls back in the next turn of the event loop. Default `setImmediate`. */
  readonly nextTurn?: (callback: () => void) => void
}

/** Work that has not been completed. */
interface Waiting {
  /** Does the next slice. True if the work is done, or has failed. */
  step(): boolean
  /** Gives the work up. */
  refuse(error: Error): void
}

/** Works that get a slice in turn with those of other lines. */
interface Line {
  readonly works: Waiting[]
  /** Where a work waits after a slice. */
  readonly after: Waiting[]
}

/** The works of one kind: first slices, and all later ones. */
interface Lines {
  readonly fresh: Line
  readonly begun: Line
}

/**
 * All large work of a server, in slices that share one budget for each turn of the event loop. However much work is
 * pending, the server reads its sockets, and answers small requests, every few milliseconds.
 *
 * - Lanes take turns, so that pending registrations delay a topic list by little, and the other way around.
 * - Inside a lane, works are completed one after the other, in the order of their arrival. If they took turns too, none
 *   of 300 large registrations would be complete before all are, and their brokers would give up waiting.
 * - The first slice of each work does not wait for that. So a work of one slice, the usual case, never waits for
 *   large ones, and if this turn has time left it is done at once, without a promise.
 *
 * A slice should take a quarter of a millisecond at most, because the time is checked only between slices.
 */
export class TurnBudget<Lane extends string> implements Disposable {
  readonly #lanes: ReadonlyMap<Lane, Lines>
  /** The lines of all lanes, in the order in which they get slices. */
  readonly #lines: readonly Line[]
  readonly #budgetMs: number
  readonly #maxWaiting: number
  readonly #now: () => number
  readonly #nextTurn: (callback: () => void) => void
  /** Time that the slices of this turn have taken so far. */
  #spent = 0
  /** Index of the line that gets the next slice. */
  #next = 0
  #waiting = 0
  #isScheduled = false
  #isClosed = false

  constructor(options: TurnBudgetOptions<Lane>) {
    this.#lanes = new Map(options.lanes.map(lane => [lane, newLines()]))
    this.#lines = Array.from(this.#lanes.values()).flatMap(({ fresh, begun }) => [fresh, begun])
    this.#budgetMs = options.budgetMs ?? 0.5
    this.#maxWaiting = options.maxWaiting ?? 10_000
    this.#now = options.now ?? (() => performance.now())
    this.#nextTurn = options.nextTurn ?? setImmediate
  }

  /** How many works wait. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Does some work: at once if this turn has time for all of it, otherwise it returns a promise.
   * @throws What the work throws. ResponseError SYSTEM_BUSY if the lane is full or the budget closed; then the work has
   * not begun.
   */
  run<T>(lane: Lane, work: Sliced<T>): T | Promise<T> {
    const { fresh, begun } = this.#lanes.get(lane) as Lines
    if (this.#isClosed) throw isClosed()
    if (fresh.works.length + begun.works.length >= this.#maxWaiting) throw isFull(this.#maxWaiting)
    this.#schedule()
    // Works that wait have half of each turn for themselves.
    const limit = this.#waiting > 0 ? this.#budgetMs / 2 : this.#budgetMs
    let line = fresh
    while (this.#spent < limit) {
      const slice = this.#timed(() => work.next())
      if (slice.done === true) return slice.value
      line = begun
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    line.works.push({
      step: () => stepOf(work, resolve, reject),
      refuse: error => refuse(work, error, reject),
    })
    this.#waiting++
    return promise
  }

  /** Gives up all work that waits: its promises reject. Idempotent. */
  [Symbol.dispose](): void {
    this.#isClosed = true
    this.#waiting = 0
    for (const { works } of this.#lines) for (const work of works.splice(0)) work.refuse(isClosed())
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#nextTurn(() => this.#turn())
  }

  #turn(): void {
    this.#isScheduled = false
    // One slice in any case: even if first slices take all the time of all turns, the others proceed.
    do {
      this.#timed(() => this.#step())
    } while (this.#waiting > 0 && this.#spent < this.#budgetMs)
    this.#spent = 0
    if (this.#waiting > 0) this.#schedule()
  }

  #timed<T>(slice: () => T): T {
    const since = this.#now()
    try {
      return slice()
    } finally {
      this.#spent += this.#now() - since
    }
  }

  /** Does one slice of the next line that has work. */
  #step(): void {
    if (this.#waiting === 0) return
    const { works, after } = this.#nextLine()
    const work = works.shift() as Waiting
    this.#waiting--
    if (work.step()) return
    // The slice itself may have closed the budget.
    if (this.#isClosed) {
      work.refuse(isClosed())
      return
    }
    this.#waiting++
    if (works === after) works.unshift(work)
    else after.push(work)
  }

  #nextLine(): Line {
    for (;;) {
      const line = this.#lines[this.#next] as Line
      this.#next = (this.#next + 1) % this.#lines.length
      if (line.works.length > 0) return line
    }
  }
}

function newLines(): Lines {
  const begun: Waiting[] = []
  return { fresh: { works: [], after: begun }, begun: { works: begun, after: begun } }
}

function stepOf<T>(work: Sliced<T>, resolve: (value: T) => void, reject: (error: unknown) => void): boolean {
  try {
    const slice = work.next()
    if (slice.done === true) resolve(slice.value)
    return slice.done === true
  } catch (error) {
    reject(error)
    return true
  }
}

function refuse<T>(work: Sliced<T>, error: Error, reject: (error: unknown) => void): void {
  try {
    work.return(undefined as never)
  } finally {
    reject(error)
  }
}

function isClosed(): ResponseError {
  return new ResponseError(SYSTEM_BUSY, 'the server is shutting down')
}

function isFull(waiting: number): ResponseError {
  return new ResponseError(SYSTEM_BUSY, `the server is busy: ${waiting} requests of this kind wait already`)
}
