import { encodeTopicRoute, type nameServerRequests, responseCodes } from '@gantrymq/protocol'
import { type Dialect, type HandlersFor, printable, ResponseError } from '@gantrymq/remoting'
import type { NameServerContext } from '../context.ts'
import { STANDARD_JSON_VERSION } from '../answers/prepared-routes.ts'
import { clusterInfo } from '../registry/route-queries.ts'
import { filterByZone, zoneAskedFor } from '../registry/zone-filter.ts'

type RouteRequests = Pick<typeof nameServerRequests, 'GET_ROUTEINFO_BY_TOPIC' | 'GET_BROKER_CLUSTER_INFO'>

const HELP = 'https://rocketmq.apache.org/docs/bestPractice/06FAQ'

/** Route queries: Apache's ClientRequestProcessor. */
export const routeHandlers: HandlersFor<RouteRequests, NameServerContext> = {
  GET_ROUTEINFO_BY_TOPIC({ header, command }, { routes, bodies, isReady, metrics, log }) {
    if (!isReady()) {
      log.warn({ code: command.code }, 'name server not ready')
      throw new ResponseError(responseCodes.SYSTEM_ERROR, 'name server not ready')
    }
    const { topic, acceptStandardJsonOnly } = header
    // Callers older than 4.9.4 get fastjson's dialect, in which broker ids are unquoted numbers.
    const isStandard = command.version >= STANDARD_JSON_VERSION || acceptStandardJsonOnly === true
    const dialect: Dialect = isStandard ? 'standard' : 'fastjson'
    const body = topic === undefined ? undefined : bodies.find(topic, dialect)?.bytes[dialect]
    if (topic === undefined || body === undefined) {
      metrics.routeNotFound++
      const remark = `No topic route info in name server for the topic: ${printable(topic ?? 'null')}\nSee ${HELP} for further details.`
      throw new ResponseError(responseCodes.TOPIC_NOT_EXIST, remark)
    }
    const zone = zoneAskedFor(command.extFields)
    if (zone === undefined) return { body }
    const route = routes.routeOf(topic)
    // Apache always answers in fastjson's dialect here; this server uses the dialect of the caller.
    return { body: route ? encodeTopicRoute(filterByZone(bodies.complete(route, topic), zone), dialect) : body }
  },

  GET_BROKER_CLUSTER_INFO(_call, { routes }) {
    return { body: clusterInfo(routes) }
  },
}
