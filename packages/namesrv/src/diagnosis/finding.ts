import type { BrokerView } from '../registry/broker-changes.ts'
import type { Departure } from '../registry/departures.ts'
import type { NameServerStatus } from '../status.ts'

/** Why a client gets, or does not get, a usable route. Stable, so that scripts can branch on it. */
export const diagnosisCodes = [
  'FOUND',
  'NOT_READY',
  'UNREACHABLE_ADDRESS',
  'NO_MASTER',
  'NOT_WRITABLE',
  'NOT_READABLE',
  'UNREAD_QUEUES',
  'BAD_ORDER_CONFIG',
  'OTHER_ZONE',
  'SAME_BROKER_NAME',
  'NO_BROKERS',
  'BAD_NAME',
  'TOPIC_DELETED',
  'BROKERS_LEFT',
  'NOT_REGISTERED',
] as const

export type DiagnosisCode = (typeof diagnosisCodes)[number]

/** One thing that keeps clients from using a topic, or may. */
export interface Finding {
  /** Undefined for what matters only to some clients. */
  readonly code?: DiagnosisCode
  /** What the name server found, in a sentence. */
  readonly message: string
  /** What to do, most likely cause first. */
  readonly hints: readonly string[]
}

/** The question, and what the name server knows. */
export interface Inquiry {
  readonly topic: string
  /** The zone of the caller; undefined if it asks for none. */
  readonly zone: string | undefined
  readonly status: NameServerStatus
  /** All registered brokers. */
  readonly brokers: readonly BrokerView[]
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** How many names of each kind a diagnosis lists. */
export const SHOWN = 5

/** `a, b, c and 7 more` */
export function listed(names: readonly string[], limit = SHOWN): string {
  const more = names.length - limit
  return names.slice(0, limit).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

export function departureText({ broker, reason, at }: Departure, now: number): string {
  const { brokerName, brokerId, brokerAddr } = broker
  return `${brokerName} (id ${brokerId}, ${brokerAddr}) left ${secondsSince(at, now)} s ago: ${reasonTexts[reason]}`
}

export function secondsSince(at: number, now: number): number {
  return Math.max(0, Math.round((now - at) / 1000))
}

const reasonTexts = {
  request: 'it unregistered itself',
  channel_closed: 'its connection was closed',
  channel_idle: 'its connection was idle too long',
  timeout: 'it sent no heartbeat or registration in time',
  replaced: 'another broker took its id or its address',
} as const

/** A name as an argument of a command, quoted for a shell where it must be: names come from peers. */
export function argument(name: string): string {
  return /^[\w.:%-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`
}

/** `-c DefaultCluster`, if there is only this cluster. */
export function clusterFlag({ brokers }: Inquiry): string {
  const [cluster, ...others] = new Set(brokers.map(broker => broker.cluster))
  return `-c ${cluster !== undefined && others.length === 0 ? argument(cluster) : 'CLUSTER'}`
}

/** Broker names that are used in more than one cluster: their queues and addresses are mixed in all routes. */
export function sameNames({ brokers }: Inquiry, isAsked: (brokerName: string) => boolean): Finding[] {
  const asked = brokers.filter(broker => isAsked(broker.brokerName))
  return Array.from(Map.groupBy(asked, broker => broker.brokerName)).flatMap(([brokerName, members]) => {
    const clusters = [...new Set(members.map(broker => broker.cluster))].sort()
    if (clusters.length === 1) return []
    return {
      code: 'SAME_BROKER_NAME',
      message: `The broker name ${brokerName} is used in the clusters ${listed(clusters)}: routes mix up their brokers.`,
      hints: ['Give the brokers of each cluster their own brokerName in broker.conf, and restart them.'],
    }
  })
}

/** Brokers whose place another one took: two brokers with one name and id, or one broker that moved. */
export function replacedNames(inquiry: Inquiry, isAsked: (brokerName: string) => boolean): Finding[] {
  const departures = inquiry.status.departures
    .brokers()
    .filter(({ reason, broker }) => reason === 'replaced' && isAsked(broker.brokerName))
  // The last one of each name.
  const latest = new Map(departures.map(departure => [departure.broker.brokerName, departure]))
  return Array.from(latest.values())
    .slice(0, SHOWN)
    .flatMap(departure => replacement(departure, inquiry))
}

function replacement({ broker, at }: Departure, { brokers, now }: Inquiry): Finding[] {
  const { brokerName, brokerId, brokerAddr, cluster } = broker
  const holder = brokers.find(each => each.brokerName === brokerName && each.brokerId === brokerId)
  if (holder === undefined || holder.brokerAddr === brokerAddr) return []
  const isOther = holder.cluster !== cluster
  const [here, there] = isOther ? [` in the cluster ${cluster}`, ` of the cluster ${holder.cluster}`] : ['', '']
  const since = `${secondsSince(at, now)} s ago`
  return [
    {
      ...(isOther && { code: 'SAME_BROKER_NAME' }),
      message: `${brokerName} (id ${brokerId}) was at ${brokerAddr}${here} until ${holder.brokerAddr}${there} took its place ${since}.`,
      hints: [
        'If both brokers run, only one of them is registered: give one of them its own brokerName or brokerId in broker.conf.',
      ],
    },
  ]
}
