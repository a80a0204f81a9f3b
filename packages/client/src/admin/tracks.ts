import type { ConsumerConnections, TopicRoute } from '@gantrymq/protocol'
import { type ClientError, toClientError } from '../errors.ts'
import type { CallOptions } from '../message/message.ts'
import { type AdminCalls, isEnded } from './calls.ts'
import type { Consumers } from './connections.ts'
import type { FoundMessage } from './found-message.ts'
import type { Stats } from './stats.ts'
import type { Topics } from './topics.ts'

/** The state of a message in one group: Apache's TrackType. */
export type TrackType =
  | 'CONSUMED'
  | 'CONSUMED_BUT_FILTERED'
  | 'PULL'
  | 'NOT_CONSUME_YET'
  | 'NOT_ONLINE'
  | 'CONSUME_BROADCASTING'
  | 'UNKNOWN'

/** What one group did with a message. */
export interface MessageTrack {
  readonly group: string
  readonly type: TrackType
  /** The failure, if the type is UNKNOWN. */
  readonly error?: ClientError
}

/** Which groups consumed a message. */
export class Tracks {
  readonly #calls: AdminCalls
  readonly #topics: Topics
  readonly #consumers: Consumers
  readonly #stats: Stats

  constructor(calls: AdminCalls, topics: Topics, consumers: Consumers, stats: Stats) {
    this.#calls = calls
    this.#topics = topics
    this.#consumers = consumers
    this.#stats = stats
  }

  /** What each group of the message's topic did with it: messageTrackDetail. */
  async of(message: FoundMessage, options: CallOptions = {}): Promise<readonly MessageTrack[]> {
    const deadline = this.#calls.deadline(options, 3)
    const groups = await this.#topics.groups(message.topic, deadline.options())
    const route = await this.#calls.route(message.topic, deadline)
    return Promise.all(
      groups.map(async group => {
        try {
          return { group, type: await this.#typeOf(message, group, route, deadline.options()) }
        } catch (error) {
          const failure = toClientError(error)
          if (isEnded(failure)) throw failure
          return problemOf(group, failure)
        }
      }),
    )
  }

  async #typeOf(message: FoundMessage, group: string, route: TopicRoute, options: CallOptions): Promise<TrackType> {
    const connections = await this.#consumers.connections(group, options)
    if (connections.messageModel === 'BROADCASTING') return 'CONSUME_BROADCASTING'
    if (connections.consumeType === 'CONSUME_ACTIVELY') return 'PULL'
    const { queues } = await this.#stats.ofGroup(group, { ...options, topic: message.topic })
    const broker = brokerAt(route, message.storeHost)
    const row = queues.find(({ queue }) => queue.queueId === message.queueId && queue.brokerName === broker)
    if (row === undefined || row.consumerOffset <= message.queueOffset) return 'NOT_CONSUME_YET'
    return isWanted(message, connections) ? 'CONSUMED' : 'CONSUMED_BUT_FILTERED'
  }
}

function problemOf(group: string, error: ClientError): MessageTrack {
  return error.code === 'NOT_FOUND' ? { group, type: 'NOT_ONLINE' } : { group, type: 'UNKNOWN', error }
}

function brokerAt({ brokerDatas }: TopicRoute, address: string): string | undefined {
  return brokerDatas.find(({ brokerAddrs }) => [...brokerAddrs.values()].includes(address))?.brokerName
}

// An SQL92 expression is not evaluated, as in Apache.
function isWanted({ tags, topic }: FoundMessage, { subscriptions }: ConsumerConnections): boolean {
  const wanted = subscriptions.get(topic)
  if (wanted === undefined || wanted.tagsSet.length === 0) return true
  return tags !== undefined && wanted.tagsSet.includes(tags)
}
