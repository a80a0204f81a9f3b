import { type JsonObject, objectOf, toObject, toText, toTexts } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'
import { type BrokerData, brokerBean, readBroker } from './topic-route.ts'

/** All clusters and brokers: Apache's ClusterInfo. */
export interface ClusterInfo {
  /** By broker name. */
  readonly brokerAddrTable: ReadonlyMap<string, BrokerData>
  /** Broker names by cluster. */
  readonly clusterAddrTable: ReadonlyMap<string, readonly string[]>
}

function readClusterInfo(object: JsonObject): ClusterInfo {
  const brokerAddrTable = new Map<string, BrokerData>()
  for (const [name, broker] of objectOf(object, 'brokerAddrTable') ?? []) {
    brokerAddrTable.set(toText(name), readBroker(toObject(broker, 'brokerAddrTable')))
  }
  const clusterAddrTable = new Map<string, readonly string[]>()
  for (const [cluster, names] of objectOf(object, 'clusterAddrTable') ?? []) {
    clusterAddrTable.set(toText(cluster), toTexts(names))
  }
  return { brokerAddrTable, clusterAddrTable }
}

/** Always in fastjson's dialect, even for new callers: clients in other languages parse this form. */
export const clusterInfoBody = jsonBody<ClusterInfo>(
  'ClusterInfo',
  info => ({
    brokerAddrTable: new Map([...info.brokerAddrTable].map(([name, broker]) => [name, brokerBean(broker)])),
    clusterAddrTable: info.clusterAddrTable,
  }),
  readClusterInfo,
)

/** Addresses of one broker group: Apache's BrokerMemberGroup (5.x). */
export type BrokerMemberGroup = Pick<BrokerData, 'cluster' | 'brokerName' | 'brokerAddrs'>

/** Apache's GetBrokerMemberGroupResponseBody. */
export const brokerMemberGroupBody = jsonBody<BrokerMemberGroup>(
  'GetBrokerMemberGroupResponseBody',
  ({ brokerAddrs, brokerName, cluster }) => ({ brokerMemberGroup: { brokerAddrs, brokerName, cluster } }),
  object => {
    const { brokerAddrs, brokerName, cluster } = readBroker(objectOf(object, 'brokerMemberGroup') ?? new Map())
    return { brokerAddrs, brokerName, cluster }
  },
)
