import { type BrokerData, nameServerRequests, responseCodes, type TopicRoute, V5_5_0 } from '@gantrymq/protocol'
import { type Clock, type HandlersFor, ResponseError, Router } from '@gantrymq/remoting'
import { type Fault, FaultyServer, type SetFault } from '@gantrymq/remoting/testing'

const { GET_ROUTEINFO_BY_TOPIC, GET_BROKER_CLUSTER_INFO } = nameServerRequests
const table = { GET_ROUTEINFO_BY_TOPIC, GET_BROKER_CLUSTER_INFO }

/** What a name server knows of a broker. */
export interface RouteSource {
  readonly brokerData: BrokerData
  /** The queues and the permission of a topic; undefined if the broker does not have it. */
  topicOf(
    topic: string,
  ): { readonly readQueues: number; readonly writeQueues: number; readonly perm: number } | undefined
}

/** A name server whose routes always match the current topics of its brokers, except for those that a test sets. */
export class ScriptedNameServer {
  readonly server: FaultyServer
  /** Routes set by a test; they take precedence over those of the brokers. Null: the topic does not exist. */
  readonly routes = new Map<string, TopicRoute | null>()
  /** The registered brokers. A broker that is down stays registered until a test removes it, as in Apache for 120 s. */
  readonly brokers = new Set<RouteSource>()

  constructor(options: { readonly address: string; readonly clock: Clock }) {
    const router = new Router(table, handlers, this)
    this.server = new FaultyServer({
      ...options,
      table,
      version: V5_5_0,
      dispatch: (command, peer) => router.dispatch(command, peer),
    })
  }

  get address(): string {
    return this.server.address
  }

  fault(name: keyof typeof table | '*', fault: Fault): SetFault {
    return this.server.fault(name, fault)
  }

  /** The route of a topic; null if it does not exist. */
  routeOf(topic: string): TopicRoute | null {
    const route = this.routes.get(topic)
    if (route !== undefined) return route
    const brokers = [...this.brokers].filter(broker => broker.topicOf(topic) !== undefined)
    if (brokers.length === 0) return null
    const brokerDatas = mergeGroups(brokers.map(({ brokerData }) => brokerData))
    const queueDatas = brokerDatas.flatMap(({ brokerName }) => {
      const broker = brokers.find(({ brokerData }) => brokerData.brokerName === brokerName)
      const settings = broker?.topicOf(topic)
      if (settings === undefined) return []
      const { readQueues: readQueueNums, writeQueues: writeQueueNums, perm } = settings
      return [{ brokerName, readQueueNums, writeQueueNums, perm, topicSysFlag: 0 }]
    })
    return { brokerDatas, queueDatas, filterServerTable: new Map() }
  }

  close(): Promise<void> {
    return this.server.close()
  }
}

/** Combines the master and the slaves of a group to one entry. */
function mergeGroups(brokers: readonly BrokerData[]): BrokerData[] {
  const byName = new Map<string, BrokerData>()
  for (const broker of brokers) {
    const known = byName.get(broker.brokerName)
    const brokerAddrs = new Map([...(known?.brokerAddrs ?? []), ...broker.brokerAddrs])
    byName.set(broker.brokerName, { ...broker, brokerAddrs })
  }
  return [...byName.values()]
}

const handlers: HandlersFor<typeof table, ScriptedNameServer> = {
  GET_ROUTEINFO_BY_TOPIC({ header: { topic = '' } }, nameServer) {
    const route = nameServer.routeOf(topic)
    if (route === null) {
      const help = 'https://rocketmq.apache.org/docs/bestPractice/06FAQ'
      const remark = `No topic route info in name server for the topic: ${topic}\nSee ${help} for further details.`
      throw new ResponseError(responseCodes.TOPIC_NOT_EXIST, remark)
    }
    return { body: route }
  },

  GET_BROKER_CLUSTER_INFO(_call, nameServer) {
    const groups = mergeGroups([...nameServer.brokers].map(({ brokerData }) => brokerData))
    const clusterAddrTable = new Map<string, string[]>()
    for (const { cluster, brokerName } of groups) {
      clusterAddrTable.set(cluster, [...(clusterAddrTable.get(cluster) ?? []), brokerName])
    }
    return { body: { brokerAddrTable: new Map(groups.map(group => [group.brokerName, group])), clusterAddrTable } }
  },
}
