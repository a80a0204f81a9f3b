import type { StoreError } from './errors.ts'

interface Wait {
  readonly end: number
  readonly resolve: () => void
  readonly reject: (error: StoreError) => void
}

/** Those who wait for the log to reach a position. */
export class PositionWaits {
  #waits: Wait[] = []

  /** Resolves when `reached` is called with `end` or more. @throws the error of `lost` */
  until(end: number): Promise<void> {
    return new Promise((resolve, reject) => void this.#waits.push({ end, resolve, reject }))
  }

  reached(position: number): void {
    if (this.#waits.length === 0) return
    const waits = this.#waits
    this.#waits = waits.filter(({ end }) => end > position)
    for (const { end, resolve } of waits) if (end <= position) resolve()
  }

  /** What lies above `from` will not be reached. */
  lost(from: number, error: StoreError): void {
    const waits = this.#waits
    this.#waits = waits.filter(({ end }) => end <= from)
    for (const { end, reject } of waits) if (end > from) reject(error)
  }
}
