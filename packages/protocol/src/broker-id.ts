import type { Long } from '@gantrymq/remoting'

/** The id of every master: Apache's MixAll.MASTER_ID. Slaves have higher ones. */
export const MASTER_ID = 0

/** True of a master's id. */
export function isMaster(brokerId: Long): boolean {
  return brokerId === MASTER_ID || brokerId === 0n
}
