import { membershipRequests, responseCodes, type SubscriptionData } from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { CallOptions } from '../../message/message.ts'

/**
 * Has a broker of the topic check an SQL92 filter. Without an answer from a broker, or without a known broker, the filter is
 * accepted.
 * @param group with its namespace
 * @throws ClientError BAD_OPTION that quotes a wrong filter; UNSUPPORTED if the broker does not filter by SQL92; ABORTED
 */
export async function checkFilter(
  instance: ClientInstance,
  group: string,
  subscriptionData: SubscriptionData,
  options: CallOptions = {},
): Promise<void> {
  const { topic, expressionType, subString } = subscriptionData
  if (expressionType === 'TAG') return
  const names = instance.routes.peek(topic)?.route.brokerDatas.map(({ brokerName }) => brokerName) ?? []
  const address = instance.brokers.anyAddress(names[Math.floor(Math.random() * names.length)] ?? '')
  if (address === undefined) return
  const body = { clientId: instance.clientId, group, subscriptionData }
  try {
    await instance.call(address, membershipRequests.CHECK_CLIENT_CONFIG, { body }, options)
  } catch (error) {
    if (options.signal?.aborted) throw error
    if (!(error instanceof ClientError) || error.code !== 'BROKER_REFUSED') {
      instance.log.warn({ group, topic, error: String(error) }, 'cannot check a filter')
      return
    }
    const { responseCode, remark, address: where } = error
    const isWrong = responseCode === responseCodes.SUBSCRIPTION_PARSE_FAILED
    const text = `the subscription of ${topic}, ${JSON.stringify(subString)}, is not accepted by ${address}: ${remark}`
    const advice = isWrong ? text : `${text}; Apache's brokers filter by SQL92 only with enablePropertyFilter=true`
    throw new ClientError(isWrong ? 'BAD_OPTION' : 'UNSUPPORTED', advice, {
      cause: error,
      responseCode,
      remark,
      address: where,
    })
  }
}
