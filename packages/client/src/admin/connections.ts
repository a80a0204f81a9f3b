import {
  type ClientConnection,
  clientNotices,
  connectionRequests,
  type ConsumeMessageDirectlyResult,
  type ConsumerConnections,
  type ConsumerRunningInfo,
  offsetRequests,
  type ProducerInfo,
  type QueueOffset,
  responseCodes,
  retryTopicOf,
} from '@gantrymq/protocol'
import type { Deadline } from '../deadline.ts'
import { ClientError } from '../errors.ts'
import type { CallOptions } from '../message/message.ts'
import { type AdminCalls, askEach, isRefusal, type BrokerAddress, type Target } from './calls.ts'
import type { Messages } from './messages.ts'

/** The offsets of one client's consumer. */
export interface ConsumerStatus {
  readonly clientId: string
  readonly offsets: readonly QueueOffset[]
}

/** The connected consumers. */
export class Consumers {
  readonly #calls: AdminCalls
  readonly #messages: Messages

  constructor(calls: AdminCalls, messages: Messages) {
    this.#calls = calls
    this.#messages = messages
  }

  /**
   * The consumers of a group and their subscriptions, at all brokers or one: examineConsumerConnectionInfo.
   * @throws ClientError NOT_FOUND if none is connected, ROUTE_MISSING if no broker knows the group
   */
  async connections(
    group: string,
    { target, ...options }: CallOptions & { readonly target?: Target } = {},
  ): Promise<ConsumerConnections> {
    const deadline = this.#calls.deadline(options)
    const brokers = await this.#brokersWith(group, target, deadline)
    const answers = await askEach(brokers, ({ address }) => this.#connectionsAt(address, group, deadline))
    const online = answers.filter(answer => answer !== null)
    const [first] = online
    if (first === undefined) throw offline(group)
    const connections = new Map(
      online.flatMap(answer => answer.connections.map(each => [each.clientId, each] as const)),
    )
    return { ...first, connections: [...connections.values()] }
  }

  async #connectionsAt(
    address: string,
    consumerGroup: string,
    deadline: Deadline,
  ): Promise<ConsumerConnections | null> {
    const request = connectionRequests.GET_CONSUMER_CONNECTION_LIST
    try {
      return await this.#calls.body(address, request, { header: { consumerGroup } }, deadline)
    } catch (error) {
      if (isRefusal(error, responseCodes.CONSUMER_NOT_ONLINE)) return null
      throw error
    }
  }

  async #brokersWith(group: string, target: Target | undefined, deadline: Deadline): Promise<readonly BrokerAddress[]> {
    return target === undefined
      ? this.#calls.brokersWith(retryTopicOf(group), deadline)
      : this.#calls.brokersOf(target, deadline)
  }

  /**
   * A consumer's own report: getConsumerRunningInfo. With `stack`, also the stacks of its threads.
   * @throws ClientError BROKER_REFUSED if it is not connected, code 207 if it does not answer
   */
  async runningInfo(
    group: string,
    clientId: string,
    { stack = false, ...options }: CallOptions & { readonly stack?: boolean } = {},
  ): Promise<ConsumerRunningInfo> {
    const deadline = this.#calls.deadline(options, 3)
    const header = { consumerGroup: group, clientId, jstackEnable: stack }
    return this.#anyBroker(await this.#calls.brokersWith(retryTopicOf(group), deadline), ({ address }) =>
      this.#calls.body(address, clientNotices.GET_CONSUMER_RUNNING_INFO, { header }, deadline),
    )
  }

  // A broker passes the request on to a client that is connected to it. A client may not be connected to every broker.
  async #anyBroker<T>(brokers: readonly BrokerAddress[], work: (broker: BrokerAddress) => Promise<T>): Promise<T> {
    let failure: unknown = new ClientError('BROKER_MISSING', 'no broker of the group is registered')
    for (const broker of brokers) {
      try {
        return await work(broker)
      } catch (error) {
        failure = error
        // The next broker is asked only if this one does not know the client or cannot be reached.
        if (!isRefusal(error, responseCodes.SYSTEM_ERROR) && !isUnreachable(error)) throw error
      }
    }
    throw failure
  }

  /**
   * Makes one consumer consume a message again, without queues and offsets: consumeMessageDirectly.
   * @param id The message's id or offset id.
   * @throws ClientError NOT_FOUND if there is no such message, BROKER_REFUSED if the consumer is not connected
   */
  async consumeDirectly(
    { group, clientId, topic, id }: Readonly<Record<'group' | 'clientId' | 'topic' | 'id', string>>,
    options: CallOptions = {},
  ): Promise<ConsumeMessageDirectlyResult> {
    const deadline = this.#calls.deadline(options, 3)
    const message = await this.#messages.byId(topic, id, deadline.options())
    if (message === undefined) throw new ClientError('NOT_FOUND', `the topic ${topic} has no message ${id}`)
    const header = { consumerGroup: group, clientId, msgId: message.offsetMessageId, topic }
    const request = clientNotices.CONSUME_MESSAGE_DIRECTLY
    return this.#calls.body(message.storeHost, request, { header }, deadline)
  }

  /** The offsets in a topic of a group's consumers, or of one of them: getConsumeStatus. */
  async status(
    group: string,
    topic: string,
    { clientId, ...options }: CallOptions & { readonly clientId?: string } = {},
  ): Promise<readonly ConsumerStatus[]> {
    const deadline = this.#calls.deadline(options, 3)
    const header = { group, topic, clientAddr: clientId }
    const request = offsetRequests.INVOKE_BROKER_TO_GET_CONSUMER_STATUS
    // Any broker can ask all consumers, and each reports all of its queues.
    const body = await this.#anyBroker(await this.#calls.brokersWith(topic, deadline), ({ address }) =>
      this.#calls.body(address, request, { header }, deadline),
    )
    return [...(body.consumerTable ?? [])].map(([id, offsets]) => ({ clientId: id, offsets }))
  }
}

/** The connected producers. */
export class Producers {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** The producers of a group that send to a topic: examineProducerConnectionInfo. @throws ClientError NOT_FOUND */
  async connections(group: string, topic: string, options: CallOptions = {}): Promise<readonly ClientConnection[]> {
    const deadline = this.#calls.deadline(options)
    const answers = await askEach(await this.#calls.brokersWith(topic, deadline), ({ address }) =>
      this.#connectionsAt(address, group, deadline),
    )
    const connections = new Map(answers.flat().map(each => [each.clientId, each]))
    if (connections.size === 0) throw new ClientError('NOT_FOUND', `no producer of the group ${group} is connected`)
    return [...connections.values()]
  }

  async #connectionsAt(
    address: string,
    producerGroup: string,
    deadline: Deadline,
  ): Promise<readonly ClientConnection[]> {
    const request = connectionRequests.GET_PRODUCER_CONNECTION_LIST
    try {
      return await this.#calls.body(address, request, { header: { producerGroup } }, deadline)
    } catch (error) {
      // A broker that does not know the group answers with code 1.
      if (isRefusal(error, responseCodes.SYSTEM_ERROR)) return []
      throw error
    }
  }

  /** All producers at one broker, by group: getAllProducerInfo. */
  async ofBroker(target: Target, options: CallOptions = {}): Promise<ReadonlyMap<string, readonly ProducerInfo[]>> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#calls.body(address, connectionRequests.GET_ALL_PRODUCER_INFO, {}, deadline)
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'CONNECT_FAILED'
}

function offline(group: string): ClientError {
  return new ClientError('NOT_FOUND', `no consumer of the group ${group} is online`, {
    responseCode: responseCodes.CONSUMER_NOT_ONLINE,
  })
}
