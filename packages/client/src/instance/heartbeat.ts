import type { HeartbeatData } from '@gantrymq/protocol'
import type { Member } from './instance-members.ts'

/** Apache's clients send it with every heartbeat: brokers of 4.9 need a producer to find a client by. */
export const INNER_PRODUCER = 'CLIENT_INNER_PRODUCER'

/** What a heartbeat tells of the members of an instance. */
export function heartbeatOf(clientID: string, members: Iterable<Member>): HeartbeatData {
  const producers = new Set([INNER_PRODUCER])
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
