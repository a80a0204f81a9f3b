/**
 * Keeps some requests of a connection in order. Apache handles them in parallel, so a broker's UNREGISTER_BROKER can
 * overtake its last REGISTER_BROKER, and then the broker stays registered forever.
 */
export class RequestOrder {
  readonly #last = new Map<number, Promise<unknown>>()

  /** Runs the task now, or after the tasks that are still running for this peer. */
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
