import { membershipRequests } from '@gantrymq/protocol'
import type { ClientInstance } from './client-instance.ts'
import type { Member } from './instance-members.ts'

/**
 * Takes a group of this client off a broker. False if the broker did not hear; never rejects: brokers forget a silent
 * client by themselves.
 */
export async function unregister(
  instance: ClientInstance,
  address: string,
  { kind, group }: Pick<Member, 'kind' | 'group'>,
): Promise<boolean> {
  const names = kind === 'producer' ? { producerGroup: group } : { consumerGroup: group }
  const header = { clientID: instance.clientId, ...names }
  try {
    await instance.call(address, membershipRequests.UNREGISTER_CLIENT, { header })
    return true
  } catch (error) {
    instance.log.debug({ address, group, error: String(error) }, 'broker not told that a client leaves')
    return false
  }
}
