/** How long a lock is valid without renewal, milliseconds (Apache's RebalanceLockManager). Clients renew it every 20 s. */
const LOCK_MS = 60_000

/** Most locks of all groups. Apache has no limit, and never forgets an expired lock. */
const MAX_LOCKS = 262_144

interface Lock {
  readonly clientId: string
  /** By the broker's elapsed time, milliseconds. */
  readonly renewedAt: number
}

/** A queue that only one client of a group may consume, because the group consumes in order. */
export interface LockedQueue {
  readonly group: string
  readonly topic: string
  readonly queueId: number
}

/** Which client of a group may consume a queue in order: Apache's RebalanceLockManager. A restart of the broker loses all locks. */
export class QueueLocks {
  /** By group, then by `topic@queueId`. */
  readonly #groups = new Map<string, Map<string, Lock>>()
  /** Locks of all groups, with those that have expired since the last sweep. */
  #size = 0

  /** Locks a queue for a client, or renews its lock. False if another client has it, or there are too many locks. */
  lock(queue: LockedQueue, clientId: string, now: number): boolean {
    const locks = this.#groups.get(queue.group) ?? new Map<string, Lock>()
    const key = keyOf(queue)
    const known = locks.get(key)
    const owner = ownerAt(known, now)
    if (owner !== undefined && owner !== clientId) return false
    if (known === undefined && this.#size >= MAX_LOCKS) return false
    if (known === undefined) this.#size++
    this.#groups.set(queue.group, locks.set(key, { clientId, renewedAt: now }))
    return true
  }

  /** Unlocks a queue if this client has locked it. */
  unlock(queue: LockedQueue, clientId: string): void {
    const locks = this.#groups.get(queue.group)
    if (locks?.get(keyOf(queue))?.clientId !== clientId) return
    locks.delete(keyOf(queue))
    this.#size--
    if (locks.size === 0) this.#groups.delete(queue.group)
  }

  ownerOf(queue: LockedQueue, now: number): string | undefined {
    return ownerAt(this.#groups.get(queue.group)?.get(keyOf(queue)), now)
  }

  /** Whether a client of the group has locked any queue: then the group consumes in order. */
  hasLocks(group: string, now: number): boolean {
    return [...(this.#groups.get(group)?.values() ?? [])].some(lock => ownerAt(lock, now) !== undefined)
  }

  /** Forgets expired locks, so that groups that are gone take no memory. */
  sweep(now: number): void {
    for (const [group, locks] of this.#groups) {
      for (const [key, lock] of locks) {
        if (ownerAt(lock, now) === undefined && locks.delete(key)) this.#size--
      }
      if (locks.size === 0) this.#groups.delete(group)
    }
  }
}

function ownerAt(lock: Lock | undefined, now: number): string | undefined {
  return lock === undefined || now - lock.renewedAt > LOCK_MS ? undefined : lock.clientId
}

function keyOf({ topic, queueId }: LockedQueue): string {
  return `${topic}@${queueId}`
}
