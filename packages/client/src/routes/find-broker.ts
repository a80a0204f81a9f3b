import type { Long } from '@gantrymq/remoting'
import type { Deadline } from '../deadline.ts'
import { ClientError, javaCodes } from '../errors.ts'
import type { MessageQueue } from '../message/message.ts'
import type { BrokerTable, ReadAddress } from './broker-table.ts'
import type { RouteCache } from './route-cache.ts'

/** The routes and brokers that a client knows. */
export interface Routing {
  readonly routes: Pick<RouteCache, 'fresh'>
  readonly brokers: BrokerTable
}

/** A broker, and a topic whose route names it. The topic has its namespace. */
export type BrokerOfTopic = Pick<MessageQueue, 'topic' | 'brokerName'>

/**
 * The address of a broker's master. If it is not known, the name server is asked once for the route of the topic.
 * @throws ClientError BROKER_MISSING, and as `RouteCache.fresh`
 */
export function findMaster({ routes, brokers }: Routing, broker: BrokerOfTopic, deadline: Deadline): Promise<string> {
  return find(routes, broker, deadline, () => brokers.master(broker.brokerName), 'names no master of it')
}

/** As `findMaster`, for requests that a slave answers too: the master's address, or a slave's if there is no master. */
export function findAnyAddress(
  { routes, brokers }: Routing,
  broker: BrokerOfTopic,
  deadline: Deadline,
): Promise<string> {
  return find(routes, broker, deadline, () => brokers.anyAddress(broker.brokerName), 'does not name it')
}

/** As `findMaster`, for pulls: see `BrokerTable.toRead`. */
export function findReadAddress(
  { routes, brokers }: Routing,
  broker: BrokerOfTopic,
  brokerId: Long,
  deadline: Deadline,
): Promise<ReadAddress> {
  return find(routes, broker, deadline, () => brokers.toRead(broker.brokerName, brokerId), 'does not name it')
}

async function find<T>(
  routes: Routing['routes'],
  { topic, brokerName }: BrokerOfTopic,
  deadline: Deadline,
  known: () => T | undefined,
  problem: string,
): Promise<T> {
  const before = known()
  if (before !== undefined) return before
  await routes.fresh(topic, deadline.options())
  const found = known()
  if (found === undefined) throw brokerMissing(brokerName, `the route of topic ${topic} ${problem}`)
  return found
}

export function brokerMissing(brokerName: string, why: string): ClientError {
  const options = { responseCode: javaCodes.brokerMissing, retriable: true }
  return new ClientError('BROKER_MISSING', `the broker ${brokerName} cannot be found: ${why}`, options)
}
