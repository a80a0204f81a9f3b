import { setImmediate } from 'node:timers/promises'
import type { Sliced } from '@gantrymq/remoting'

/**
 * Does work in slices, giving the event loop its turn between them. Work of one slice is done at once, without a
 * promise, which is what nearly all of it is.
 */
export function inTurns<T>(work: Sliced<T>): T | Promise<T> {
  const first = work.next()
  return first.done === true ? first.value : goOn(work)
}

async function goOn<T>(work: Sliced<T>): Promise<T> {
  for (;;) {
    await setImmediate()
    const slice = work.next()
    if (slice.done === true) return slice.value
  }
}

/**
 * Keeps some requests of a connection in order. Apache handles them in parallel, so that a broker's farewell may
 * overtake its last registration, and the broker stays for ever.
 */
export class RequestOrder {
  readonly #last = new Map<number, Promise<unknown>>()

  /** Runs the task now, or after what is still running for this peer. */
  run<T>(peer: number, task: () => T | Promise<T>): T | Promise<T> {
    const before = this.#last.get(peer)
    const result = before === undefined ? task() : before.then(task)
    if (result instanceof Promise) this.#wait(peer, result)
    return result
  }

  #wait(peer: number, running: Promise<unknown>): void {
    const settled = running.then(
      () => {},
      () => {},
    )
    this.#last.set(peer, settled)
    void settled.then(() => {
      if (this.#last.get(peer) === settled) this.#last.delete(peer)
    })
  }
}
