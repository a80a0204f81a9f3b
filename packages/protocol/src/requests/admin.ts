import { authRequests, plainAccessRequests } from './admin-access.ts'
import { brokerRequests } from './admin-brokers.ts'
import { clientRequests } from './admin-clients.ts'
import { groupRequests } from './admin-groups.ts'
import { offsetRequests } from './admin-offsets.ts'
import { topicRequests } from './admin-topics.ts'

/** All that operators ask brokers. What clients ask too, and brokers pass on to clients, is with those. */
export const adminRequests = {
  ...topicRequests,
  ...groupRequests,
  ...offsetRequests,
  ...brokerRequests,
  ...clientRequests,
  ...plainAccessRequests,
  ...authRequests,
}
