import { type HeartbeatData, INNER_PRODUCER_GROUP } from '@gantrymq/protocol'
import type { Member } from './instance-members.ts'

/** The body of a heartbeat that lists these members. */
export function heartbeatBody(clientID: string, members: Iterable<Member>): HeartbeatData {
  // As Apache's clients do: a 4.9 broker finds a client only by a producer group.
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
