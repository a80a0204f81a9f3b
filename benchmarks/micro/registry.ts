import { RouteTable } from '@gantrymq/namesrv'
import { decodeRegisterBroker, encodeTopicRoute, type RegisterBrokerBody } from '@gantrymq/protocol'
import { registerPlan, topicName } from '../name-server/plan.ts'
import type { MicroCase } from './measure.ts'

const TOPICS = 1_000
const V5_5_0 = 513
const NOW = 1_700_000_000_000

function decode(bytes: Buffer): RegisterBrokerBody {
  return decodeRegisterBroker(bytes, { version: V5_5_0, compressed: false, now: NOW })
}

function register(table: RouteTable, body: RegisterBrokerBody, broker = 0): unknown {
  const registration = {
    clusterName: 'DefaultCluster',
    brokerName: `broker-${broker}`,
    brokerAddr: `10.0.0.${broker}:10911`,
    brokerId: 0,
    peer: broker + 1,
    body,
  }
  return table.registerBroker(registration, NOW)
}

function filledTable(body: RegisterBrokerBody): RouteTable {
  const table = new RouteTable()
  for (const broker of [0, 1]) register(table, body, broker)
  return table
}

/** Registers the bodies in turn, so that each differs from the one before. */
function registerInTurn(bodies: readonly RegisterBrokerBody[]): () => unknown {
  const table = filledTable(bodies[0] as RegisterBrokerBody)
  let turn = 0
  return () => register(table, bodies[++turn % bodies.length] as RegisterBrokerBody)
}

/** Registrations and routes without connections. */
export function registryCases(): MicroCase[] {
  const { bodies } = registerPlan({ topics: TOPICS, brokers: 1 }, 'changed')
  const [first = Buffer.alloc(0)] = bodies
  const decoded = bodies.map(decode)
  const [unchanged] = decoded
  if (!unchanged) return []
  const table = filledTable(unchanged)
  const route = table.routeOf(topicName(7))
  if (!route) throw new Error('the table has no route')
  return [
    { name: 'read a registration of 1,000 topics', work: () => decode(first), per: 1 },
    { name: 'register 1,000 topics, unchanged', work: () => register(table, unchanged), per: 1 },
    { name: 'register 1,000 topics, one changed', work: registerInTurn(decoded), per: 1 },
    { name: 'find a route', work: () => table.routeOf(topicName(7)), per: 1 },
    { name: 'write a route', work: () => encodeTopicRoute(route, 'standard'), per: 1 },
  ]
}
