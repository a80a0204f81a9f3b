/** How long a lock is valid without renewal, milliseconds. */
const LIVE_MS = 60_000

/** Which client of a group may consume a queue in order: Apache's RebalanceLockManager. */
export class QueueLocks {
  readonly #locks = new Map<string, { clientId: string; at: number }>()

  /** Locks a queue or renews the lock. False if another client has it. */
  lock(key: string, clientId: string, now: number): boolean {
    const held = this.#locks.get(key)
    if (held !== undefined && held.clientId !== clientId && now - held.at <= LIVE_MS) return false
    this.#locks.set(key, { clientId, at: now })
    return true
  }

  /** Unlocks a queue if this client has the lock. */
  unlock(key: string, clientId: string): void {
    if (this.#locks.get(key)?.clientId === clientId) this.#locks.delete(key)
  }

  ownerOf(key: string): string | undefined {
    return this.#locks.get(key)?.clientId
  }

  /** Removes all locks, as a restart of the broker does. */
  clear(): void {
    this.#locks.clear()
  }
}
