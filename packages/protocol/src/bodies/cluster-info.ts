import {
  type BodyCodec,
  type JsonObject,
  objectOf,
  readFastjson,
  toObject,
  toText,
  toTexts,
  writeFastjson,
} from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'
import { type BrokerData, brokerText, readBroker } from './topic-route.ts'

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
export const clusterInfoBody: BodyCodec<ClusterInfo> = {
  name: 'ClusterInfo',
  encode({ brokerAddrTable, clusterAddrTable }) {
    // Written by hand: for hundreds of brokers the general writer would block the event loop for milliseconds.
    const rows = Array.from(brokerAddrTable, ([name, broker]) => {
      return `${writeFastjson(name, 'fastjson')}:${brokerText(broker, 'fastjson')}`
    })
    const clusters = writeFastjson(clusterAddrTable, 'fastjson')
    return Buffer.from(`{"brokerAddrTable":{${rows.join(',')}},"clusterAddrTable":${clusters}}`)
  },
  decode: bytes => readClusterInfo(toObject(readFastjson(bytes), 'ClusterInfo')),
}

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
