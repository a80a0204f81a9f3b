import type { sendRequests } from '@gantrymq/protocol'
import type { Call } from '@gantrymq/remoting'

/** The header of SEND_MESSAGE, and of SEND_MESSAGE_V2 with long names. */
export type SendHeader = Call<(typeof sendRequests)['SEND_MESSAGE']>['header']
type SendHeaderV2 = Call<(typeof sendRequests)['SEND_MESSAGE_V2']>['header']

/** Gives the short names of SEND_MESSAGE_V2 their meaning: Apache's SendMessageRequestHeaderV2. */
export function withLongNames(short: SendHeaderV2): SendHeader {
  return {
    producerGroup: short.a,
    topic: short.b,
    defaultTopic: short.c,
    defaultTopicQueueNums: short.d,
    queueId: short.e,
    sysFlag: short.f,
    bornTimestamp: short.g,
    flag: short.h,
    ...(short.i !== undefined && { properties: short.i }),
    ...(short.j !== undefined && { reconsumeTimes: short.j }),
    ...(short.k !== undefined && { unitMode: short.k }),
    ...(short.l !== undefined && { maxReconsumeTimes: short.l }),
    ...(short.m !== undefined && { batch: short.m }),
  }
}
