import {
  type brokerAdminRequests,
  type BrokerConsumeStats,
  type ConsumeStats,
  type groupRequests,
  OUR_VERSION,
  type QueueProgress,
  responseCodes,
  type topicRequests,
} from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { groupProgress, groupTimeSpans, queueStats } from '../statistics/progress.ts'
import { runtimeInfo } from '../statistics/runtime-info.ts'

type StatisticsRequests = Pick<typeof topicRequests, 'GET_TOPIC_STATS_INFO' | 'QUERY_TOPIC_CONSUME_BY_WHO'> &
  Pick<
    typeof groupRequests,
    | 'GET_CONSUME_STATS'
    | 'GET_BROKER_CONSUME_STATS'
    | 'QUERY_CONSUME_TIME_SPAN'
    | 'QUERY_TOPICS_BY_CONSUMER'
    | 'QUERY_SUBSCRIPTION_BY_CONSUMER'
  > &
  Pick<typeof brokerAdminRequests, 'GET_BROKER_RUNTIME_INFO' | 'VIEW_BROKER_STATS_DATA'>

/** Showing offsets, backlogs and counters: Apache's AdminBrokerProcessor. */
export const statisticsHandlers: HandlersFor<StatisticsRequests, BrokerContext> = {
  async GET_TOPIC_STATS_INFO({ header: { topic }, peer }, context) {
    const config = context.topics.get(topic)
    if (config === undefined) throw new ResponseError(responseCodes.TOPIC_NOT_EXIST, `topic[${topic}] not exist`)
    const queues = await context.coldReads.look(peer.id, () => queueStats(config, sourcesOf(context)))
    return { body: { queues, putTps: context.counts.putRate(topic) } }
  },

  async GET_CONSUME_STATS({ header: { consumerGroup, topic = '', topicList = '' }, peer }, context) {
    const topics = topicsToShow(consumerGroup, topic, topicList, context)
    return { body: await context.coldReads.look(peer.id, () => consumeStats(consumerGroup, topics, context)) }
  },

  async GET_BROKER_CONSUME_STATS({ header: { isOrder }, peer }, context) {
    return { body: await context.coldReads.look(peer.id, () => brokerConsumeStats(isOrder, context)) }
  },

  async QUERY_CONSUME_TIME_SPAN({ header: { topic, group }, peer }, context) {
    const config = context.topics.get(topic)
    if (config === undefined) throw new ResponseError(responseCodes.TOPIC_NOT_EXIST, `topic[${topic}] not exist`)
    const spans = () => groupTimeSpans(group, config, context.clock.now(), sourcesOf(context))
    return { body: await context.coldReads.look(peer.id, spans) }
  },

  VIEW_BROKER_STATS_DATA({ header: { statsName, statsKey } }, { counts, settings }) {
    const isOfBroker = statsName.startsWith('BROKER_')
    const isKnown = !isOfBroker || statsKey === settings.options.brokerClusterName
    const body = isKnown ? counts.counter(statsName, statsKey) : undefined
    if (body !== undefined) return { body }
    throw new ResponseError(responseCodes.SYSTEM_ERROR, `The stats <${statsName}> <${statsKey}> not exist`)
  },

  QUERY_TOPIC_CONSUME_BY_WHO({ header: { topic } }, { clients, offsets }) {
    return { body: [...new Set([...clients.groupsOfTopic(topic), ...offsets.groupsOf(topic)])] }
  },

  QUERY_TOPICS_BY_CONSUMER({ header: { group } }, { offsets, identity }) {
    return { body: { topicList: offsets.topicsOf(group), brokerAddr: identity().address } }
  },

  QUERY_SUBSCRIPTION_BY_CONSUMER({ header: { group, topic = '' } }, { clients }) {
    const subscription = clients.subscription(group, topic)
    return { body: { group, topic, ...(subscription && { subscription }) } }
  },

  async GET_BROKER_RUNTIME_INFO({ peer }, context) {
    const { counts, store, settings, waitingSends, coldReads, delays, clock, startedAt } = context
    const { startAcceptSendRequestTimeStamp, sendThreadPoolQueueCapacity, maxColdPulls } = settings.options
    const body = runtimeInfo({
      counts,
      version: OUR_VERSION,
      startedAt,
      now: clock.now(),
      minPosition: store.start,
      maxPosition: store.end,
      unflushed: store.written - store.flushed,
      diskRatio: store.diskUsed,
      // Operators ask when the disk is too slow: all else is known without it.
      earliestMessage: await coldReads.look(peer.id, () => store.earliestTime()).catch(() => -1),
      startAcceptSendRequestTimeStamp,
      waitingSends: { size: waitingSends.size, capacity: sendThreadPoolQueueCapacity },
      coldReads: { size: coldReads.size, capacity: maxColdPulls },
      delays: delays.progress(),
    })
    return { body }
  },
}

function sourcesOf({ store, offsets, settings }: BrokerContext) {
  return { store, offsets, brokerName: settings.options.brokerName }
}

/** The topics of the request; without any, those in which the group has offsets and which it still consumes, if it is online. */
function topicsToShow(group: string, topic: string, topicList: string, context: BrokerContext): string[] {
  if (topicList !== '') return topicList.split(';').filter(name => name !== '')
  return subscribedTopics(group, topic.trim() === '' ? context.offsets.topicsOf(group) : [topic], context)
}

/** All of the topics, or those that the group still consumes, if it is online. */
function subscribedTopics(group: string, topics: string[], { clients }: BrokerContext): string[] {
  const online = clients.consumerGroup(group)?.subscriptions
  return online === undefined || online.size === 0 ? topics : topics.filter(name => online.has(name))
}

async function consumeStats(group: string, names: readonly string[], context: BrokerContext): Promise<ConsumeStats> {
  const queues: QueueProgress[] = []
  let consumeTps = 0
  for (const name of names) {
    const config = context.topics.get(name)
    if (config === undefined) continue
    queues.push(...(await groupProgress(group, config, sourcesOf(context))))
    consumeTps += context.counts.getRate(name, group)
  }
  return { queues, consumeTps }
}

/** How far all groups are, of all topics or of the ordered ones. */
async function brokerConsumeStats(isOrder: boolean, context: BrokerContext): Promise<BrokerConsumeStats> {
  const { groups, offsets, identity } = context
  const shown: BrokerConsumeStats['groups'][number][] = []
  let totalDiff = 0
  for (const group of groups.all.keys()) {
    const topics: ConsumeStats[] = []
    for (const topic of subscribedTopics(group, offsets.topicsOf(group), context)) {
      const config = context.topics.get(topic)
      if (config === undefined || (isOrder && !config.order)) continue
      const stats = await consumeStats(group, [topic], context)
      topics.push(stats)
      for (const { brokerOffset, consumerOffset } of stats.queues) totalDiff += brokerOffset - consumerOffset
    }
    shown.push({ group, topics })
  }
  return { brokerAddr: identity().address, groups: shown, totalDiff, totalInflightDiff: 0 }
}
