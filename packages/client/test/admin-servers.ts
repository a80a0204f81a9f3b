import type { TestContext } from 'node:test'
import { type BrokerData, nameServerRequests, type TopicRoute } from '@gantrymq/protocol'
import {
  Connection,
  type ConnectionOptions,
  type HandlersFor,
  RemotingError,
  type RequestTable,
  ResponseError,
  Router,
} from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import { Admin } from '../src/admin/admin.ts'

type Dispatch = NonNullable<ConnectionOptions['onRequest']>

/** A server that handles only these requests. */
export function serving<const T extends RequestTable>(table: T, handlers: HandlersFor<T, null>): Dispatch {
  const router = new Router(table, handlers, null)
  return (command, peer) => router.dispatch(command, peer)
}

const { GET_BROKER_CLUSTER_INFO, GET_ROUTEINFO_BY_TOPIC } = nameServerRequests

/** A name server with these brokers, all of cluster `c`. Every topic except `missing` is on all of them. */
export function nameServerOf(brokers: readonly BrokerData[]): Dispatch {
  return serving(
    { GET_BROKER_CLUSTER_INFO, GET_ROUTEINFO_BY_TOPIC },
    {
      GET_BROKER_CLUSTER_INFO: () => ({
        body: {
          brokerAddrTable: new Map(brokers.map(broker => [broker.brokerName, broker])),
          clusterAddrTable: new Map([['c', brokers.map(({ brokerName }) => brokerName)]]),
        },
      }),
      GET_ROUTEINFO_BY_TOPIC({ header: { topic } }) {
        if (topic === 'missing' || topic === '%RETRY%missing') throw new ResponseError(17, `no route of ${topic}`)
        return { body: routeOf(brokers) }
      },
    },
  )
}

function routeOf(brokerDatas: readonly BrokerData[]): TopicRoute {
  const queueDatas = brokerDatas.map(({ brokerName }) => ({
    brokerName,
    readQueueNums: 2,
    writeQueueNums: 2,
    perm: 6,
    topicSysFlag: 0,
  }))
  return { queueDatas, brokerDatas, filterServerTable: new Map() }
}

/** A broker's master and slaves. */
export function brokerData(brokerName: string, ...addresses: string[]): BrokerData {
  const brokerAddrs = new Map(addresses.map((address, id) => [id, address]))
  return { brokerName, cluster: 'c', brokerAddrs, enableActingMaster: false }
}

/**
 * Starts an admin with servers in memory, by address. Other addresses refuse connections.
 * @param nameServers The addresses of the name servers.
 */
export async function startAdmin(
  t: TestContext,
  servers: Readonly<Record<string, Dispatch>>,
  nameServers: readonly string[] = ['ns-1:9876'],
): Promise<{ readonly admin: Admin; readonly clock: ManualClock }> {
  const clock = new ManualClock()
  const dial = (address: string) => {
    const onRequest = servers[address]
    if (onRequest === undefined) return Promise.reject(new RemotingError('CONNECT_FAILED', 'connection refused'))
    const [near, far] = memorySockets()
    const connection = new Connection(far, { remoteAddress: 'admin', clock, onRequest })
    t.after(() => connection.close())
    return Promise.resolve(near)
  }
  const admin = await Admin.start({ nameServers, dial, clock })
  t.after(() => admin.close())
  return { admin, clock }
}
