import type { ConnectionLimits } from './connection-options.ts'

/** The requests of its peer that a connection has not answered yet, and how many it may have. */
export class Answering {
  readonly #limits: Pick<ConnectionLimits, 'maxAnswering' | 'maxHeld'>
  #count = 0
  #held = 0

  constructor(limits: Pick<ConnectionLimits, 'maxAnswering' | 'maxHeld'>) {
    this.#limits = limits
  }

  /** Requests that are being worked on. */
  get count(): number {
    return this.#count
  }

  /** Requests that are held. */
  get held(): number {
    return this.#held
  }

  /** True if the connection must not read further requests. */
  get isFull(): boolean {
    return this.#count >= this.#limits.maxAnswering
  }

  get mayHold(): boolean {
    return this.#held < this.#limits.maxHeld
  }

  begin(): void {
    this.#count++
  }

  finish(): void {
    this.#count--
  }

  hold(): void {
    this.#held++
  }

  release(): void {
    this.#held--
  }
}
