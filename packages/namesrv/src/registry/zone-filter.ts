import { type BrokerData, MASTER_ID, type TopicRoute } from '@gantrymq/protocol'

/** Request fields that the header does not declare, set by 5.x clients that know their zone. */
const ZONE_MODE = '__ZONE_MODE'
const ZONE_NAME = '__ZONE_NAME'

/** The zone that a route query asks for; undefined if it asks for none. */
export function zoneAskedFor(extFields: ReadonlyMap<string, string> | null): string | undefined {
  if (extFields?.get(ZONE_MODE)?.toLowerCase() !== 'true') return undefined
  const zoneName = extFields.get(ZONE_NAME)
  return zoneName?.trim() ? zoneName : undefined
}

/**
 * Removes the brokers of other zones, with their queues and filter servers (Apache 5.x, ZoneRouteRPCHook).
 * A group without a master stays, so that its slaves can serve other zones. An empty route is not an error.
 */
export function filterByZone(route: TopicRoute, zoneName: string): TopicRoute {
  const removed = route.brokerDatas.filter(broker => !isServing(broker, zoneName.toLowerCase()))
  if (removed.length === 0) return route
  const names = new Set(removed.map(({ brokerName }) => brokerName))
  const addrs = new Set(removed.flatMap(({ brokerAddrs }) => [...brokerAddrs.values()]))
  return {
    // Static-topic mappings stay as they are: Apache does not narrow them.
    ...route,
    brokerDatas: route.brokerDatas.filter(broker => !names.has(broker.brokerName)),
    queueDatas: route.queueDatas.filter(queues => !names.has(queues.brokerName)),
    filterServerTable: new Map([...route.filterServerTable].filter(([addr]) => !addrs.has(addr))),
  }
}

function isServing(broker: BrokerData, zoneName: string): boolean {
  return !broker.brokerAddrs.has(MASTER_ID) || broker.zoneName?.toLowerCase() === zoneName
}
