import { setImmediate } from 'node:timers/promises'
import { type nameServerRequests, responseCodes } from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { NameServerContext } from '../context.ts'
import { RegistrationRefused } from '../registry/registration.ts'
import {
  allTopics,
  systemTopics,
  topicsOfCluster,
  unitSubTopics,
  unitSubUnUnitTopics,
  unitTopics,
} from '../registry/route-queries.ts'

type TopicRequests = Pick<
  typeof nameServerRequests,
  | 'GET_ALL_TOPIC_LIST_FROM_NAMESERVER'
  | 'GET_TOPICS_BY_CLUSTER'
  | 'GET_SYSTEM_TOPIC_LIST_FROM_NS'
  | 'GET_UNIT_TOPIC_LIST'
  | 'GET_HAS_UNIT_SUB_TOPIC_LIST'
  | 'GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST'
  | 'DELETE_TOPIC_IN_NAMESRV'
  | 'REGISTER_TOPIC_IN_NAMESRV'
>

/** Names written in one slice, which takes about 2 ms. */
const NAMES_PER_SLICE = 10_000

/** Topic lists, and the two requests that change a single topic. */
export const topicHandlers: HandlersFor<TopicRequests, NameServerContext> = {
  async GET_ALL_TOPIC_LIST_FROM_NAMESERVER({ peer }, { routes, settings, log }) {
    const { enableAllTopicList } = settings.options
    log.warn({ peer: peer.remoteAddress, enable: enableAllTopicList }, 'getAllTopicListFromNameserver')
    if (!enableAllTopicList) throw disabled()
    return { body: await topicList(allTopics(routes)) }
  },

  async GET_TOPICS_BY_CLUSTER({ header: { cluster = '' } }, { routes, settings }) {
    if (!settings.options.enableTopicList) throw disabled()
    return { body: await topicList(topicsOfCluster(routes, cluster)) }
  },

  GET_SYSTEM_TOPIC_LIST_FROM_NS(_call, { routes }) {
    return { body: systemTopics(routes) }
  },

  async GET_UNIT_TOPIC_LIST(_call, { routes, settings }) {
    if (!settings.options.enableTopicList) throw disabled()
    return { body: await topicList(unitTopics(routes)) }
  },

  async GET_HAS_UNIT_SUB_TOPIC_LIST(_call, { routes, settings }) {
    if (!settings.options.enableTopicList) throw disabled()
    return { body: await topicList(unitSubTopics(routes)) }
  },

  async GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST(_call, { routes, settings }) {
    if (!settings.options.enableTopicList) throw disabled()
    return { body: await topicList(unitSubUnUnitTopics(routes)) }
  },

  DELETE_TOPIC_IN_NAMESRV({ header: { topic = '', clusterName } }, { routes, metrics, registryLog, clock }) {
    // An empty cluster name means all clusters, as in Apache.
    const deletion = routes.deleteTopic(topic, clusterName === '' ? undefined : clusterName)
    metrics.configChanges.add({ kind: 'topic_delete' })
    registryLog.topicDeleted(topic, deletion, clock.now())
    return {}
  },

  REGISTER_TOPIC_IN_NAMESRV({ header: { topic }, body }, { routes, log }) {
    try {
      const { result, ...rest } = routes.registerTopic(topic, body?.queueDatas ?? [])
      if (result === 'illegal-broker') log.warn({ topic, ...rest }, 'Register topic contains illegal broker')
      else if (result !== 'empty') log.info({ topic, result }, 'Register topic route')
      return {}
    } catch (error) {
      if (!(error instanceof RegistrationRefused)) throw error
      throw new ResponseError(responseCodes.SYSTEM_ERROR, `REGISTER_TOPIC_IN_NAMESRV: ${error.message}`)
    }
  },
}

function disabled(): ResponseError {
  return new ResponseError(responseCodes.SYSTEM_ERROR, 'disable')
}

/** Encodes a TopicList in slices: with 100,000 topics it would block all other requests for tens of milliseconds. */
async function topicList(topics: readonly string[]): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let at = 0; at < topics.length; at += NAMES_PER_SLICE) {
    if (at > 0) await setImmediate()
    const names = JSON.stringify(topics.slice(at, at + NAMES_PER_SLICE))
    parts.push(Buffer.from(at === 0 ? names.slice(1, -1) : `,${names.slice(1, -1)}`))
  }
  return Buffer.concat([Buffer.from('{"topicList":['), ...parts, Buffer.from(']}')])
}
