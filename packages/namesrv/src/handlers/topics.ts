import { encodeInSlices } from '@gantrymq/daemon'
import { type nameServerRequests, readQueueDatas, responseCodes } from '@gantrymq/protocol'
import { type Answer, type HandlersFor, ResponseError, type Sliced } from '@gantrymq/remoting'
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

const NAMES_PER_PIECE = 500

/** Topic lists, and the two requests that change a single topic. */
export const topicHandlers: HandlersFor<TopicRequests, NameServerContext> = {
  GET_ALL_TOPIC_LIST_FROM_NAMESERVER({ peer }, { routes, settings, turns, log }) {
    const { enableAllTopicList } = settings.options
    log.warn({ peer: peer.remoteAddress, enable: enableAllTopicList }, 'getAllTopicListFromNameserver')
    if (!enableAllTopicList) throw disabled()
    return turns.run('answer', topicList(allTopics(routes)))
  },

  GET_TOPICS_BY_CLUSTER({ header: { cluster = '' } }, { routes, settings, turns }) {
    if (!settings.options.enableTopicList) throw disabled()
    return turns.run('answer', topicList(topicsOfCluster(routes, cluster)))
  },

  GET_SYSTEM_TOPIC_LIST_FROM_NS(_call, { routes }) {
    return { body: systemTopics(routes) }
  },

  GET_UNIT_TOPIC_LIST(_call, { routes, settings, turns }) {
    if (!settings.options.enableTopicList) throw disabled()
    return turns.run('answer', topicList(unitTopics(routes)))
  },

  GET_HAS_UNIT_SUB_TOPIC_LIST(_call, { routes, settings, turns }) {
    if (!settings.options.enableTopicList) throw disabled()
    return turns.run('answer', topicList(unitSubTopics(routes)))
  },

  GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST(_call, { routes, settings, turns }) {
    if (!settings.options.enableTopicList) throw disabled()
    return turns.run('answer', topicList(unitSubUnUnitTopics(routes)))
  },

  DELETE_TOPIC_IN_NAMESRV({ header: { topic = '', clusterName } }, { routes, metrics, registryLog, clock }) {
    // An empty cluster name means all clusters, as in Apache.
    const deletion = routes.deleteTopic(topic, clusterName === '' ? undefined : clusterName)
    metrics.configChanges.add({ kind: 'topic_delete' })
    registryLog.topicDeleted(topic, deletion, clock.now())
    return {}
  },

  REGISTER_TOPIC_IN_NAMESRV({ header: { topic }, body }, context) {
    return context.turns.run('answer', registerTopic(topic, body, context))
  },
}

function* registerTopic(
  topic: string,
  body: Buffer | null,
  { routes, log }: NameServerContext,
): Sliced<Answer<TopicRequests['REGISTER_TOPIC_IN_NAMESRV']>> {
  const queueDatas = body === null ? [] : yield* readQueueDatas(body)
  try {
    const { result, ...rest } = routes.registerTopic(topic, queueDatas)
    if (result === 'illegal-broker') log.warn({ topic, ...rest }, 'Register topic contains illegal broker')
    else if (result !== 'empty') log.info({ topic, result }, 'Register topic route')
    return {}
  } catch (error) {
    if (!(error instanceof RegistrationRefused)) throw error
    throw new ResponseError(responseCodes.SYSTEM_ERROR, `REGISTER_TOPIC_IN_NAMESRV: ${error.message}`)
  }
}

function disabled(): ResponseError {
  return new ResponseError(responseCodes.SYSTEM_ERROR, 'disable')
}

/** The answer of a request for topic names. */
function* topicList(found: Sliced<ReadonlySet<string>>): Sliced<{ readonly body: readonly Buffer[] }> {
  return { body: yield* encodeInSlices(piecesOf(yield* found)) }
}

/** Many names at a time, as that takes a third of the time. */
function* piecesOf(topics: ReadonlySet<string>): Generator<string, void, void> {
  const names = [...topics]
  yield '{"topicList":['
  for (let at = 0; at < names.length; at += NAMES_PER_PIECE) {
    const text = JSON.stringify(names.slice(at, at + NAMES_PER_PIECE)).slice(1, -1)
    yield at === 0 ? text : `,${text}`
  }
  yield ']}'
}
