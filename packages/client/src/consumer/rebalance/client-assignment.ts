import { membershipRequests, sortClientIds, sortQueues } from '@gantrymq/protocol'
import { type MessageQueue, queueKey } from '../../message/message.ts'
import type { RebalanceContext } from './context.ts'

/** The queues of a topic that this member gets, and whether the group has other members. */
export interface OwnQueues {
  readonly queues: readonly MessageQueue[]
  readonly shared: boolean
}

/** Assigns the queues of a topic; undefined if that is impossible now. */
export type AssignTopic = (topic: string, queues: readonly MessageQueue[]) => Promise<OwnQueues | undefined>

/** Assigns queues by the group's member list and the strategy: Apache's RebalanceImpl.rebalanceByTopic. */
export class ClientAssignment {
  readonly #context: RebalanceContext
  /** Topics whose member list did not contain this client the last time. */
  readonly #missing = new Set<string>()

  constructor(context: RebalanceContext) {
    this.#context = context
  }

  /** The assignment for one rebalance, which asks each broker for the members once. */
  begin(signal: AbortSignal): AssignTopic {
    const lists = new Map<string, Promise<readonly string[]>>()
    const listAt = (brokerName: string): Promise<readonly string[]> => {
      const list = lists.get(brokerName) ?? this.#queryMembers(brokerName, signal)
      // The first caller awaits the promise and gets its error.
      list.catch(() => {})
      lists.set(brokerName, list)
      return list
    }
    return (topic, queues) => this.#assign(topic, queues, listAt)
  }

  async #assign(
    topic: string,
    queues: readonly MessageQueue[],
    listAt: (brokerName: string) => Promise<readonly string[]>,
  ): Promise<OwnQueues | undefined> {
    const { group, instance, settings } = this.#context
    const { clientId } = instance
    const clientIds = await this.#membersOf(topic, listAt)
    if (!clientIds.includes(clientId) && !this.#missing.has(topic)) {
      // The broker does not know this client yet, perhaps because it was down. If this client gave up all its queues at once,
      // the other members would take them.
      this.#missing.add(topic)
      await instance.heartbeat()
      return undefined
    }
    this.#missing.delete(topic)
    const shared = clientIds.length > 1
    if (queues.length === 0 || clientIds.length === 0) return { queues: [], shared }
    const input = { group, clientId, queues: sortQueues(queues), clientIds: sortClientIds(clientIds) }
    return { queues: existing(settings.allocate.assign(input), queues), shared }
  }

  /** The members of the group, from any broker of the topic: the next one is asked if one does not answer. */
  async #membersOf(
    topic: string,
    listAt: (brokerName: string) => Promise<readonly string[]>,
  ): Promise<readonly string[]> {
    const { route } = await this.#context.instance.routes.get(topic)
    const names = route.brokerDatas.map(({ brokerName }) => brokerName)
    const first = Math.floor(Math.random() * names.length)
    let failure: unknown = new Error(`topic ${topic} has no broker`)
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      try {
        return await listAt(name)
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  async #queryMembers(brokerName: string, signal: AbortSignal): Promise<readonly string[]> {
    const { group, instance } = this.#context
    const address = instance.brokers.anyAddress(brokerName)
    if (address === undefined) throw new Error(`no address of broker ${brokerName} is known`)
    const header = { consumerGroup: group, bname: brokerName }
    const reply = await instance.call(address, membershipRequests.GET_CONSUMER_LIST_BY_GROUP, { header }, { signal })
    // Brokers list a client once per connection. A client that reconnected is listed twice until the broker drops its dead
    // connection, and would then be assigned two parts of the queues but consume only one.
    return [...new Set(reply.body?.consumerIdList)]
  }
}

// A user-defined strategy may return anything, and a fixed list may be for several topics.
function existing(assigned: readonly MessageQueue[], all: readonly MessageQueue[]): readonly MessageQueue[] {
  const keys = new Set([...assigned].map(queueKey))
  return all.filter(queue => keys.has(queueKey(queue)))
}
