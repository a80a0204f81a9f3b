import { exactLong, type Long } from '@gantrymq/remoting'

/** The version of a broker's topic table: Apache's DataVersion. Brokers of 4.9 have no stateVersion; it is read as 0. */
export interface DataVersion {
  readonly stateVersion: Long
  /** Milliseconds since the epoch. */
  readonly timestamp: Long
  readonly counter: Long
}

/** The version of a registration without a body. */
export const noDataVersion: DataVersion = { stateVersion: 0, timestamp: 0, counter: 0 }

export function sameDataVersion(a: DataVersion, b: DataVersion): boolean {
  return a.stateVersion === b.stateVersion && a.timestamp === b.timestamp && a.counter === b.counter
}

/**
 * The version after a change: Apache's DataVersion.nextVersion.
 * @param now Milliseconds since the epoch.
 */
export function nextDataVersion({ stateVersion, counter }: DataVersion, now: number): DataVersion {
  return { stateVersion, timestamp: now, counter: exactLong(BigInt(counter) + 1n) }
}
