import { type Readiness, VERSION } from '@gantrymq/daemon'
import { versionName } from '@gantrymq/protocol'
import type { MessageStore } from '@gantrymq/store'
import type { Client, ClientRegistry } from './clients/client-registry.ts'
import type { Groups } from './groups/groups.ts'
import type { OffsetTable } from './offsets/offset-table.ts'
import type { BrokerOptions } from './options.ts'
import type { Popping } from './popping/popping.ts'
import type { MessageCounts } from './statistics/message-counts.ts'
import type { BrokerStatus, ClientView, LevelView, QueueBacklog, QueueView } from './status.ts'
import type { Topics } from './topics/topics.ts'

export interface StatusSources {
  readonly options: BrokerOptions
  readonly topics: Topics
  readonly groups: Groups
  readonly offsets: OffsetTable
  readonly clients: ClientRegistry
  readonly counts: MessageCounts
  readonly store: MessageStore
  readonly popping: Popping | undefined
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly heldPulls: () => number
  readonly delayLevels: () => Iterable<LevelView>
  readonly readiness: () => Readiness
}

/** The status of a running broker, read from its parts at each call. */
export function brokerStatus(sources: StatusSources): BrokerStatus {
  const {
    options,
    topics,
    groups,
    offsets,
    clients,
    counts,
    store,
    popping,
    startedAt,
    heldPulls,
    delayLevels,
    readiness,
  } = sources

  const queuesOf = (topic: string, count: number): QueueView[] =>
    Array.from({ length: count }, (_, queueId) => {
      const queue = store.queue(topic, queueId)
      return { queueId, minOffset: queue?.minOffset ?? 0, maxOffset: queue?.maxOffset ?? 0 }
    })

  function* backlogs(group: string): Generator<QueueBacklog, void, void> {
    const subscribed = clients.consumerGroup(group)?.subscriptions.keys() ?? []
    for (const topic of new Set([...offsets.topicsOf(group), ...subscribed])) {
      for (const queue of queuesOf(topic, topics.get(topic)?.readQueueNums ?? 0)) {
        const offset = offsets.get(topic, group, queue.queueId)
        const from = Math.max(offset ?? 0, queue.minOffset)
        const popped = popping?.poppedOf({ topic, group, queueId: queue.queueId }) ?? 0
        yield { topic, ...queue, committed: offset, backlog: Math.max(queue.maxOffset - from, 0) + popped }
      }
    }
  }

  function backlogOfAll(): number {
    let messages = 0
    for (const group of new Set([...offsets.groups, ...clients.consumerGroups.keys()])) {
      for (const { backlog } of backlogs(group)) messages += backlog
    }
    return messages
  }

  return {
    version: VERSION,
    startedAt,
    brokerName: options.brokerName,
    clusterName: options.brokerClusterName,
    readiness,
    traffic: () => ({
      stored: counts.put.messages,
      delivered: counts.got.messages,
      backlog: backlogOfAll(),
    }),
    counts: () => ({ topics: topics.size, groups: groups.size, clients: clients.size }),
    topics: () => topics.all.keys(),
    topic(name) {
      const config = topics.get(name)
      if (config === undefined) return undefined
      const queues = queuesOf(name, Math.max(config.readQueueNums, config.writeQueueNums))
      return { config, putRate: counts.putRate(name), queues }
    },
    groups: () => groups.all.keys(),
    group(name) {
      const config = groups.get(name)
      if (config === undefined) return undefined
      const online = clients.consumerGroup(name)
      let backlog = 0
      for (const queue of backlogs(name)) backlog += queue.backlog
      return {
        config,
        clients: online?.clients.size ?? 0,
        consumeType: online?.consumeType,
        messageModel: online?.messageModel,
        backlog,
      }
    },
    backlogs,
    delayLevels,
    get heldPulls() {
      return heldPulls()
    },
    *clients(): Generator<ClientView, void, void> {
      for (const [group, members] of clients.producerGroups) {
        for (const member of members.values()) yield viewOf('producer', group, member)
      }
      for (const [group, { clients: members }] of clients.consumerGroups) {
        for (const member of members.values()) yield viewOf('consumer', group, member)
      }
    },
  }
}

function viewOf(role: ClientView['role'], group: string, { clientId, peer, language, version }: Client): ClientView {
  return { role, group, clientId, address: peer.remoteAddress, language, version: versionName(version) }
}
