import type { Long } from '@gantrymq/remoting'

/** Which state of its topic table a broker has: Apache's DataVersion. Brokers of 4.9 have no stateVersion; read as 0. */
export interface DataVersion {
  readonly stateVersion: Long
  /** Milliseconds since the epoch. */
  readonly timestamp: Long
  readonly counter: Long
}

/** What a registration without a body counts as. */
export const noDataVersion: DataVersion = { stateVersion: 0, timestamp: 0, counter: 0 }

export function sameDataVersion(a: DataVersion, b: DataVersion): boolean {
  return a.stateVersion === b.stateVersion && a.timestamp === b.timestamp && a.counter === b.counter
}
