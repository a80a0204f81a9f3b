import type { nameServerRequests } from '@gantrymq/protocol'
import type { HandlersFor } from '@gantrymq/remoting'
import type { NameServerContext } from '../context.ts'
import { brokerHandlers } from './brokers.ts'
import { kvHandlers } from './kv.ts'
import { routeHandlers } from './routes.ts'
import { settingsHandlers } from './settings.ts'
import { topicHandlers } from './topics.ts'

/** A handler for every request that a name server serves. */
export const handlers = {
  ...routeHandlers,
  ...brokerHandlers,
  ...topicHandlers,
  ...kvHandlers,
  ...settingsHandlers,
} satisfies HandlersFor<typeof nameServerRequests, NameServerContext>
