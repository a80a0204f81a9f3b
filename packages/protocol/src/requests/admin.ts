import { authRequests, plainAccessRequests } from './access.ts'
import { brokerAdminRequests } from './broker-admin.ts'
import { connectionRequests } from './connections.ts'
import { groupRequests } from './groups.ts'
import { offsetRequests } from './offsets.ts'
import { topicRequests } from './topics.ts'

/** All that operators ask brokers. What clients ask too, and brokers pass on to clients, is with those. */
export const adminRequests = {
  ...topicRequests,
  ...groupRequests,
  ...offsetRequests,
  ...brokerAdminRequests,
  ...connectionRequests,
  ...plainAccessRequests,
  ...authRequests,
}
