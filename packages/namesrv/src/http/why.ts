import { inSlices } from '@gantrymq/daemon'
import { AUTO_CREATE_TOPIC, isWriteable, MASTER_ID, type TopicRoute } from '@gantrymq/protocol'
import type { Departure } from '../registry/departures.ts'
import type { NameServerStatus } from '../status.ts'

/** Why a client gets, or does not get, a usable route. Stable: scripts branch on it. */
export type DiagnosisCode =
  | 'FOUND'
  | 'NO_MASTER'
  | 'NOT_WRITABLE'
  | 'NOT_READY'
  | 'NO_BROKERS'
  | 'BROKERS_LEFT'
  | 'NOT_REGISTERED'

export interface Diagnosis {
  readonly topic: string
  readonly code: DiagnosisCode
  /** For people: what is the case. */
  readonly message: string
  /** For people: what to look at, most likely first. */
  readonly hints: readonly string[]
}

const SIMILAR_SHOWN = 5
const DEPARTURES_SHOWN = 5

/** Answers what "No route info of this topic" leaves open. Searches all topics, so it works in slices. */
export async function explain(topic: string, status: NameServerStatus, now: number): Promise<Diagnosis> {
  const route = status.route(topic)
  const readiness = status.readiness()
  if (!readiness.ready) {
    const hints = ['Clients keep the routes they have and ask again; other name servers may answer already.']
    return { topic, code: 'NOT_READY', message: `This name server answers no route query: ${readiness.reason}`, hints }
  }
  return route ? explainRoute(topic, route) : await explainMissing(topic, status, now)
}

function explainRoute(topic: string, route: TopicRoute): Diagnosis {
  const mastered = route.brokerDatas
    .filter(broker => broker.brokerAddrs.has(MASTER_ID))
    .map(broker => broker.brokerName)
  const writable = route.queueDatas.filter(queue => isWriteable(queue.perm) && queue.writeQueueNums > 0)
  if (mastered.length === 0) {
    const hints = ['Consumers can read from the slaves; producers fail until a master registers.']
    return { topic, code: 'NO_MASTER', message: 'The topic has a route, but no master among its brokers.', hints }
  }
  if (!writable.some(queue => mastered.includes(queue.brokerName))) {
    const message =
      'The topic has a route, but no broker of it accepts messages: no write permission, or no write queue.'
    const hints = [
      'A broker made read-only (mqadmin wipeWritePerm) is opened again with mqadmin addWritePerm.',
      "The topic's own permission is set with mqadmin updateTopic -p.",
    ]
    return { topic, code: 'NOT_WRITABLE', message, hints }
  }
  const message = `The topic has a route: ${route.queueDatas.length} broker(s), ${mastered.length} with a master.`
  const hints = ['A client that does not find it asks another name server, or has another namespace in front of it.']
  return { topic, code: 'FOUND', message, hints }
}

async function explainMissing(topic: string, status: NameServerStatus, now: number): Promise<Diagnosis> {
  const left = status.departures.brokers().slice(-DEPARTURES_SHOWN).toReversed()
  const departures = left.map(departure => `${departureText(departure, now)}.`)
  const withTopic = status.departures.ofTopic(topic)
  if (status.brokerCount() === 0) {
    const message = 'No broker is registered here, so no topic has a route.'
    const hints = [
      ...departures,
      "Look whether this server's address is in namesrvAddr of the brokers, and in their logs for register broker errors.",
    ]
    return { topic, code: 'NO_BROKERS', message, hints }
  }
  if (withTopic) {
    const message = `No broker registered here has this topic since ${departureText(withTopic, now)}.`
    return { topic, code: 'BROKERS_LEFT', message, hints: ['It comes back when one of its brokers registers again.'] }
  }
  const message = `None of the ${status.brokerCount()} brokers registered here has this topic.`
  const hints = [...(await similarHints(topic, status)), autoCreateHint(status), ...departures]
  return { topic, code: 'NOT_REGISTERED', message, hints }
}

function autoCreateHint(status: NameServerStatus): string {
  const creators = [...status.brokersOfTopic(AUTO_CREATE_TOPIC)]
  return creators.length > 0
    ? `${AUTO_CREATE_TOPIC} is registered by ${creators.slice(0, 10).join(', ')}: these brokers create the topic with the first message sent to it; consumers find it only then.`
    : `No broker registers ${AUTO_CREATE_TOPIC}, so topics are not created by sending: create it with mqadmin updateTopic.`
}

/** Names that differ from `topic` by case, blanks around them, or a namespace in front. */
async function similarHints(topic: string, status: NameServerStatus): Promise<string[]> {
  const wanted = bare(topic)
  const similar: string[] = []
  await inSlices(status.topics(), name => {
    if (similar.length < SIMILAR_SHOWN && bare(name) === wanted) similar.push(name)
  })
  return similar.length > 0
    ? [`There is a topic with nearly this name: ${similar.map(name => `"${name}"`).join(', ')}.`]
    : []
}

function bare(name: string): string {
  const afterNamespace = /^[^%]+%(.+)$/s.exec(name)?.[1] ?? name
  return afterNamespace.trim().toLowerCase()
}

function departureText({ broker, reason, at }: Departure, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000))
  return `${broker.brokerName} (id ${broker.brokerId}, ${broker.brokerAddr}) left ${seconds} s ago: ${reasonTexts[reason]}`
}

const reasonTexts = {
  request: 'it unregistered itself',
  channel_closed: 'its connection was closed',
  channel_idle: 'its connection was idle too long',
  timeout: 'it sent no sign of life in time',
  replaced: 'another took its id or its address',
} as const
