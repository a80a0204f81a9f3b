import type { Long } from '@gantrymq/remoting'

/** The id of every master: Apache's MixAll.MASTER_ID. Slaves have higher ones. */
export const MASTER_ID = 0

/** True for the id of a master. */
export function isMaster(brokerId: Long): boolean {
  return brokerId === MASTER_ID || brokerId === 0n
}
