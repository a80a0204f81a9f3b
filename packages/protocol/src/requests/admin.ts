import { authRequests, plainAccessRequests } from './access.ts'
import { brokerAdminRequests } from './broker-admin.ts'
import { connectionRequests } from './connections.ts'
import { groupRequests } from './groups.ts'
import { offsetRequests } from './offsets.ts'
import { topicRequests } from './topics.ts'

/** All requests of operators to brokers, except those that clients also send and those that brokers forward to clients. */
export const adminRequests = {
  ...topicRequests,
  ...groupRequests,
  ...offsetRequests,
  ...brokerAdminRequests,
  ...connectionRequests,
  ...plainAccessRequests,
  ...authRequests,
}
