import type { Peer } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'

/**
 * A copy of the record at a position that a client names; undefined if there is none. If it is not in memory, its request waits for the
 * disk like a query.
 * @throws ResponseError SYSTEM_BUSY if the disk is too slow, or too many wait for it; StoreError READ_FAILED
 */
export async function storedRecord(
  position: number,
  { id }: Peer,
  { store, coldReads }: Pick<BrokerContext, 'store' | 'coldReads'>,
): Promise<Buffer | undefined> {
  return store.messageInMemory(position) ?? (await coldReads.query(id, () => store.messageAt(position)))
}
