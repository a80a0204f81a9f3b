import {
  type DataVersion,
  encodeRegisterBroker,
  type TopicConfig,
  type TopicQueueMappingInfo,
  V5_5_0,
} from '@gantrymq/protocol'
import { finish, type Long } from '@gantrymq/remoting'
import type { BrokerIdentity, BrokerRegistration } from '../src/registry/registration.ts'
import { allTopics } from '../src/registry/route-queries.ts'
import type { RouteTable } from '../src/registry/route-table.ts'

/** The time in these tests. */
export const NOW = 1_700_000_000_000

export function topicConfig(topicName: string, settings: Partial<TopicConfig> = {}): TopicConfig {
  return {
    topicName,
    readQueueNums: 8,
    writeQueueNums: 8,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
    ...settings,
  }
}

export function dataVersion(counter: Long, stateVersion: Long = 0): DataVersion {
  return { stateVersion, timestamp: NOW, counter }
}

export interface RegistrationFields extends Partial<Omit<BrokerRegistration, 'body'>> {
  readonly topics?: readonly (string | TopicConfig)[]
  readonly version?: Long
  readonly stateVersion?: Long
  readonly mappings?: readonly TopicQueueMappingInfo[]
  readonly filterServers?: readonly string[] | null
}

/** The master of broker-a in cluster C with two topics, and with the given fields. */
export function registration(fields: RegistrationFields = {}): BrokerRegistration {
  const { topics = ['T1', 'T2'], version = 1, stateVersion = 0, mappings = [], filterServers = [], ...head } = fields
  const configs = topics.map(topic => (typeof topic === 'string' ? topicConfig(topic) : topic))
  return {
    clusterName: 'C',
    brokerName: 'broker-a',
    brokerAddr: '10.0.0.1:10911',
    brokerId: 0,
    haServerAddr: '10.0.0.1:10912',
    peer: 1,
    ...head,
    body: {
      dataVersion: dataVersion(version, stateVersion),
      topics: new Map(configs.map(config => [config.topicName, config])),
      topicQueueMappings: new Map(mappings.map(info => [info.topic, info])),
      filterServers,
    },
  }
}

/** The body of a registration as a broker of 5.5.0 sends it, by default without topics. */
export function registerBody(fields: Pick<RegistrationFields, 'topics' | 'version' | 'filterServers'> = {}): Buffer {
  return encodeRegisterBroker(registration({ topics: [], ...fields }).body, { version: V5_5_0, compressed: false })
}

/** A slave of that master. */
export function slave(fields: RegistrationFields = {}): BrokerRegistration {
  return registration({
    brokerAddr: '10.0.0.2:10911',
    haServerAddr: '10.0.0.2:10912',
    brokerId: 1,
    peer: 2,
    ...fields,
  })
}

export function headOf({ body, ...identity }: BrokerRegistration) {
  return { ...identity, dataVersion: body.dataVersion, filterServers: body.filterServers }
}

export function identityOf({ clusterName, brokerName, brokerAddr, brokerId }: BrokerIdentity): BrokerIdentity {
  return { clusterName, brokerName, brokerAddr, brokerId }
}

/** The names of all topics. */
export function topicNames(table: RouteTable): string[] {
  return [...finish(allTopics(table))]
}

/** Drops the topics of the brokers that have left, and returns those that no broker has any more. */
export function droppedTopics(table: RouteTable): string[] {
  const topics: string[] = []
  finish(table.dropEnded(({ topic }) => topics.push(topic)))
  return topics
}

/** A route as a short string: `topic: name{id:addr,…}perm …`. */
export function shown(table: RouteTable, topic: string): string | undefined {
  const route = table.routeOf(topic)
  if (!route) return undefined
  const perms = new Map(route.queueDatas.map(queues => [queues.brokerName, queues.perm]))
  return route.brokerDatas
    .map(({ brokerName, brokerAddrs }) => {
      const addrs = Array.from(brokerAddrs, ([id, addr]) => `${id}:${addr.replace(':10911', '')}`)
      return `${brokerName}{${addrs.join()}}${perms.get(brokerName)}`
    })
    .join(' ')
}
