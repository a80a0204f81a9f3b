import { inSlices } from '@gantrymq/daemon'
import { AUTO_CREATE_TOPIC, isWriteable, MASTER_ID, type TopicRoute } from '@gantrymq/protocol'
import type { Departure } from '../registry/departures.ts'
import type { NameServerStatus } from '../status.ts'

/** Why a client gets, or does not get, a usable route. Stable, so that scripts can branch on it. */
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
  /** For people: what the name server found. */
  readonly message: string
  /** For people: what to check, most likely cause first. */
  readonly hints: readonly string[]
}

const SIMILAR_SHOWN = 5
const DEPARTURES_SHOWN = 5

/** Explains why a client gets "No route info of this topic". Searches all topics, so it works in slices. */
export async function explain(topic: string, status: NameServerStatus, now: number): Promise<Diagnosis> {
  const route = status.route(topic)
  const readiness = status.readiness()
  if (!readiness.ready) {
    const hints = ['Clients keep the routes that they have and try again; other name servers may already answer.']
    return { topic, code: 'NOT_READY', message: `This name server answers no route query: ${readiness.reason}`, hints }
  }
  return route ? explainRoute(topic, route) : await explainMissing(topic, status, now)
}

function explainRoute(topic: string, route: TopicRoute): Diagnosis {
  const withMaster = route.brokerDatas
    .filter(broker => broker.brokerAddrs.has(MASTER_ID))
    .map(broker => broker.brokerName)
  const writable = route.queueDatas.filter(queue => isWriteable(queue.perm) && queue.writeQueueNums > 0)
  if (withMaster.length === 0) {
    const hints = ['Consumers can read from the slaves; producers fail until a master registers.']
    return { topic, code: 'NO_MASTER', message: 'The topic has a route, but none of its brokers is a master.', hints }
  }
  if (!writable.some(queue => withMaster.includes(queue.brokerName))) {
    const message =
      'The topic has a route, but none of its masters accepts messages: they have no write permission or no write queue.'
    const hints = [
      'If mqadmin wipeWritePerm made a broker read-only, mqadmin addWritePerm makes it writable again.',
      'mqadmin updateTopic -p sets the permission of the topic.',
    ]
    return { topic, code: 'NOT_WRITABLE', message, hints }
  }
  const message = `The topic has a route: ${route.queueDatas.length} broker(s), ${withMaster.length} with a master.`
  const hints = ['A client that does not find the topic uses another name server or another namespace.']
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
      'Check that namesrvAddr of the brokers contains the address of this server, and look for registration errors in their logs.',
    ]
    return { topic, code: 'NO_BROKERS', message, hints }
  }
  if (withTopic) {
    const message = `No broker registered here has had this topic since ${departureText(withTopic, now)}.`
    return {
      topic,
      code: 'BROKERS_LEFT',
      message,
      hints: ['The topic comes back when one of its brokers registers again.'],
    }
  }
  const message = `None of the ${status.brokerCount()} brokers registered here has this topic.`
  const hints = [...(await similarHints(topic, status)), autoCreateHint(status), ...departures]
  return { topic, code: 'NOT_REGISTERED', message, hints }
}

function autoCreateHint(status: NameServerStatus): string {
  const creators = [...status.brokersOfTopic(AUTO_CREATE_TOPIC)]
  return creators.length > 0
    ? `${AUTO_CREATE_TOPIC} is registered by ${creators.slice(0, 10).join(', ')}: these brokers create the topic when they receive the first message for it, and consumers find it only then.`
    : `No broker registers ${AUTO_CREATE_TOPIC}, so sending does not create topics: create this one with mqadmin updateTopic.`
}

/** Names that differ from `topic` only in case, surrounding blanks or a namespace prefix. */
async function similarHints(topic: string, status: NameServerStatus): Promise<string[]> {
  const wanted = bare(topic)
  const similar: string[] = []
  await inSlices(status.topics(), name => {
    if (similar.length < SIMILAR_SHOWN && bare(name) === wanted) similar.push(name)
  })
  return similar.length > 0
    ? [`There are topics with nearly this name: ${similar.map(name => `"${name}"`).join(', ')}.`]
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
  timeout: 'it sent no heartbeat or registration in time',
  replaced: 'another broker took its id or its address',
} as const
