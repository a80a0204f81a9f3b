import { type HeartbeatData, INNER_PRODUCER_GROUP } from '@gantrymq/protocol'
import type { Member } from './instance-members.ts'

/**
 * What a heartbeat tells of the members of an instance. As Apache's clients, it always names a producer: brokers of 4.9
 * find a client by one.
 */
export function heartbeatOf(clientID: string, members: Iterable<Member>): HeartbeatData {
  const producers = new Set([INNER_PRODUCER_GROUP])
  const consumerDataSet = []
  for (const member of members) {
    if (member.kind === 'producer') producers.add(member.group)
    else consumerDataSet.push(member.describe())
  }
  return {
    clientID,
    producerDataSet: [...producers].map(groupName => ({ groupName })),
    consumerDataSet,
    heartbeatFingerprint: 0,
    withoutSub: false,
  }
}
