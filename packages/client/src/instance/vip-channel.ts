import { consumeRequests, membershipRequests, popRequests, sendRequests } from '@gantrymq/protocol'
import type { RequestDeclaration } from '@gantrymq/remoting'

/** Requests that always go to the broker's first port, as in Apache's MQClientAPIImpl. */
const FIRST_PORT: ReadonlySet<number> = new Set(
  [
    membershipRequests.HEART_BEAT,
    membershipRequests.UNREGISTER_CLIENT,
    consumeRequests.PULL_MESSAGE,
    consumeRequests.LITE_PULL_MESSAGE,
    consumeRequests.UNLOCK_BATCH_MQ,
    popRequests.POP_MESSAGE,
    popRequests.ACK_MESSAGE,
    popRequests.CHANGE_MESSAGE_INVISIBLETIME,
    sendRequests.END_TRANSACTION,
    sendRequests.RECALL_MESSAGE,
  ].map(({ code }) => code),
)

/** The address for a request with option vipChannel: the port two below the first (Apache's MixAll.brokerVIPChannel). */
export function vipAddress(address: string, { code }: RequestDeclaration): string {
  if (FIRST_PORT.has(code)) return address
  const colon = address.lastIndexOf(':')
  return `${address.slice(0, colon)}:${Number(address.slice(colon + 1)) - 2}`
}
