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
import { type AdminCalls, each, isRefusal, type Place, type Target } from './calls.ts'
import type { Messages } from './messages.ts'

/** Where consumers of one client stand. */
export interface ConsumerStatus {
  readonly clientId: string
  readonly offsets: readonly QueueOffset[]
}

/** Consumers that are connected. */
export class Consumers {
  readonly #calls: AdminCalls
  readonly #messages: Messages

  constructor(calls: AdminCalls, messages: Messages) {
    this.#calls = calls
    this.#messages = messages
  }

  /**
   * The consumers of a group and what they subscribe to, on all brokers or one: examineConsumerConnectionInfo.
   * @throws ClientError NOT_FOUND if none is connected, ROUTE_MISSING if no broker knows the group
   */
  async connections(
    group: string,
    { target, ...options }: CallOptions & { readonly target?: Target } = {},
  ): Promise<ConsumerConnections> {
    const deadline = this.#calls.deadline(options)
    const places = await this.#holders(group, target, deadline)
    const answers = await each(places, ({ address }) => this.#connectionsAt(address, group, deadline))
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

  async #holders(group: string, target: Target | undefined, deadline: Deadline): Promise<readonly Place[]> {
    return target === undefined
      ? this.#calls.holders(retryTopicOf(group), deadline)
      : this.#calls.places(target, deadline)
  }

  /**
   * What a consumer tells of itself: getConsumerRunningInfo. With `stack`, its threads' stacks too.
   * @throws ClientError BROKER_REFUSED if it is not connected, code 207 if it does not answer
   */
  async runningInfo(
    group: string,
    clientId: string,
    { stack = false, ...options }: CallOptions & { readonly stack?: boolean } = {},
  ): Promise<ConsumerRunningInfo> {
    const deadline = this.#calls.deadline(options, 3)
    const header = { consumerGroup: group, clientId, jstackEnable: stack }
    return this.#anyone(await this.#calls.holders(retryTopicOf(group), deadline), ({ address }) =>
      this.#calls.body(address, clientNotices.GET_CONSUMER_RUNNING_INFO, { header }, deadline),
    )
  }

  /** Each broker passes it on to a client that is connected to it; a client may have lost one of them. */
  async #anyone<T>(places: readonly Place[], work: (place: Place) => Promise<T>): Promise<T> {
    let failure: unknown = new ClientError('BROKER_MISSING', 'no broker of the group is registered')
    for (const place of places) {
      try {
        return await work(place)
      } catch (error) {
        failure = error
        // Only who does not know the client, or cannot be reached, leaves it to the next.
        if (!isRefusal(error, responseCodes.SYSTEM_ERROR) && !isUnreachable(error)) throw error
      }
    }
    throw failure
  }

  /**
   * Has one consumer consume a message again, outside of queues and offsets: consumeMessageDirectly.
   * @param id either id of the message
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

  /** Where the consumers of a group, or one of them, stand in a topic: getConsumeStatus. */
  async status(
    group: string,
    topic: string,
    { clientId, ...options }: CallOptions & { readonly clientId?: string } = {},
  ): Promise<readonly ConsumerStatus[]> {
    const deadline = this.#calls.deadline(options, 3)
    const header = { group, topic, clientAddr: clientId }
    const request = offsetRequests.INVOKE_BROKER_TO_GET_CONSUMER_STATUS
    // Any broker can ask all of them, and each tells of all of its queues.
    const body = await this.#anyone(await this.#calls.holders(topic, deadline), ({ address }) =>
      this.#calls.body(address, request, { header }, deadline),
    )
    return [...(body.consumerTable ?? [])].map(([id, offsets]) => ({ clientId: id, offsets }))
  }
}

/** Producers that are connected. */
export class Producers {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** The producers of a group that send to a topic: examineProducerConnectionInfo. @throws ClientError NOT_FOUND */
  async connections(group: string, topic: string, options: CallOptions = {}): Promise<readonly ClientConnection[]> {
    const deadline = this.#calls.deadline(options)
    const answers = await each(await this.#calls.holders(topic, deadline), ({ address }) =>
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
      // A broker that does not know the group says so with code 1.
      if (isRefusal(error, responseCodes.SYSTEM_ERROR)) return []
      throw error
    }
  }

  /** All producers of one broker, by group: getAllProducerInfo. */
  async ofBroker(target: Target, options: CallOptions = {}): Promise<ReadonlyMap<string, readonly ProducerInfo[]>> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.place(target, deadline)
    return this.#calls.body(address, connectionRequests.GET_ALL_PRODUCER_INFO, {}, deadline)
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'CONNECT_FAILED'
}

function offline(group: string): ClientError {
  return new ClientError('NOT_FOUND', `Not found the consumer group connection: no consumer of ${group} is online`, {
    responseCode: responseCodes.CONSUMER_NOT_ONLINE,
  })
}
