import { membershipRequests, responseCodes, type SubscriptionData } from '@gantrymq/protocol'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { ClientError } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'
import { type Expression, subscriptionOf } from '../subscription.ts'

/**
 * What a consumer wants of which topic. Brokers refuse a pull whose subscription is newer than what the last heartbeat told
 * them, so a change counts for pulls only when it has been told.
 */
export class Subscriptions {
  /** As pulls name them. */
  readonly pulled = new Map<string, SubscriptionData>()
  /** As heartbeats tell them. */
  readonly #told = new Map<string, SubscriptionData>()

  get told(): SubscriptionData[] {
    return [...this.#told.values()]
  }

  has(topic: string): boolean {
    return this.#told.has(topic)
  }

  /** @throws ClientError BAD_OPTION */
  set(topic: string, expression: Expression, now: number): SubscriptionData {
    const subscription = subscriptionOf(topic, expression, this.#version(topic, now))
    this.#told.set(topic, subscription)
    return subscription
  }

  /** Gives it a new version: brokers tell by it which of two members' subscriptions is newer. */
  touch(topic: string, now: number): void {
    const subscription = this.#told.get(topic)
    if (subscription !== undefined) this.#told.set(topic, { ...subscription, subVersion: this.#version(topic, now) })
  }

  #version(topic: string, now: number): number {
    return Math.max(now, (this.#told.get(topic)?.subVersion ?? 0) + 1)
  }

  /** False if it was not there. */
  delete(topic: string): boolean {
    this.pulled.delete(topic)
    return this.#told.delete(topic)
  }

  /** The brokers know all of these by now. */
  heard(told: readonly SubscriptionData[]): void {
    for (const subscription of told)
      if (this.#told.has(subscription.topic)) this.pulled.set(subscription.topic, subscription)
  }
}

/**
 * Has a broker of the topic judge an SQL92 filter. A topic nobody knows yet is not judged, nor is anything while no broker
 * answers.
 * @throws ClientError BAD_OPTION naming the filter if it is wrong, UNSUPPORTED if the broker has none, ABORTED
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
      instance.log.warn({ group, topic, error: String(error) }, 'filter not checked')
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
