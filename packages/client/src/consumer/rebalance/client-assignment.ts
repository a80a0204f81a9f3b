import { membershipRequests, sortClientIds, sortQueues } from '@gantrymq/protocol'
import { type MessageQueue, queueKey } from '../../message/message.ts'
import type { RebalanceCore } from './rebalancer.ts'

/** A member's queues of a topic; undefined if they cannot be told now. */
export type Share = (
  topic: string,
  queues: readonly MessageQueue[],
) => Promise<{ readonly queues: readonly MessageQueue[]; readonly shared: boolean } | undefined>

/**
 * Shares out queues by the group's member list and the strategy, for one round: each broker is asked once.
 * @param missing topics in whose list this client was not last time; kept between rounds
 */
export function ownShare(core: RebalanceCore, missing: Set<string>, signal: AbortSignal): Share {
  const lists = new Map<string, Promise<readonly string[]>>()
  const listAt = (name: string): Promise<readonly string[]> => {
    const list = lists.get(name) ?? askMembers(core, name, signal)
    // Awaited by whoever asks first; the failure is told there.
    list.catch(() => {})
    lists.set(name, list)
    return list
  }
  return async (topic, queues) => {
    const clientIds = await membersOf(core, topic, listAt)
    const { group, instance, settings } = core
    const { clientId } = instance
    if (!clientIds.includes(clientId) && !missing.has(topic)) {
      // Not heard of yet, perhaps as the broker was away: giving all queues up at once would make others take them too.
      missing.add(topic)
      await instance.heartbeat()
      return undefined
    }
    missing.delete(topic)
    const shared = clientIds.length > 1
    if (queues.length === 0 || clientIds.length === 0) return { queues: [], shared }
    const input = { group, clientId, queues: sortQueues(queues), clientIds: sortClientIds(clientIds) }
    return { queues: known(settings.allocate.assign(input), queues), shared }
  }
}

/** From any broker of the topic, the next if one does not answer. */
async function membersOf(
  { instance }: RebalanceCore,
  topic: string,
  listAt: (name: string) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const { route } = await instance.routes.get(topic)
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

async function askMembers(
  { group, instance }: RebalanceCore,
  name: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const address = instance.brokers.anyAddress(name)
  if (address === undefined) throw new Error(`no address of broker ${name}`)
  const header = { consumerGroup: group, bname: name }
  const reply = await instance.call(address, membershipRequests.GET_CONSUMER_LIST_BY_GROUP, { header }, { signal })
  // Brokers list a client once a connection: one that came back twice, until they drop its dead connection. Counted twice,
  // it would take one share, and nobody the other.
  return [...new Set(reply.body?.consumerIdList)]
}

// A strategy of the user's may return anything; a fixed list may be for several topics.
function known(mine: readonly MessageQueue[], all: readonly MessageQueue[]): readonly MessageQueue[] {
  const wanted = new Set([...mine].map(queueKey))
  return all.filter(queue => wanted.has(queueKey(queue)))
}
