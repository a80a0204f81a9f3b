import type { Traffic } from '@gantrymq/broker'
import type { Clock } from '@gantrymq/remoting'

/** Where the line is shown. */
export interface Terminal {
  write(text: string): void
}

const EVERY_MS = 1000
const CLEAR_LINE = '\r\u001b[2K'

/** Shows in the last line of a terminal what the broker does, once a second: messages a second in and out, and the backlog. */
export class StatusLine implements Disposable {
  readonly #terminal: Terminal
  readonly #traffic: () => Traffic
  readonly #timer: Disposable
  #last: Traffic
  #shown = ''

  constructor(terminal: Terminal, traffic: () => Traffic, clock: Clock) {
    this.#terminal = terminal
    this.#traffic = traffic
    this.#last = traffic()
    // Not at once: the program prints first how to connect.
    this.#timer = clock.every(EVERY_MS, () => this.#show())
  }

  #show(): void {
    const now = this.#traffic()
    const line = statusText(this.#last, now)
    this.#last = now
    if (line === this.#shown) return
    this.#terminal.write(`${CLEAR_LINE}${line}`)
    this.#shown = line
  }

  /** Removes the line. */
  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]()
    this.#terminal.write(CLEAR_LINE)
  }
}

/** @param before A second ago. */
export function statusText(before: Traffic, now: Traffic): string {
  const incoming = short(now.stored - before.stored)
  const outgoing = short(now.delivered - before.delivered)
  return `in ${incoming}/s   out ${outgoing}/s   backlog ${short(now.backlog)}`
}

/** At most four characters: 999, 1.2k, 34k, 1.2M. */
function short(count: number): string {
  for (const [size, unit] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (count < size) continue
    const scaled = count / size
    return `${scaled < 10 ? scaled.toFixed(1) : Math.floor(scaled)}${unit}`
  }
  return String(count)
}
