import { type BrokerData, nameServerRequests, responseCodes, type TopicRoute, V5_5_0 } from '@gantrymq/protocol'
import { type Clock, type HandlersFor, ResponseError, Router } from '@gantrymq/remoting'
import { type Fault, FaultyServer, type SetFault } from '@gantrymq/remoting/testing'

const { GET_ROUTEINFO_BY_TOPIC, GET_BROKER_CLUSTER_INFO } = nameServerRequests
const table = { GET_ROUTEINFO_BY_TOPIC, GET_BROKER_CLUSTER_INFO }

/** A broker as its name server sees it. */
export interface RouteSource {
  readonly brokerData: BrokerData
  /** Queues and permission of a topic; undefined if the broker has none of the name. */
  topicOf(
    topic: string,
  ): { readonly readQueues: number; readonly writeQueues: number; readonly perm: number } | undefined
}

/** A name server that knows what its brokers have at this moment, and what a test tells it. */
export class ScriptedNameServer {
  readonly server: FaultyServer
  /** Routes that a test gives; they go before those of the brokers. Null: the topic does not exist. */
  readonly routes = new Map<string, TopicRoute | null>()
  /** Brokers that are known here. A broker that is down stays known until a test deletes it, as in Apache for 120 s. */
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

  /** What the name server answers for a topic; null if it does not exist. */
  routeOf(topic: string): TopicRoute | null {
    const told = this.routes.get(topic)
    if (told !== undefined) return told
    const having = [...this.brokers].filter(broker => broker.topicOf(topic) !== undefined)
    if (having.length === 0) return null
    const brokerDatas = mergeGroups(having.map(({ brokerData }) => brokerData))
    const queueDatas = brokerDatas.flatMap(({ brokerName }) => {
      const broker = having.find(({ brokerData }) => brokerData.brokerName === brokerName)
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

/** Master and slaves of one name as one entry. */
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
