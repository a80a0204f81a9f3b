/** A lock that its owner does not renew for so long is free, milliseconds. */
const LIVE_MS = 60_000

/** Which client of a group may consume a queue in order: Apache's RebalanceLockManager. */
export class QueueLocks {
  readonly #locks = new Map<string, { clientId: string; at: number }>()

  /** True if the queue is the client's now. */
  lock(key: string, clientId: string, now: number): boolean {
    const held = this.#locks.get(key)
    if (held !== undefined && held.clientId !== clientId && now - held.at <= LIVE_MS) return false
    this.#locks.set(key, { clientId, at: now })
    return true
  }

  /** Others' locks stay. */
  unlock(key: string, clientId: string): void {
    if (this.#locks.get(key)?.clientId === clientId) this.#locks.delete(key)
  }

  ownerOf(key: string): string | undefined {
    return this.#locks.get(key)?.clientId
  }

  /** Forgets all, like a broker that was started anew. */
  clear(): void {
    this.#locks.clear()
  }
}
